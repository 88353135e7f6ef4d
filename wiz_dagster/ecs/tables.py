"""Objects read as columns, all keys of all objects at once.

Nodes of one query have the same keys in the same order, so their values are turned into columns without a look-up a
value: several times faster than asking each object for each key. Objects that differ are brought into that order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import repeat
from operator import eq
from typing import Any

_TRIED = 8
"""Objects among which one is sought that has the usual keys: the largest."""


class Table:
    """The columns of some objects by key; None where an object lacks it."""

    def __init__(self, objects: Sequence[dict[str, Any]]) -> None:
        """Reads the objects, which mustn't change afterwards."""
        order = max(map(list, objects[:_TRIED]), key=len) if objects else []
        usual = list(map(eq, map(list, objects), repeat(order)))
        self._objects = objects
        self._odd = [item for item, is_usual in zip(objects, usual, strict=True) if not is_usual]
        self.keys: frozenset[str] = frozenset(order).union(*self._odd)
        """The keys of all objects together."""
        rows: Sequence[dict[str, Any]] = objects
        if self._odd:
            nothing = dict.fromkeys(order)
            rows = [item if fits else {**nothing, **item} for item, fits in zip(objects, usual, strict=True)]
        # Keys beyond the usual ones come last in each row, where the shorter rows cut them off.
        self._columns = dict(zip(order, map(list, zip(*map(dict.values, rows), strict=False)), strict=False))

    def __getitem__(self, key: str) -> list[Any]:
        """The column of a key, also of one that no object has; it mustn't be changed."""
        if key in self._columns:
            return self._columns[key]
        if key in self.keys:
            return [item.get(key) for item in self._objects]
        return [None] * len(self._objects)

    def lacking(self, keys: frozenset[str]) -> Counter[str]:
        """How many objects lack each of these keys, for those that some object lacks."""
        lacked = Counter[str]()
        for item in self._odd:
            lacked.update(keys - item.keys())
        usual = len(self._objects) - len(self._odd)
        return lacked + Counter(dict.fromkeys(keys - self._columns.keys(), usual))
