"""The names of a detection's keys, and objects that may hold anything: audit log records, tags, keys without a field.

Such objects lose nothing but what Elasticsearch can't take as a key, and what is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from wiz_dagster.ecs.columns import Node
from wiz_dagster.ecs.values import MAX_DEPTH, as_text, is_empty

NAMES = {
    "actorIPMeta": "actor_ip_meta",
    "inactiveInLast90Days": "inactive_in_last_90_days",
    "isForeignActorIP": "is_foreign_actor",
}
"""Fields that aren't called what the rule for snake case would make of Wiz's key."""

_UPPER = re.compile(r"(?<=[^A-Z])[A-Z]")
_PLAIN = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_BELOW = (dict, list)
_LONGEST_KEY = 500
"""Characters. Elasticsearch refuses a document in which a key with its value is longer than 32,766 bytes."""


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


@lru_cache(maxsize=1 << 16)
def snake_key(key: str) -> str:
    """The key as far as a flattened field takes it, in snake case."""
    return snake_case(same_key(key))


@lru_cache(maxsize=1 << 12)
def same_key(key: str) -> str:
    """The key as far as a flattened field takes it."""
    return key.replace("\0", "")[:_LONGEST_KEY]


def renamed(value: Any, rename: Callable[[str], str], depth: int, levels: int = 0) -> Any:
    """The value with the keys of all objects in it renamed, pruned; `depth` counts in its cell, `levels` from here."""
    if type(value) not in _BELOW or not value:
        return value
    if depth >= MAX_DEPTH:
        return as_text(_only_renamed(value, rename, levels))
    if type(value) is list:
        return [
            kept
            for item in value
            if not is_empty(kept := renamed(item, rename, depth + 1, levels + 1) if type(item) in _BELOW else item)
        ]
    made: Node = {}
    for key, item in value.items():
        kept = renamed(item, rename, depth + 1, levels + 1) if type(item) in _BELOW else item
        if kept or not is_empty(kept):
            made[rename(key)] = kept
        elif made and rename(key) in made:  # two keys of that name: the later one counts
            made[rename(key)] = None
    return made if None not in made.values() else {key: item for key, item in made.items() if item is not None}


def _only_renamed(value: Any, rename: Callable[[str], str], levels: int) -> Any:
    if levels > MAX_DEPTH:
        return value
    if type(value) is list:
        return [_only_renamed(item, rename, levels + 1) for item in value]
    if type(value) is not dict:
        return value
    return {rename(key): _only_renamed(item, rename, levels + 1) for key, item in value.items()}
