"""The objects of a batch of detections, with a memory of what many detections share: rules, accounts, actors.

What is made of a node's key is remembered by the key's JSON and shared by all detections that have it: nobody may
change it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from wiz_dagster.datasets.detection_names import field_name
from wiz_dagster.datasets.detection_shape import Shape, fitted_object
from wiz_dagster.ecs.columns import Columns, Node
from wiz_dagster.ecs.pruning import LONGEST_REMEMBERED, MOST_REMEMBERED

Made = TypeVar("Made")

SHARED = ("ruleMatch", "projects", "cloudAccounts", "cloudOrganizations", "actors", "primaryActor", "runtimeDetails")
_MEMORY: dict[str, dict[bytes, Any]] = {key: {} for key in SHARED}


def fitted_rows(columns: Columns, nodes: Sequence[Node], shape: Shape) -> list[Node]:
    """The nodes as `fitted_object` makes them."""
    names = list(map(field_name, columns.nodes.keys))
    if len(set(names)) < len(names):  # two keys of one name: it depends on their order which one counts
        return [fitted_object(columns, row, "", node, shape) for row, node in enumerate(nodes)]
    return [_fitted_row(columns, row, node, shape) for row, node in enumerate(nodes)]


def _fitted_row(columns: Columns, row: int, node: Node, shape: Shape) -> Node:
    texts: dict[str, bytes] = {}
    shared: Node = {}
    rest = dict(node)
    for key in SHARED:
        if item := node.get(key):
            text = _text(item)
            if text in _MEMORY[key]:
                shared[field_name(key)] = _MEMORY[key][text]
                del rest[key]
            else:
                texts[key] = text
    before = columns.drift.total() if texts else 0
    made = fitted_object(columns, row, "", rest, shape)
    if texts and columns.drift.total() == before:
        for key, text in texts.items():
            if text and field_name(key) in made:
                _remember(key, text, made[field_name(key)])
    return made | shared


def _text(item: Any) -> bytes:
    try:
        text = orjson.dumps(item)
    except orjson.JSONEncodeError:  # nested too deep for it
        return b""
    return text if len(text) <= LONGEST_REMEMBERED else b""


def _remember(key: str, text: bytes, made: Any) -> None:
    if len(_MEMORY[key]) >= MOST_REMEMBERED:
        _MEMORY[key].clear()
    _MEMORY[key][text] = made


def of_shared(values: Sequence[Any], function: Callable[[Any], Made]) -> list[Made]:
    """What the function says of each value, asked once for one that several rows share."""
    said: dict[int, Made] = {}
    for value in values:
        if id(value) not in said:
            said[id(value)] = function(value)
    return [said[id(value)] for value in values]
