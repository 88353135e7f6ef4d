"""Generated nodes that change after their creation: the moments at which they do, and the search for them.

What a change does to a node is the dataset's business. A node looks as it does at the moment it is asked for: a change
that is still to come isn't seen.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from wiz_dagster.sandbox.wiz.hashing import Hashes, Ordinals, below, mix, weighted
from wiz_dagster.sandbox.wiz.source import AsOf, Bounds, GeneratedSource
from wiz_dagster.sandbox.wiz.times import DAY, HOUR, Micros, cut

STEPS = 5
"""States of a finding, one after the other: as it was found, and after each of its later changes."""

_LIFE_DAYS = 12
_DAYS_KEPT = 8
_CHANGES = (150, 300, 250, 200, 100)
_NOT_TO_COME = 1 << 61


class Hurry(NamedTuple):
    """A time in which more happens: a share of the changes that are still to come at its start fall into it instead."""

    start: int
    """Microseconds since 1970; what was changed before stays as it was."""
    length: int
    """Microseconds."""
    per_mille: int

    def applied(self, moments: Micros, hashes: Hashes, precision: Ordinals) -> Micros:
        """`moments` has a row a step, ascending, the first one that of creation, and a column a node."""
        to_come = (moments > self.start) & (moments < _NOT_TO_COME)
        step = to_come.argmax(axis=0)
        columns = np.arange(moments.shape[1])
        hurried = cut(self.start + below(hashes >> np.uint64(10), self.length), precision)
        hurried = np.maximum(hurried, moments[np.maximum(step - 1, 0), columns])
        chosen = to_come.any(axis=0) & (step > 0) & (below(hashes, 1000) < self.per_mille)
        chosen &= hurried < moments[step, columns]
        moments = moments.copy()
        moments[step[chosen], columns[chosen]] = hurried[chosen]
        return moments


class ChangingSource(GeneratedSource, ABC):
    """Nodes with a time that each change moves, `changed_name`."""

    changed_name = "updatedAt"

    hurry: Hurry | None = None

    def __init__(self, key: int, first_day: int, volume: int) -> None:
        """See `GeneratedSource`."""
        super().__init__(key, first_day, volume)
        self._changed_on = lru_cache(maxsize=_DAYS_KEPT)(self._find_changed_on)

    @abstractmethod
    def changes(self, ordinals: Ordinals) -> Micros:
        """Every value that `changed_name` ever takes, those to come as well: a row a change, a column a node."""

    def blocks(self, bounds: Bounds, now: int) -> Iterator[Ordinals]:
        """By days of change where that is what bounds them: a day is searched once, not for each slice and moment."""
        if self.changed_name not in bounds or self.created_name in bounds:
            yield from super().blocks(bounds, now)
            return
        after, before = bounds[self.changed_name]
        first, last = max(after, self._first_day) // DAY, min(before, now) // DAY
        if first <= last:
            block = np.unique(np.concatenate([self._changed_on(day) for day in range(first, last + 1)]))
            yield block[self.created(block) <= now]

    def _find_changed_on(self, day: int) -> Ordinals:
        start = day * DAY
        found = [np.empty(0, dtype=np.int64)]
        for block in super().blocks({self.changed_name: (start - 1, start + DAY)}, start + DAY):
            changes = self.changes(block)
            found.append(block[((changes >= start) & (changes < start + DAY)).any(axis=0)])
        return np.concatenate(found)


class Lives(NamedTuple):
    """Where findings are in their lives."""

    step: Ordinals
    moments: Micros
    """A row a step, a column a finding: when the step began; far away for those that it doesn't take."""

    def begun(self, step: Ordinals) -> Micros:
        """When each finding's given step began."""
        moments: Micros = np.take_along_axis(self.moments, step[np.newaxis], axis=0)[0]
        return moments


class FindingSource(ChangingSource):
    """Findings: each is found once and changes up to four times in the days after."""

    life = _LIFE_DAYS * DAY

    def lives(self, ordinals: Ordinals, now: AsOf) -> Lives:
        """The steps as of `now`; those to come are in the moments, so that nothing but `step` depends on it."""
        table = self.changes(ordinals)
        return Lives(np.maximum((table <= now).sum(axis=0) - 1, 0), table)

    def changes(self, ordinals: Ordinals) -> Micros:
        """When each step begins; far away for those that a finding doesn't take."""
        precision = self.precision(ordinals)
        changes = weighted(mix(self.key, ordinals, 3), _CHANGES)
        moments = [self.created(ordinals)]
        for step in range(1, STEPS):
            hashes = mix(self.key, ordinals, 30 + step)
            kind = hashes >> np.uint64(32) & np.uint64(63)
            gap = below(hashes, self.life // (STEPS - 1))
            moment = moments[-1] + np.where(kind >= np.uint64(44), gap % (6 * HOUR), gap)
            # A scan changes many findings in the same microsecond, some of them at midnight.
            moment = np.where(kind <= np.uint64(1), moment - moment % (HOUR // 6), moment)
            moment = np.where(kind == np.uint64(2), moment - moment % DAY, moment)
            moment = np.maximum(cut(moment, precision), moments[-1])
            moments.append(np.where(changes >= step, moment, _NOT_TO_COME))
        table = np.stack(moments)
        return table if self.hurry is None else self.hurry.applied(table, mix(self.key, ordinals, 40), precision)


def since(states: Sequence[Sequence[str]]) -> Ordinals:
    """For each plot and step the step at which its state began; 0 while it is the first one's."""
    found = [[0] * STEPS for _ in states]
    for plot, names in enumerate(states):
        for step in range(1, STEPS):
            found[plot][step] = step if names[step] != names[step - 1] else found[plot][step - 1]
    return np.array(found, dtype=np.int64)
