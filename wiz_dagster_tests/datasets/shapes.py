"""Nodes in every shape in which others have seen Wiz's data: full nodes with the changes of `seen_shapes.py`.

Those of `everywhere` are made in every dataset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from wiz_dagster.datasets.base import Dataset
from wiz_dagster_tests.datasets.nodes import FULL
from wiz_dagster_tests.datasets.seen_shapes import BODIES, GONE, SHAPES, Changes

Node = dict[str, Any]

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z")
TIMES = {
    "times without T and Z, with nine digits": r"\1 \2.763277000",
    "times with nine digits": r"\1T\2.819883668Z",
    "times with seven digits": r"\1T\2.0385036Z",
    "times with five digits": r"\1T\2.81988Z",
    "times with three digits": r"\1T\2.819Z",
    "times with one digit": r"\1T\2.8Z",
    "times without a fraction": r"\1T\2Z",
    "times without a fraction, T and Z": r"\1 \2",
}


def shapes(dataset: Dataset) -> dict[str, Node]:
    """A node by the name of each shape; of a dataset that Wiz sends, a body."""
    full = FULL[dataset.name]
    own = {name: changed(full, changes) for name, changes in SHAPES[dataset.name].items()}
    return {**dict(everywhere(full)), **own, **(BODIES if dataset.pushed else {})}


def everywhere(full: Node) -> Iterator[tuple[str, Node]]:
    """The shapes that were seen in every dataset."""
    yield "the full node", full
    for name, form in TIMES.items():
        yield name, _with_times(full, form)
    for key in full:
        yield f"no {key}", changed(full, {key: GONE})
        yield f"null for {key}", changed(full, {key: None})
        yield f"an empty text for {key}", changed(full, {key: ""})
    yield (
        "null for every list and object",
        {key: None if isinstance(value, list | dict) else value for key, value in full.items()},
    )


def changed(node: Node, changes: Changes) -> Node:
    """The node after changes: dotted path, with numbers for the places in lists, to the value there."""
    node = deepcopy(node)
    for path, value in changes.items():
        place: Any = node
        *parents, last = path.split(".")
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place[name]
        if value is GONE:
            place.pop(last, None)
        else:
            place[last] = deepcopy(value)
    return node


def _with_times(value: Any, form: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_times(item, form) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_times(item, form) for item in value]
    return _TIME.sub(form, value) if isinstance(value, str) and _TIME.fullmatch(value) else value
