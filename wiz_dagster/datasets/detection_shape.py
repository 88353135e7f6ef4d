"""A detection's whole object under its fields' names: keys in snake case, each value fitted to its field's type.

What fits is told by the field table; nothing here knows which fields there are. Values of another type are set aside in
the batch's columns. A key without a field keeps its place, in snake case, and is counted; audit log records and tags,
which may hold anything, lose nothing but what Elasticsearch can't take as a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from wiz_dagster.ecs.columns import LONG, LONGEST_NAME, Columns, Node, holds_no_object
from wiz_dagster.ecs.values import MAX_DEPTH, boolean, is_ip, timestamp

Shape = dict[str, "Shape | str"]
"""Names of an object's fields: each with its type, or with a shape where objects are due."""

NAMES = {
    "actorIPMeta": "actor_ip_meta",
    "inactiveInLast90Days": "inactive_in_last_90_days",
    "isForeignActorIP": "is_foreign_actor",
}
"""Fields that aren't called what the rule for snake case would make of Wiz's key."""
AS_IT_IS = frozenset({"tags"})
"""Fields that may hold anything and whose keys are names of the user's."""
TEXT_STAYS = frozenset({"actors", "acting_as", "category", "cloud_accounts", "issue", "security_sub_categories"})
"""Where Elastic's integration leaves a text in the place of an object or a list of such."""

_UPPER = re.compile(r"(?<=[^A-Z])[A-Z]")
_PLAIN = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_BELOW = (dict, list)
_LONGEST_KEY = 500
"""Characters. Elasticsearch refuses a document in which a key with its value is longer than 32,766 bytes."""


def shape_of(types: Mapping[str, str]) -> Shape:
    """The shape that fields give: dotted name to type."""
    shape: Shape = {}
    for name, kind in types.items():
        *parents, leaf = name.split(".")
        branch: Any = shape
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = kind
    return shape


@lru_cache(maxsize=1 << 16)
def snake_case(key: str) -> str:
    """The key with an underscore before each upper-case letter that follows another character than such a letter."""
    return _UPPER.sub(r"_\g<0>", key).lower()


@lru_cache(maxsize=1 << 12)
def field_name(key: str) -> str:
    """The name of the field that a key of Wiz's has, if it has one."""
    return NAMES.get(key) or snake_case(key)


@lru_cache(maxsize=1 << 12)
def keeps_place(key: str) -> bool:
    """Whether a key that has no field can stay where it is: Elasticsearch reads dots, and refuses blank names."""
    return bool(_PLAIN.fullmatch(key)) and snake_case(key) != "unmapped"


def fitted_object(columns: Columns, row: int, source: str, value: Node, shape: Shape) -> Node:
    """An object with its fields' names and values of their types, without nulls.

    `source` is its name in Wiz with a dot behind it, empty for the whole node.
    """
    made: Node = {}
    for key, item in value.items():
        if item is None:
            continue
        name = field_name(key)
        kind = shape.get(name)
        if (kind == "keyword" and type(item) is str) or (kind == "boolean" and type(item) is bool):
            made[name] = item
        elif kind is None:
            _keep_unknown(columns, row, source, key, item, made)
        elif type(kind) is dict:
            made[name] = _fitted_objects(columns, row, f"{source}{key}", item, kind, name)
        else:
            made[name] = _fitted_values(columns, row, f"{source}{key}", item, "tags" if name in AS_IT_IS else str(kind))
    return made


def _fitted_objects(columns: Columns, row: int, source: str, value: Any, shape: Shape, name: str) -> Any:
    """An object or the objects of a list; what is neither is set aside."""
    if type(value) is dict:
        return fitted_object(columns, row, f"{source}.", value, shape)
    if type(value) is list:
        for item in value:
            if type(item) is not dict:
                columns.set_aside(row, source, item)
        return [fitted_object(columns, row, f"{source}.", item, shape) for item in value if type(item) is dict]
    if type(value) is str and name in TEXT_STAYS and value != "null":
        return value
    columns.set_aside(row, source, value)
    return None


def _fitted_values(columns: Columns, row: int, source: str, value: Any, kind: str) -> Any:
    """A value, or those of a list where several make sense, as the field takes them; others are set aside."""
    fit = _FITTING[kind]
    if type(value) is list and kind not in _SINGLE:
        fits = [fit(item) for item in value]
        for item, fitting in zip(value, fits, strict=True):
            if fitting is None:
                columns.set_aside(row, source, item)
        return [item for item in fits if item is not None]
    fitting = fit(value)
    if fitting is None:
        columns.set_aside(row, source, value)
    return fitting


def _keep_unknown(columns: Columns, row: int, source: str, key: str, item: Any, made: Node) -> None:
    if keeps_place(key):
        made[snake_case(key)] = _renamed(item, _snake_key)
        if key != "__typename":
            columns.drift[f"unknown key: {source}{key[:LONGEST_NAME]}"] += 1
    elif source:
        columns.set_aside_unknown(row, source[:-1], {key: item}, frozenset())


def _scalar(value: Any) -> Any:
    return value if holds_no_object(value) else None


def _whole(value: Any) -> int | None:
    """The whole number, also one that a text or a fraction of zero writes."""
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) < len(str(LONG.stop)):
        value = int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value in LONG else None


def _address(value: Any) -> str | None:
    return value if is_ip(value) else None


def _record(value: Any) -> Any:
    return _renamed(value, _snake_key) if type(value) is dict else None


def _tags(value: Any) -> Any:
    return _renamed(value, _same_key) if type(value) is dict else None


_FITTING: Mapping[str, Callable[[Any], Any]] = {
    "keyword": _scalar,
    "match_only_text": _scalar,
    "wildcard": _scalar,
    "boolean": boolean,
    "long": _whole,
    "ip": _address,
    "date": timestamp,
    "flattened": _record,
    "tags": _tags,
}


_SINGLE = frozenset({"boolean", "long", "date"})


@lru_cache(maxsize=1 << 16)
def _snake_key(key: str) -> str:
    return snake_case(_same_key(key))


@lru_cache(maxsize=1 << 12)
def _same_key(key: str) -> str:
    """The key as far as a flattened field takes it."""
    return key.replace("\0", "")[:_LONGEST_KEY]


def _renamed(value: Any, rename: Callable[[str], str], depth: int = 0) -> Any:
    """The value with the keys of all objects in it renamed, as deep as documents are kept."""
    if depth > MAX_DEPTH:
        return value
    if type(value) is list:
        return [_renamed(item, rename, depth + 1) for item in value]
    if type(value) is not dict:
        return value
    return {
        rename(key): _renamed(item, rename, depth + 1) if type(item) in _BELOW else item for key, item in value.items()
    }
