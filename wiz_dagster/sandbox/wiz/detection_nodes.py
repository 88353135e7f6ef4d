"""Generated detections: created once, and evaluated again for some up to `LIFE_DAYS` days after, which updates them.

Wiz keeps a detection `KEPT_DAYS` days after its last update. What one looks like depends on the moment it is asked
for. Facts that filters need are computed here in bulk; `detection_shapes` makes the nodes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from wiz_dagster.sandbox.wiz.changing import ChangingSource
from wiz_dagster.sandbox.wiz.detection_shapes import DetectionFacts, DetectionShapes
from wiz_dagster.sandbox.wiz.hashing import Ordinals, below, mix, weighted
from wiz_dagster.sandbox.wiz.pools import SEVERITIES
from wiz_dagster.sandbox.wiz.source import AsOf, Bounds, Category, Node
from wiz_dagster.sandbox.wiz.times import DAY, HOUR, NEVER, SECOND, Micros, cut, texts

LIFE_DAYS = 3
KEPT_DAYS = 7
TYPES = ("GENERATED_THREAT", "MATCH_ONLY")

_ALL_SEVERITIES = (*SEVERITIES, "SEVERE")
"""The last one is unknown to Wiz's schema."""
_SEVERITY_WEIGHTS = (250, 300, 270, 130, 47, 3)
_TYPE_WEIGHTS = (550, 450)
_KEPT = KEPT_DAYS * DAY
_ONCE, _AGAIN_SOON, _AGAIN_AND_AGAIN = range(3)
_LIVES = (500, 300, 200)
_EVALUATIONS = 3


class DetectionSource(ChangingSource):
    """Detections of a generated tenant."""

    life = LIFE_DAYS * DAY
    kept_for: int | None = _KEPT

    def __init__(self, key: int, first_day: int, volume: int) -> None:
        """See `GeneratedSource`."""
        super().__init__(key, first_day, volume)
        self._shapes = DetectionShapes(key)

    def blocks(self, bounds: Bounds, now: int) -> Iterator[Ordinals]:
        """Without what Wiz no longer keeps."""
        oldest = now - _KEPT
        after, before = bounds.get(self.changed_name, (oldest - 1, now + 1))
        for block in super().blocks({**bounds, self.changed_name: (max(after, oldest - 1), before)}, now):
            yield block[self.times(self.changed_name, block, now) >= oldest]

    def named(self, ids: Sequence[str], now: int) -> Ordinals:
        """Without what Wiz no longer keeps."""
        found = super().named(ids, now)
        return found[self.times(self.changed_name, found, now) >= now - _KEPT]

    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:
        """Of createdAt and updatedAt."""
        return self.created(ordinals) if name == "createdAt" else self._updated(ordinals, now)[0]

    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:  # noqa: ARG002
        """Of type, severity, project and account (ids)."""
        if name == "type":
            return self._types(ordinals), [(kind,) for kind in TYPES]
        if name == "severity":
            return self._severities(ordinals), [(severity,) for severity in _ALL_SEVERITIES]
        if name == "project":
            return self._projects(ordinals), self._shapes.project_names()
        return self._accounts(ordinals), self._shapes.account_names()

    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:
        """Whole detections as of `now`."""
        hashes = mix(self.key, ordinals, 10)
        precision = self.precision(ordinals)
        created = self.created(ordinals)
        updated, evaluations = self._updated(ordinals, now)
        started = created - below(hashes, HOUR // 2) - 5 * SECOND
        ended = np.maximum(started, updated - 5 * SECOND)
        columns: tuple[list[Any], ...] = (
            ordinals.tolist(),
            hashes.tolist(),
            mix(self.key, ordinals, 11).tolist(),
            *(texts(times, precision, hashes) for times in (created, updated, started, ended)),
            started.tolist(),
            ended.tolist(),
            evaluations.tolist(),
            [TYPES[code] for code in self._types(ordinals).tolist()],
            [_ALL_SEVERITIES[code] for code in self._severities(ordinals).tolist()],
            self._projects(ordinals).tolist(),
            self._accounts(ordinals).tolist(),
        )
        return [self._shapes.node(DetectionFacts(*row)) for row in zip(*columns, strict=True)]

    def changes(self, ordinals: Ordinals) -> Micros:
        """The time of creation and those of the evaluations, `NEVER` for one that doesn't happen."""
        created = self.created(ordinals)
        lives = weighted(mix(self.key, ordinals, 5), _LIVES)
        table = [created]
        for number in range(_EVALUATIONS):
            hashes = mix(self.key, ordinals, 30 + number)
            soon = (lives == _AGAIN_SOON) & (number == 0)
            delay = np.where(soon, below(hashes, 4 * HOUR), below(hashes, self.life))
            moment = cut(created + delay, self.precision(ordinals))
            table.append(np.where(soon | (lives == _AGAIN_AND_AGAIN), moment, NEVER))
        return np.stack(table)

    def _updated(self, ordinals: Ordinals, now: AsOf) -> tuple[Micros, Ordinals]:
        """The last update as of `now`, and how many there have been since the creation."""
        table = self.changes(ordinals)
        happened = np.where(table[1:] <= now, table[1:], NEVER)
        return np.maximum(table[0], happened.max(axis=0)), (happened != NEVER).sum(axis=0)

    def _types(self, ordinals: Ordinals) -> Ordinals:
        return weighted(mix(self.key, ordinals, 6), _TYPE_WEIGHTS)

    def _severities(self, ordinals: Ordinals) -> Ordinals:
        return weighted(mix(self.key, ordinals, 7), _SEVERITY_WEIGHTS)

    def _projects(self, ordinals: Ordinals) -> Ordinals:
        return below(mix(self.key, ordinals, 8), self._shapes.project_choices)

    def _accounts(self, ordinals: Ordinals) -> Ordinals:
        return below(mix(self.key, ordinals, 9), self._shapes.accounts)
