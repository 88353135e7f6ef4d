"""A detection's whole object under its fields' names: keys in snake case, each value fitted to its field's type.

What fits is told by the field table; nothing here knows which fields there are. Values of another type are set aside in
the batch's columns. A key without a field keeps its place, in snake case, and is counted; audit log records and tags,
which may hold anything, lose nothing but what Elasticsearch can't take as a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wiz_dagster.datasets.detection_names import field_name, keeps_place, renamed, same_key, snake_case, snake_key
from wiz_dagster.ecs.columns import LONG, LONGEST_NAME, Columns, Node, holds_no_object
from wiz_dagster.ecs.pruning import pruned
from wiz_dagster.ecs.values import boolean, is_empty, is_ip, timestamp


class Shape(dict[str, "Shape | str"]):
    """Names of an object's fields: each with its type, or with a shape where objects are due."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Known] = {}
        """What was found out about Wiz's keys of such objects."""


class Known(NamedTuple):
    """The field of a key: its name, its type or shape if it has one, and the Python type that fits as it is."""

    name: str
    kind: Shape | str | None
    plain: type | None


AS_IT_IS = frozenset({"tags"})
"""Fields that may hold anything and whose keys are names of the user's."""
TEXT_STAYS = frozenset({"actors", "acting_as", "category", "cloud_accounts", "issue", "security_sub_categories"})
"""Where Elastic's integration leaves a text in the place of an object or a list of such."""


def shape_of(types: Mapping[str, str]) -> Shape:
    """The shape that fields give: dotted name to type."""
    shape = Shape()
    for name, kind in types.items():
        *parents, leaf = name.split(".")
        branch: Any = shape
        for parent in parents:
            branch = branch.setdefault(parent, Shape())
        branch[leaf] = kind
    return shape


def fitted_object(columns: Columns, row: int, source: str, value: Node, shape: Shape, depth: int = -1) -> Node:
    """An object with its fields' names and values of their types, pruned as `pruning.py` does.

    `source` is its name in Wiz with a dot behind it, empty for the whole node; `depth` is how deep it lies in its cell.
    """
    made: Node = {}
    replaced = False
    known_keys = shape.known
    for key, item in value.items():
        if item is None:
            continue
        known = known_keys[key] if key in known_keys else _known(shape, key)
        name, kind, plain = known
        if type(item) is not plain:
            if type(item) is dict and type(kind) is Shape:
                item = fitted_object(columns, row, f"{source}{key}.", item, kind, depth + 1)
            elif kind is None:
                item = _unknown(columns, row, source, key, item, depth + 1)
            else:
                item = _fitted(columns, row, f"{source}{key}", item, known, depth + 1)
        if item or not is_empty(item):
            made[name] = item
        elif name in made:  # two keys of that name: the later one counts
            made[name] = None
            replaced = True
    return {name: item for name, item in made.items() if item is not None} if replaced else made


def _known(shape: Shape, key: str) -> Known:
    name = field_name(key)
    kind = shape.get(name)
    if kind is None:
        return Known(snake_case(key), None, None)
    if name in AS_IT_IS and type(kind) is str:
        kind = "tags"
    known = Known(name, kind, _PLAIN_TYPES.get(kind) if type(kind) is str else None)
    shape.known[key] = known
    return known


def _fitted(columns: Columns, row: int, source: str, value: Any, known: Known, depth: int) -> Any:
    """A value as its field takes it, at that depth of its cell; what it doesn't take is set aside."""
    if not isinstance(known.kind, Shape):
        return _fitted_values(columns, row, source, value, str(known.kind), depth)
    shape = known.kind
    if type(value) is list:
        if not {dict}.issuperset(map(type, value)):
            for item in value:
                if type(item) is not dict:
                    columns.set_aside(row, source, item)
            value = [item for item in value if type(item) is dict]
        source = f"{source}."
        return [made for item in value if (made := fitted_object(columns, row, source, item, shape, depth + 1))]
    if type(value) is str and known.name in TEXT_STAYS and value != "null":
        return value
    columns.set_aside(row, source, value)
    return None


def _fitted_values(columns: Columns, row: int, source: str, value: Any, kind: str, depth: int) -> Any:
    """A value, or those of a list where several make sense."""
    fit = _FITTING[kind]
    if type(value) is not list or kind in _SINGLE:
        fitting = fit(value, depth)
        if fitting is None:
            columns.set_aside(row, source, value)
        return fitting
    if _PLAIN_TYPES.get(kind) is str and {str}.issuperset(map(type, value)):
        return value if "" not in value else list(filter(None, value))
    fits = [fit(item, depth + 1) for item in value]
    for item, fitting in zip(value, fits, strict=True):
        if fitting is None:
            columns.set_aside(row, source, item)
    return [item for item in fits if not is_empty(item)]


def _unknown(columns: Columns, row: int, source: str, key: str, item: Any, depth: int) -> Any:
    """What stays of a key that has no field; None where it can't stay in its place."""
    if keeps_place(key):
        if key != "__typename":
            columns.drift[f"unknown key: {source}{key[:LONGEST_NAME]}"] += 1
        return renamed(item, snake_key, depth)
    if source:
        columns.set_aside_unknown(row, source[:-1], {key: item}, frozenset())
    return None


def _scalar(value: Any, depth: int) -> Any:
    if type(value) is list:
        return pruned(value, depth) if holds_no_object(value) else None
    return value if type(value) is not dict else None


def _whole(value: Any, _depth: int) -> int | None:
    """The whole number, also one that a text or a fraction of zero writes."""
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) < len(str(LONG.stop)):
        value = int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value in LONG else None


def _address(value: Any, _depth: int) -> str | None:
    return value if is_ip(value) else None


def _boolean(value: Any, _depth: int) -> bool | None:
    return boolean(value)


def _moment(value: Any, _depth: int) -> str | None:
    return timestamp(value)


def _record(value: Any, depth: int) -> Any:
    return renamed(value, snake_key, depth) if type(value) is dict else None


def _tags(value: Any, depth: int) -> Any:
    return renamed(value, same_key, depth) if type(value) is dict else None


_FITTING: Mapping[str, Callable[[Any, int], Any]] = {
    "keyword": _scalar,
    "match_only_text": _scalar,
    "wildcard": _scalar,
    "boolean": _boolean,
    "long": _whole,
    "ip": _address,
    "date": _moment,
    "flattened": _record,
    "tags": _tags,
}


_SINGLE = frozenset({"boolean", "long", "date"})
_PLAIN_TYPES: Mapping[str, type] = {"keyword": str, "match_only_text": str, "wildcard": str, "boolean": bool}
