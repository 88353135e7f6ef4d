"""A Defend node's own fields, read as the field table says: each row names the path in Wiz that it is filled from.

Values of another type and keys that no row names are set aside in the batch's columns. In the objects of lists such a
key keeps its place if it holds no object, as in Elastic's integration; no field has its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from wiz_dagster.ecs.columns import LONG, LONGEST_NAME, Columns, Node, Values, holds_no_object, pluck
from wiz_dagster.ecs.fields import Field
from wiz_dagster.ecs.values import is_empty, timestamp

RESOURCES = "triggeringEvent.resources"
PROCESSES = "triggeringEvent.runtimeDetails.processTree"
LISTS = frozenset({"actors", "cloudAccounts", "cloudOrganizations", "resources", RESOURCES, PROCESSES})
"""Where several objects are due; a single one counts as a list of it."""
COUNT = "triggeringEventsCount"
"""The number that stays a text where Wiz's is one, as in Elastic's integration; Elasticsearch reads it all the same."""

_PLAIN = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,15}", re.ASCII)


@dataclass(frozen=True)
class Part:
    """A key of an object.

    Attributes:
        name: what it is called in the document.
        kind: the type of its values; empty: objects are due, whose keys are `below`.
        others: other spellings of the key.
    """

    name: str
    kind: str = ""
    others: tuple[str, ...] = ()
    below: dict[str, Part] = field(default_factory=dict)

    @cached_property
    def spelled(self) -> dict[str, Part]:
        """The keys below, in every spelling."""
        return self.below | {other: part for part in self.below.values() for other in part.others}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names below."""
        return frozenset(part.name for part in self.below.values())


def parts_of(fields: Iterable[Field], root: str) -> Part:
    """The whole node: the fields below `root` that have a source, by the keys of its path.

    Further paths of a source only spell the last key in another way.
    """
    node = Part(root)
    for one in fields:
        if one.name.startswith(f"{root}.") and one.source and one.type != "flattened":
            path, *others = one.source.split(", ")
            names = one.name.removeprefix(f"{root}.").split(".")
            _place(node, path.split("."), names, one.type, tuple(other.rpartition(".")[2] for other in others))
    return node


def _place(node: Part, keys: Sequence[str], names: Sequence[str], kind: str, others: tuple[str, ...]) -> None:
    for key, name in zip(keys[:-1], names[:-1], strict=True):
        node = node.below.setdefault(key, Part(name))
    node.below[keys[-1]] = Part(names[-1], kind, others)


def read_parts(columns: Columns, nodes: Sequence[Node], whole: Part, left_out: Set[str]) -> dict[str, Values]:
    """Fill the nodes' own columns, but for the names in `left_out`.

    Returns:
        What was read by its path in Wiz; of `LISTS` the objects of each node, with the names of the document.
    """
    found: dict[str, Values] = {}
    _read(columns, nodes, whole, whole.name, "", found, left_out)
    return found


def _read(
    columns: Columns,
    objects: Sequence[Node],
    whole: Part,
    target: str,
    source: str,
    found: dict[str, Values],
    left_out: Set[str],
) -> None:
    for key, part in whole.below.items():
        path, name = f"{source}{key}", f"{target}.{part.name}"
        values = pluck(objects, key)
        for other in part.others:
            values = _either(columns, values, pluck(objects, other), f"{source}{other}")
        if path in LISTS:
            found[path] = [_items(columns, row, path, value, part) for row, value in enumerate(values)]
            columns.put(found[path], name)
        elif part.below:
            below = columns.objects(values, path, frozenset(part.spelled))
            _read(columns, below, part, name, f"{path}.", found, left_out)
        else:
            read = _count if path == COUNT else _READING[part.kind]
            found[path] = read(columns, values, path, *(() if name in left_out else (name,)))


def _either(columns: Columns, values: Values, others: Values, source: str) -> Values:
    """The values, or those of the other spelling where there is none; another one is set aside."""
    if others.count(None) == len(others):
        return values
    merged = list(values)
    for row, (value, other) in enumerate(zip(values, others, strict=True)):
        if is_empty(value):
            merged[row] = other
        elif type(value) is not str or value != other:
            columns.set_aside(row, source, other)
    return merged


def _items(columns: Columns, row: int, source: str, value: Any, whole: Part) -> list[Node]:
    """The objects of a list with the document's names."""
    made = []
    for item in value if type(value) is list else (value,):
        if type(item) is dict:
            made.append(_item(columns, row, source, item, whole))
        else:
            columns.set_aside(row, source, item)
    return made


def _item(columns: Columns, row: int, source: str, item: Node, whole: Part) -> Node:
    made: Node = {}
    names = whole.names
    for key, value in item.items():
        part, path = whole.spelled.get(key), f"{source}.{key[:LONGEST_NAME]}"
        if is_empty(value):
            continue
        if part is None:
            if _PLAIN.fullmatch(key) and key not in names and holds_no_object(value):
                made[key] = value
                columns.drift[f"unknown key: {path}"] += 1
            else:
                columns.set_aside_unknown(row, source, {key: value}, frozenset())
        elif part.name in made:
            columns.set_aside(row, path, value)
        elif part.below and type(value) is dict:
            made[part.name] = _item(columns, row, path, value, part)
        elif part.below and key not in names and holds_no_object(value) and value != "null":
            made[key] = value
            columns.drift[f"wrong type: {path}"] += 1
        elif not part.below and (fitting := _FITTING[part.kind](value)) is not None:
            made[part.name] = fitting
        else:
            columns.set_aside(row, path, value)
    return made


def _number(value: Any) -> Any:
    """The whole number that a text writes, in decimal or hexadecimal digits; any other value as it is."""
    if type(value) is not str:
        return value
    if _HEX.fullmatch(value):
        return int(value, 16)
    return int(value) if is_number(value) else value


def is_number(text: str) -> bool:
    """Whether a text writes a whole number that a field of type `long` takes."""
    return text.isascii() and text.isdecimal() and len(text) < len(str(LONG.stop))


def _long(columns: Columns, values: Values, source: str, *paths: str) -> Values:
    return columns.long([_number(value) for value in values], source, *paths)


def _count(columns: Columns, values: Values, source: str, *paths: str) -> Values:
    texts = [value if type(value) is str and is_number(value) else None for value in values]
    others = [None if text else value for text, value in zip(texts, values, strict=True)]
    counts = [text or number for text, number in zip(texts, columns.long(others, source), strict=True)]
    columns.put(counts, *paths)
    return counts


def _scalar(value: Any) -> Any:
    return value if holds_no_object(value) else None


def _whole_number(value: Any) -> int | None:
    number = _number(value)
    return number if type(number) is int and number in LONG else None


_FITTING: Mapping[str, Callable[[Any], Any]] = {
    "keyword": _scalar,
    "wildcard": _scalar,
    "long": _whole_number,
    "date": timestamp,
}
_READING: Mapping[str, Callable[..., Values]] = {
    "keyword": Columns.keyword,
    "match_only_text": Columns.keyword,
    "long": _long,
    "boolean": Columns.boolean,
    "ip": Columns.ip,
    "date": Columns.date,
}
