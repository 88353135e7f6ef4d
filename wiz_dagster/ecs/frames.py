"""From the lines of a landed batch to an ECS frame: a row a node, in order, a column a dotted ECS path.

What differs by dataset is the dataset's `transform`; what every document has besides (`ecs.version`, `tags`,
`event.original`) is added here. Every column has dtype object and None where there is nothing, so that
integers, lists and objects stay themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
import pandas as pd

from wiz_dagster.ecs.columns import Columns, Node, Values
from wiz_dagster.ecs.fields import ECS_VERSION
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.errors import PermanentError

SETTLED = "wiz_dagster.settled"
"""The attribute of a frame that names `Columns.settled`; without it every cell is looked at once more."""

Transform = Callable[[Sequence[Node], EcsOptions], Columns]


class HasTransform(Protocol):
    """The part of a dataset that frames need."""

    @property
    def name(self) -> str:
        """The dataset's name."""

    @property
    def transform(self) -> Transform:
        """The pure function from nodes to columns."""

    def selected_keys(self) -> frozenset[str]:
        """The top-level keys that every node is asked for."""


class EcsFrame(NamedTuple):
    """A frame and what drifted from the shapes that are known: sentence -> how often."""

    frame: pd.DataFrame
    drift: Counter[str]


def make_frame(dataset: HasTransform, lines: Sequence[bytes], options: EcsOptions) -> EcsFrame:
    """The ECS frame of raw nodes, each one line of JSON.

    Raises:
        PermanentError: a line is not a JSON object.
    """
    try:
        nodes = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        raise PermanentError(f"A line of {dataset.name} nodes is not JSON: the landed data is damaged.") from None
    if not {dict}.issuperset(map(type, nodes)):
        raise PermanentError(f"A line of {dataset.name} nodes is not a JSON object: the landed data is damaged.")
    return frame_nodes(dataset, nodes, lines, options)


def frame_nodes(dataset: HasTransform, nodes: Sequence[Node], lines: Sequence[bytes], options: EcsOptions) -> EcsFrame:
    """The ECS frame of nodes that are parsed already; `lines` are their texts, in the same order."""
    columns = dataset.transform(nodes, options)
    columns.drift += _gone(columns, dataset.selected_keys())
    columns.constant(ECS_VERSION, "ecs.version")
    tags: list[Any] | None = list(options.tags) or None
    columns.constant(tags, "tags")
    if options.preserve_original_event:
        columns.put([line.decode() for line in lines], "event.original", settled=True)
    frame = _frame(columns.by_path)
    frame.attrs[SETTLED] = frozenset(columns.settled)
    return EcsFrame(frame, columns.drift)


def _frame(by_path: Mapping[str, Values]) -> pd.DataFrame:
    """Made of one block of cells: pandas takes each column of a dict by itself, which is half as fast."""
    rows = {len(values) for values in by_path.values()}
    (count,) = rows
    cells = np.fromiter(chain.from_iterable(by_path.values()), dtype=object, count=count * len(by_path))
    return pd.DataFrame(cells.reshape(len(by_path), count).T, columns=list(by_path), dtype=object, copy=False)


def _gone(columns: Columns, selected: frozenset[str]) -> Counter[str]:
    """How many nodes lack a selected key altogether, by key; null is an answer."""
    return Counter({f"missing key: {key}": count for key, count in columns.nodes.lacking(selected).items()})
