"""A generated tenant that lives in real time: its emulator in a process of its own, and what happens, told without it.

Both are the same tenant: its nodes follow from the seed, the days and the volumes, its present is the clock.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np

from wiz_dagster.sandbox.processes import free_port
from wiz_dagster.sandbox.services import wiz_environment
from wiz_dagster.sandbox.wiz.defend_bodies import CREATED, UPDATED, AutomationRule, body
from wiz_dagster.sandbox.wiz.roots import BY_DATASET
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros
from wiz_dagster.sandbox.wiz.truth import moment_of

SEED = 11
DAYS = 14
VOLUMES = {
    "audit": 12_000,
    "issue": 6_000,
    "vulnerability": 6_000,
    "cloud_configuration_finding": 6_000,
    "detection": 3_000,
}
"""Nodes a day; findings change some two times each besides. In all some fifty events a minute."""
RULE = AutomationRule("latency", "Detections, as they come")


class Event(NamedTuple):
    """A node came into being or changed: which one, and when, by its own time."""

    dataset: str
    id: str
    moment: datetime


def live_tenant(today: date) -> Tenant:
    """The tenant, whose last whole day is the one before `today`."""
    now = datetime.now(UTC)
    return Tenant(now=now, seed=SEED, days=DAYS + (now.date() - today).days, volumes=VOLUMES, live=True)


@contextmanager
def running_emulator(today: date) -> Iterator[dict[str, str]]:
    """The tenant's emulator in another process; the settings with which a client reaches it."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(today, port), daemon=True)
    process.start()
    try:
        yield wiz_environment(WizEmulator(live_tenant(today), port=port))
    finally:
        process.terminate()
        process.join()


def _serve(today: date, port: int) -> None:
    WizEmulator(live_tenant(today), port=port).run(ready=lambda _: None)


class Happenings:
    """What happens in the tenant, from `since` on, told each time for the time since the last one."""

    def __init__(self, tenant: Tenant, since: datetime) -> None:
        self._tenant = tenant
        self._since = since

    def new(self) -> list[tuple[Event, Node]]:
        """Each with its node as it is now."""
        since, now = self._since, self._tenant.now
        self._since = now
        return [(event, node) for name in VOLUMES for event, node in self._of(name, since, now)]

    def _of(self, dataset: str, since: datetime, now: datetime) -> Iterator[tuple[Event, Node]]:
        source = self._tenant.source(dataset)
        after, before = bounds = (micros(since) - 1, micros(now))
        found: set[int] = set()
        for name in BY_DATASET[dataset].day_fields:
            for block in source.blocks({name: bounds}, before):
                times = source.times(name, block, before)
                found.update(block[(times > after) & (times < before)].tolist())
        for node in source.nodes(np.array(sorted(found), dtype=np.int64), before):
            moment = moment_of(node, dataset)
            if moment is not None and since <= moment < now:
                yield Event(dataset, node["id"], moment), node


def webhook_body(node: Node) -> tuple[str, Node]:
    """What Wiz posts when a detection came or changed: its kind, and the body."""
    kind = UPDATED if node["updatedAt"] != node["createdAt"] else CREATED
    return kind, body(node, kind, RULE)
