"""The lists inside a configuration finding: tags become key-value sets, the others a list of values a key.

Lists of objects are searched in Elasticsearch by the values of each key alone, so a list a key finds the same and is
half as long. Everything of another type is set aside in the batch's columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from wiz_dagster.ecs.columns import Columns, Node, Values, holds_no_object, pluck

Lists = Mapping[str, tuple[str, ...]]
"""Dotted path of a list of objects, or of an object inside such, to the keys that are read; parents first."""

TAG = frozenset({"key", "value"})
NO_VALUE = True
"""Stands for the value of a tag that is nothing but a key: an empty value would leave the document."""


def keys_below(prefix: str, paths: Iterable[str]) -> frozenset[str]:
    """The keys that come next in the dotted paths that start so."""
    return frozenset(path.removeprefix(prefix).partition(".")[0] for path in paths if path.startswith(prefix))


def read_lists(columns: Columns, lists: Lists, objects: Mapping[str, Sequence[Node]]) -> dict[str, Values]:
    """By dotted key, the values of that key in all items of each row's list. `objects`: the rows' objects by path."""
    places = [*lists, *(f"{path}.{key}" for path, keys in lists.items() for key in keys)]
    items: dict[str, list[list[Node]]] = {}
    read: dict[str, Values] = {}
    for path, keys in lists.items():
        parent, _, name = path.rpartition(".")
        above = items.get(parent)
        values = pluck(objects[parent], name) if above is None else _of_each(above, name)
        items[path] = _items(columns, values, path, keys_below(f"{path}.", places))
        for key in keys:
            read[f"{path}.{key}"] = _fitting(columns, _of_each(items[path], key), f"{path}.{key}")
    return read


def tag_sets(columns: Columns, values: Values, source: str) -> Values:
    """Each row's list of `{key, value}` as one object; a key that comes again has a list of values."""
    sets: Values = []
    for row, items in enumerate(_items(columns, values, source, None)):
        tags: dict[str, Any] = {}
        for item in items:
            key, value = item.get("key"), item.get("value")
            if type(key) is not str or not key or type(value) is dict or type(value) is list:
                columns.set_aside(row, source, item)
                continue
            if len(item) > len(TAG):
                columns.set_aside_unknown(row, source, item, TAG)
            value = NO_VALUE if value is None or value == "" else value
            tags[key] = value if key not in tags else [*_listed(tags[key]), value]
        sets.append(tags)
    return sets


def _listed(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _of_each(rows: list[list[Node]], key: str) -> Values:
    return [[item.get(key) for item in items] for items in rows]


def _items(columns: Columns, values: Values, source: str, known: frozenset[str] | None) -> list[list[Node]]:
    """The objects in each row's list; a single object is a list of one."""
    rows = [value if type(value) is list else [] if value is None else [value] for value in values]
    if not {dict}.issuperset(map(type, chain.from_iterable(rows))):
        for row, items in enumerate(rows):
            for item in items:
                if type(item) is not dict:
                    columns.set_aside(row, source, item)
        rows = [[item for item in items if type(item) is dict] for items in rows]
    if known is not None and not known.issuperset(chain.from_iterable(chain.from_iterable(rows))):
        for row, items in enumerate(rows):
            for item in items:
                columns.set_aside_unknown(row, source, item, known)
    return rows


def _fitting(columns: Columns, rows: Values, source: str) -> Values:
    """The lists with nothing but what a keyword field takes in them."""
    if {str}.issuperset(map(type, chain.from_iterable(rows))):
        return rows
    for row, items in enumerate(rows):
        for item in items:
            if not holds_no_object(item):
                columns.set_aside(row, source, item)
    return [[item for item in items if holds_no_object(item)] for items in rows]
