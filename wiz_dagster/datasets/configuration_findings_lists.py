"""The lists inside a configuration finding: tags become key-value sets, the others a list of values a key.

Lists of objects are searched in Elasticsearch by the values of each key alone, so a list a key finds the same and is
half as long. Everything of another type is set aside in the batch's columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wiz_dagster.ecs.columns import Columns, Node, Values, holds_no_object
from wiz_dagster.ecs.pruning import Remembered

Lists = Mapping[str, tuple[str, ...]]
"""Dotted path of a list of objects, or of an object inside such, to the keys that are read; parents first."""

TAG = frozenset({"key", "value"})
NO_VALUE = True
"""Stands for the value of a tag that is nothing but a key: an empty value would leave the document."""


def keys_below(prefix: str, paths: Iterable[str]) -> frozenset[str]:
    """The keys that come next in the dotted paths that start so."""
    return frozenset(path.removeprefix(prefix).partition(".")[0] for path in paths if path.startswith(prefix))


class ReadLists:
    """A list of objects in each node, and the lists and objects inside these, as columns by dotted key.

    What is read is remembered: most lists belong to a rule or a project, and stand in thousands of findings.
    """

    def __init__(self, root: str, lists: Lists) -> None:
        """`root` is the path of the list in the node; `lists` are it and what is inside it."""
        self.root = root
        self.keys = [f"{path}.{key}" for path, keys in lists.items() for key in keys]
        self._lists = lists
        places = [*lists, *self.keys]
        self._known = {path: keys_below(f"{path}.", places) for path in lists}
        self._remembered = Remembered(self._read, len(self.keys))

    def columns(self, columns: Columns, values: Values) -> dict[str, Values]:
        """By dotted key, the values of that key in all items of each row's list."""
        return dict(zip(self.keys, self._remembered.columns(columns, values), strict=True))

    def _read(self, columns: Columns, row: int, value: Any) -> tuple[Any, ...]:
        items: dict[str, list[Node]] = {}
        read: list[Any] = []
        for path, keys in self._lists.items():
            parent, _, name = path.rpartition(".")
            inside = value if path == self.root else [item.get(name) for item in items[parent]]
            items[path] = _items(columns, row, inside, path, self._known[path])
            read += [_fitting(columns, row, [item.get(key) for item in items[path]], f"{path}.{key}") for key in keys]
        return tuple(read)


def tag_sets(columns: Columns, values: Values, source: str) -> Values:
    """Each row's list of `{key, value}` as one object; a key that comes again has a list of values."""
    return [{} if items is None else _tag_set(columns, row, items, source) for row, items in enumerate(values)]


def _tag_set(columns: Columns, row: int, value: Any, source: str) -> Node:
    tags: Node = {}
    for item in _items(columns, row, value, source, None):
        key, value = item.get("key"), item.get("value")
        if type(key) is not str or not key or type(value) is dict or type(value) is list:
            columns.set_aside(row, source, item)
            continue
        if len(item) > len(TAG):
            columns.set_aside_unknown(row, source, item, TAG)
        value = NO_VALUE if value is None or value == "" else value
        tags[key] = value if key not in tags else [*_listed(tags[key]), value]
    return tags


def _listed(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _items(columns: Columns, row: int, value: Any, source: str, known: frozenset[str] | None) -> list[Node]:
    """The objects in a list; a single object is a list of one."""
    items = value if type(value) is list else [] if value is None else [value]
    if not {dict}.issuperset(map(type, items)):
        for item in items:
            if type(item) is not dict:
                columns.set_aside(row, source, item)
        items = [item for item in items if type(item) is dict]
    if known is not None:
        for item in items:
            columns.set_aside_unknown(row, source, item, known)
    return items


def _fitting(columns: Columns, row: int, items: list[Any], source: str) -> list[Any]:
    """The items that a keyword field takes."""
    for item in items:
        if not holds_no_object(item):
            columns.set_aside(row, source, item)
    return [item for item in items if holds_no_object(item)]
