"""Generated issues: created once, and for some their status changes later, up to `LIFE_DAYS` days after.

What an issue looks like depends on the moment it is asked for: a change that is still to come isn't seen. Facts that
filters need (times, status, severity, type, projects) are computed here in bulk; `issue_shapes` makes the nodes.
"""

from typing import Any

import numpy as np

from wiz_dagster.sandbox.wiz.changing import ChangingSource
from wiz_dagster.sandbox.wiz.hashing import Ordinals, below, mix, weighted
from wiz_dagster.sandbox.wiz.issue_shapes import IssueFacts, IssueShapes
from wiz_dagster.sandbox.wiz.pools import SEVERITIES
from wiz_dagster.sandbox.wiz.source import AsOf, Category, Node
from wiz_dagster.sandbox.wiz.times import DAY, HOUR, NEVER, SECOND, Micros, cut, texts

LIFE_DAYS = 12
TYPES = (
    "TOXIC_COMBINATION",
    "CLOUD_CONFIGURATION",
    "THREAT_DETECTION",
    "RISK_TOXIC_COMBINATION",
    "ATTACK_SURFACE",
    "DATA_EXPOSURE",
)
STATUSES = ("OPEN", "IN_PROGRESS", "RESOLVED", "REJECTED", "SNOOZED")
"""The last type, status and severity are unknown to Wiz's schema."""

_ALL_SEVERITIES = (*SEVERITIES, "SEVERE")
_TYPE_WEIGHTS = (400, 350, 150, 60, 37, 3)
_CHANGED_STATUS_WEIGHTS = (60, 240, 560, 135, 5)
_SEVERITY_WEIGHTS = (100, 220, 360, 230, 87, 3)
_NEVER_CHANGED, _CHANGED_AT_ONCE, _CHANGED_SOON, _CHANGED_LATER = range(4)
_LIVES = (60, 500, 140, 300)


class IssueSource(ChangingSource):
    """Issues of a generated tenant."""

    life = LIFE_DAYS * DAY
    changed_name = "statusChangedAt"

    def __init__(self, key: int, first_day: int, volume: int) -> None:
        """See `GeneratedSource`."""
        super().__init__(key, first_day, volume)
        self._shapes = IssueShapes(key)

    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:
        """Of createdAt, statusChangedAt and resolvedAt."""
        if name == "createdAt":
            return self.created(ordinals)
        changed = self._changed(ordinals, now)
        if name == "statusChangedAt":
            return changed
        return np.where(self._statuses(ordinals, changed) == STATUSES.index("RESOLVED"), changed, NEVER)

    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:
        """Of status, severity, type and project (each id and slug)."""
        if name == "status":
            return self._statuses(ordinals, self._changed(ordinals, now)), [(status,) for status in STATUSES]
        if name == "severity":
            return self._severities(ordinals), [(severity,) for severity in _ALL_SEVERITIES]
        if name == "type":
            return self._types(ordinals), [(kind,) for kind in TYPES]
        return below(mix(self.key, ordinals, 9), self._shapes.project_choices), self._shapes.project_names()

    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:
        """Whole issues as of `now`."""
        hashes = mix(self.key, ordinals, 10)
        precision = self.precision(ordinals)
        created, changed = self.created(ordinals), self._changed(ordinals, now)
        touched = np.maximum(created, changed) + below(hashes, 2 * HOUR) // SECOND * SECOND
        columns: tuple[list[Any], ...] = (
            ordinals.tolist(),
            hashes.tolist(),
            mix(self.key, ordinals, 11).tolist(),
            texts(created, precision, hashes),
            texts(changed, precision, hashes),
            texts(np.minimum(touched, now), np.zeros_like(ordinals), hashes),
            [STATUSES[code] for code in self._statuses(ordinals, changed).tolist()],
            [_ALL_SEVERITIES[code] for code in self._severities(ordinals).tolist()],
            [TYPES[code] for code in self._types(ordinals).tolist()],
            below(mix(self.key, ordinals, 9), self._shapes.project_choices).tolist(),
        )
        return [self._shapes.node(IssueFacts(*row)) for row in zip(*columns, strict=True)]

    def changes(self, ordinals: Ordinals) -> Micros:
        """The time of creation and that of the status change, `NEVER` without one."""
        created = self.created(ordinals)
        precision = self.precision(ordinals)
        lives = weighted(mix(self.key, ordinals, 5), _LIVES)
        hashes = mix(self.key, ordinals, 6)
        delay = np.where(lives == _CHANGED_SOON, below(hashes, 8 * HOUR), below(hashes, self.life))
        changed = cut(created + delay, precision)
        # A scan closes many issues in the same microsecond, some of them at midnight.
        scan = hashes >> np.uint64(32) & np.uint64(63)
        changed = np.where(scan <= np.uint64(1), changed - changed % (HOUR // 6), changed)
        changed = np.where(scan == np.uint64(2), changed - changed % DAY, changed)
        changed = np.where(lives == _CHANGED_AT_ONCE, created, np.maximum(changed, created))
        table: Micros = np.stack([created, np.where(lives == _NEVER_CHANGED, NEVER, changed)])
        return table if self.hurry is None else self.hurry.applied(table, mix(self.key, ordinals, 40), precision)

    def _changed(self, ordinals: Ordinals, now: AsOf) -> Micros:
        created, to_come = self.changes(ordinals)
        changed: Micros = np.where(to_come > now, created, to_come)
        return changed

    def _statuses(self, ordinals: Ordinals, changed: Micros) -> Ordinals:
        after = weighted(mix(self.key, ordinals, 7), _CHANGED_STATUS_WEIGHTS)
        return np.where(changed > self.created(ordinals), after, 0)

    def _severities(self, ordinals: Ordinals) -> Ordinals:
        return weighted(mix(self.key, ordinals, 8), _SEVERITY_WEIGHTS)

    def _types(self, ordinals: Ordinals) -> Ordinals:
        return weighted(mix(self.key, ordinals, 12), _TYPE_WEIGHTS)
