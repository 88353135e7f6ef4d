"""What the tenant truly has at the end, by dataset and day, and what it had at any moment before.

Made by reading every node of the tenant; the emulator's filters, paging and projection have no part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

import numpy as np

from wiz_dagster.sandbox.chaos.states import Compared, State, last_moment_of
from wiz_dagster.sandbox.chaos.tenant import TenantPlan
from wiz_dagster.sandbox.wiz.clock import Clock
from wiz_dagster.sandbox.wiz.late import LateSource
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros
from wiz_dagster.sandbox.wiz.truth import moment_of, nodes_of_snapshot, nodes_of_window

_MICROSECOND = timedelta(microseconds=1)
States = dict[str, State]
"""By Wiz id."""


@dataclass
class Truth:
    """The tenant of `plan`, whose clock has stopped at `now` and never showed a moment before `earliest`."""

    plan: TenantPlan
    earliest: datetime
    now: datetime
    _tenant: Tenant = field(init=False)

    def __post_init__(self) -> None:
        self._tenant = self.plan.tenant(Clock(self.now))

    def by_day(self, dataset: Compared) -> dict[str, States]:
        """The states of each day's nodes, days without any included; of a snapshot, today's only."""
        if dataset.snapshot:
            nodes = nodes_of_snapshot(self._tenant, dataset.name)
            return {self.now.date().isoformat(): {node["id"]: dataset.of_node(node) for node in nodes}}
        days: dict[str, States] = {day: {} for day in self.plan.days_until(self.now)}
        start = datetime.combine(self.plan.first_day, time(), UTC)
        for node in nodes_of_window(self._tenant, dataset.name, start, self.now + _MICROSECOND):
            days[_day_of(node, dataset)][node["id"]] = dataset.of_node(node)
        return days

    def was_ever(self, dataset: Compared, found: Iterable[tuple[str, str, State]]) -> set[tuple[str, str, State]]:
        """Those of the day, id and state given that the tenant showed since `earliest`, though it doesn't any more."""
        rounds: dict[int, dict[str, tuple[str, str, State]]] = defaultdict(dict)
        seen: dict[str, int] = defaultdict(int)
        for day, node_id, state in found:
            rounds[seen[node_id]][node_id] = (day, node_id, state)
            seen[node_id] += 1
        return {one for together in rounds.values() for one in self._shown_once(dataset, together)}

    def _shown_once(
        self, dataset: Compared, found: Mapping[str, tuple[str, str, State]]
    ) -> Iterable[tuple[str, str, State]]:
        """A state was shown if the node was in it when its version began, or when the tenant was first looked at."""
        source = self._tenant.source(dataset.name)
        if not isinstance(source, LateSource):
            raise TypeError("The tenant of a campaign tells late.")
        now = micros(self.now)
        ordinals = source.named(list(found), now)
        known = [node["id"] for node in source.nodes(ordinals, now)]
        delays = source.delays(ordinals)
        since = [last_moment_of(found[node_id][2]) for node_id in known]
        moments = np.maximum(np.array(since, dtype=np.int64) + delays, micros(self.earliest))
        told = source.nodes(ordinals, np.minimum(moments, now))
        for node in told:
            day, node_id, state = found[node["id"]]
            if dataset.of_node(node) == state and _day_of(node, dataset) == day:
                yield day, node_id, state


def _day_of(node: Node, dataset: Compared) -> str:
    moment = moment_of(node, dataset.name)
    return "" if moment is None else moment.astimezone(UTC).date().isoformat()
