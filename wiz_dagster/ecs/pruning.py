"""Objects and lists without what is empty, and a memory of those that come again and again.

A rule or a project stands in thousands of nodes. What is made of it is made and pruned once and
shared by all documents that have it. Pruning is total: any value that JSON can hold gives a result.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import orjson

from wiz_dagster.ecs.columns import Columns, Values
from wiz_dagster.ecs.values import MAX_DEPTH, as_text

Cells = tuple[Any, ...]
"""What one node has in some columns."""
MOST_REMEMBERED = 2_000
LONGEST_REMEMBERED = 16_000
"""Bytes of JSON: what is longer is hardly ever the same twice, and would fill the memory."""


_NESTED = frozenset({dict, list})


def pruned(value: Any, depth: int = 0) -> Any:
    """The list or object without what is empty, at every level; empty when nothing is left.

    Below `MAX_DEPTH` levels a list or object becomes its JSON text.
    """
    if depth >= MAX_DEPTH:
        return as_text(value)
    if type(value) is list:
        return [item for item in [_pruned_item(item, depth + 1) for item in value] if item is not None]
    kept: dict[str, Any] = {}
    for key, item in value.items():
        kind = type(item)
        if kind is str:
            if item:
                kept[key] = item
        elif kind is dict or kind is list:
            if item and (below := pruned(item, depth + 1)):
                kept[key] = below
        elif item is not None:
            kept[key] = item
    return kept


def _pruned_item(item: Any, depth: int) -> Any:
    """One value of a list, None when it is empty."""
    if type(item) is dict or type(item) is list:
        return (pruned(item, depth) or None) if item else None
    return item if item != "" else None


def pruned_cells(cells: list[Any]) -> list[Any]:
    """The cells of a column, each as its document has it."""
    types = set(map(type, cells))
    if dict not in types:
        if list not in types:
            return cells
        items = list(chain.from_iterable([cell for cell in cells if type(cell) is list]))
        if {str}.issuperset(map(type, items)) and "" not in items:
            return cells
    return [pruned(cell) if cell and type(cell) in _NESTED else cell for cell in cells]


class Remembered:
    """A function that makes a value of a node into cells, with the cells that it made of equal values before.

    The function may set things aside and count drift in the columns it is given; such cells aren't remembered. The
    others are shared by all documents: they mustn't be changed.
    """

    def __init__(self, make: Callable[[Columns, int, Any], Cells], width: int = 1) -> None:
        """`make` is given a row number and the value, and gives `width` cells."""
        self._make = make
        self._nothing: Cells = (None,) * width
        self._made: dict[bytes, Cells] = {}

    def columns(self, columns: Columns, values: Values) -> list[Values]:
        """The columns that are made of a column, pruned; where it has None they have, too."""
        made = self._made
        rows = [self._nothing] * len(values)
        for row, value in enumerate(values):
            if value is None:
                continue
            try:
                text = orjson.dumps(value)
            except orjson.JSONEncodeError:  # nested too deep for it
                rows[row] = self._pruned(columns, row, value)
                continue
            rows[row] = made[text] if text in made else self._new(columns, row, value, text)
        return [list(cells) for cells in zip(*rows, strict=True)] or [[] for _ in self._nothing]

    def _new(self, columns: Columns, row: int, value: Any, text: bytes) -> Cells:
        before = columns.drift.total()
        new = self._pruned(columns, row, value)
        if columns.drift.total() == before and len(text) <= LONGEST_REMEMBERED:
            if len(self._made) >= MOST_REMEMBERED:
                self._made.clear()
            self._made[text] = new
        return new

    def _pruned(self, columns: Columns, row: int, value: Any) -> Cells:
        return tuple(pruned(cell) if type(cell) in _NESTED else cell for cell in self._make(columns, row, value))
