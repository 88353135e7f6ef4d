"""Generated configuration findings: seen once, then fixed, rejected, reopened or deleted in the days after.

Facts that filters need (times, status, result, deletion, severity, rule, resource) are computed here in bulk;
`configuration_shapes` makes the nodes. A deleted finding stays in the tenant, as a tombstone.
"""

from typing import Any

import numpy as np

from wiz_dagster.sandbox.wiz.changing import FindingSource, Lives, since
from wiz_dagster.sandbox.wiz.configuration_shapes import ConfigurationFacts, ConfigurationShapes
from wiz_dagster.sandbox.wiz.hashing import Ordinals, below, mix, weighted
from wiz_dagster.sandbox.wiz.source import AsOf, Category, Node
from wiz_dagster.sandbox.wiz.times import HOUR, NEVER, SECOND, Micros, texts

_STATES = (
    ("OPEN", "FAIL", False),
    ("RESOLVED", "PASS", False),
    ("IN_PROGRESS", "FAIL", False),
    ("REJECTED", "FAIL", False),
    ("OPEN", "ERROR", False),
    ("OPEN", "NOT_ASSESSED", False),
    ("OPEN", "SKIPPED", False),
    ("OPEN", "FAIL", True),
    ("RESOLVED", "PASS", True),
)
"""Status, result and whether it is deleted. One result is unknown to Wiz's schema."""

_PLOTS = np.array([
    (0, 0, 0, 0, 0),
    (1, 1, 1, 1, 1),
    (0, 2, 1, 1, 1),
    (0, 1, 0, 0, 1),
    (0, 0, 3, 3, 0),
    (0, 0, 7, 7, 7),
    (1, 8, 8, 8, 8),
    (0, 1, 1, 8, 8),
    (4, 0, 0, 1, 1),
    (5, 5, 5, 5, 5),
    (6, 6, 0, 0, 0),
], dtype=np.int64)  # fmt: skip
"""The state at each step of a finding's life."""

_PLOT_WEIGHTS = (280, 300, 120, 70, 60, 50, 30, 30, 30, 25, 5)
_SINCE = since([[_STATES[state][0] for state in plot] for plot in _PLOTS.tolist()])
_SEVERITIES = ("NONE", "LOW", "MEDIUM", "HIGH", "CRITICAL", "SEVERE")
_SEVERITY_WEIGHTS = (60, 250, 370, 230, 87, 3)
_MISSING_TIMES = ("", "analyzedAt", "updatedAt")
_MISSING_WEIGHTS = (980, 16, 4)


class ConfigurationSource(FindingSource):
    """Configuration findings of a generated tenant."""

    created_name = "firstSeenAt"

    def __init__(self, key: int, first_day: int, volume: int) -> None:
        """See `GeneratedSource`."""
        super().__init__(key, first_day, volume)
        self._shapes = ConfigurationShapes(key)

    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:
        """Of firstSeenAt, updatedAt, analyzedAt and statusChangedAt."""
        if name == self.created_name:
            return self.created(ordinals)
        lives = self.lives(ordinals, now)
        if name == "statusChangedAt":
            return self._status_changed(ordinals, lives)
        moments = lives.begun(lives.step)
        if name == "analyzedAt":
            before = below(mix(self.key, ordinals, 10), 2 * HOUR) // SECOND * SECOND
            moments = np.maximum(self.created(ordinals), moments - before)
        missing = weighted(mix(self.key, ordinals, 9), _MISSING_WEIGHTS)
        return np.where(missing == _MISSING_TIMES.index(name), NEVER, moments)

    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:
        """Of status, result, deleted, severity, rule, subscription and project."""
        if name in ("status", "result", "deleted"):
            place = ("status", "result", "deleted").index(name)
            return self._states(ordinals, self.lives(ordinals, now)), [(state[place],) for state in _STATES]
        if name == "severity":
            return self._severities(ordinals), [(severity,) for severity in _SEVERITIES]
        if name == "rule":
            return self._rules(ordinals), [(rule["id"],) for rule in self._shapes.rules]
        resources = self._shapes.resources
        if name == "subscription":
            return self._resources(ordinals), [(one["subscription"]["id"],) if one else () for one in resources]
        projects = [one["projects"] or () if one else () for one in resources]
        return self._resources(ordinals), [tuple(project["id"] for project in some) for some in projects]

    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:
        """Whole findings as of `now`."""
        hashes, precision = mix(self.key, ordinals, 10), self.precision(ordinals)
        lives = self.lives(ordinals, now)
        states = [_STATES[code] for code in self._states(ordinals, lives).tolist()]
        columns: tuple[list[Any], ...] = (
            ordinals.tolist(),
            hashes.tolist(),
            texts(self.created(ordinals), precision, hashes),
            texts(self.times("analyzedAt", ordinals, now), precision, hashes),
            texts(self.times("updatedAt", ordinals, now), precision, hashes),
            texts(self._status_changed(ordinals, lives), precision, hashes),
            *([state[place] for state in states] for place in range(3)),
            [_SEVERITIES[code] for code in self._severities(ordinals).tolist()],
            self._rules(ordinals).tolist(),
            self._resources(ordinals).tolist(),
        )
        return [self._shapes.node(ConfigurationFacts(*row)) for row in zip(*columns, strict=True)]

    def _plots(self, ordinals: Ordinals) -> Ordinals:
        return weighted(mix(self.key, ordinals, 4), _PLOT_WEIGHTS)

    def _states(self, ordinals: Ordinals, lives: Lives) -> Ordinals:
        states: Ordinals = _PLOTS[self._plots(ordinals), lives.step]
        return states

    def _status_changed(self, ordinals: Ordinals, lives: Lives) -> Micros:
        step = _SINCE[self._plots(ordinals), lives.step]
        return np.where(step > 0, lives.begun(step), NEVER)

    def _severities(self, ordinals: Ordinals) -> Ordinals:
        return weighted(mix(self.key, ordinals, 5), _SEVERITY_WEIGHTS)

    def _rules(self, ordinals: Ordinals) -> Ordinals:
        return below(mix(self.key, ordinals, 6), len(self._shapes.rules))

    def _resources(self, ordinals: Ordinals) -> Ordinals:
        return below(mix(self.key, ordinals, 7), len(self._shapes.resources))
