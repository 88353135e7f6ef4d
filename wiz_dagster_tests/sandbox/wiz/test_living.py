from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from wiz_dagster.datasets.base import FINDING_STATUSES
from wiz_dagster.sandbox.wiz.changing import Hurry
from wiz_dagster.sandbox.wiz.clock import Clock
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import SECOND, micros
from wiz_dagster.sandbox.wiz.truth import nodes_of_window

from .conftest import NOW, Start
from .test_findings import VULNERABILITIES

TODAY = NOW.replace(hour=0, minute=0)
MINUTES = timedelta(minutes=30)
VOLUMES = {"vulnerability": 2000, "issue": 300}


def _state(node: dict[str, Any]) -> tuple[Any, Any]:
    return node.get("updatedAt"), node.get("status")


def _states(tenant: Tenant, dataset: str) -> dict[str, tuple[Any, Any]]:
    nodes = nodes_of_window(tenant, dataset, TODAY, tenant.now + timedelta(seconds=1))
    return {node["id"]: _state(node) for node in nodes}


def test_a_walk_gets_what_a_tenant_that_tells_late_has_told_so_far(start: Start) -> None:
    tenant = Tenant(now=NOW, days=4, volumes=VOLUMES, late=True, hurry=Hurry(micros(NOW - MINUTES), 1800 * SECOND, 500))
    today = {"after": (TODAY - timedelta(microseconds=1)).isoformat()}
    walked = start(tenant).walk(VULNERABILITIES, filterBy={"updatedAt": today, "status": list(FINDING_STATUSES)})
    assert {node["id"]: _state(node) for node in walked} == _states(tenant, "vulnerability")


def test_what_is_told_late_bears_the_time_at_which_it_happened() -> None:
    prompt, late = (Tenant(now=NOW, days=4, volumes=VOLUMES, late=late) for late in (False, True))
    there, told = _states(prompt, "vulnerability"), _states(late, "vulnerability")
    assert there.keys() - told.keys()
    an_hour_on = _states(Tenant(now=NOW + timedelta(hours=1), days=4, volumes=VOLUMES, late=True), "vulnerability")
    assert all(an_hour_on.get(one, there[one]) >= there[one] for one in there)
    assert {one for one in there.keys() - told.keys() if an_hour_on.get(one) == there[one]}


def test_in_a_hurry_more_changes_and_what_was_before_stays() -> None:
    hurry = Hurry(micros(NOW), 600 * SECOND, 500)
    before, hurried = (Tenant(now=NOW, days=4, volumes=VOLUMES, hurry=one) for one in (None, hurry))
    for dataset in VOLUMES:
        assert _states(before, dataset) == _states(hurried, dataset)
    later = NOW + timedelta(minutes=10)
    usual, busy = (Tenant(now=later, days=4, volumes=VOLUMES, hurry=one) for one in (None, hurry))
    for dataset in VOLUMES:
        assert len(_states(busy, dataset)) > len(_states(usual, dataset)) + 20


def test_a_clock_that_is_set_ahead_and_back_stops_at_the_latest_moment_it_showed(start: Start) -> None:
    caller = start(Tenant(now=NOW, days=1, live=True))
    control = f"{caller.emulator.url}/control/clock"
    requests.post(control, json={"ahead": 90}, timeout=20)
    behind = requests.post(control, json={"ahead": -60}, timeout=20).json()
    assert datetime.fromisoformat(behind["now"]) < NOW
    stopped = requests.post(control, json={"stop": True}, timeout=20).json()
    assert datetime.fromisoformat(stopped["now"]) >= NOW + timedelta(seconds=90)
    assert stopped["now"] == requests.get(control, timeout=20).json()["now"] == stopped["latest"]


def test_a_clock_that_stands_still_shows_its_moment() -> None:
    assert Clock(NOW).now == Clock(NOW).stop() == NOW.astimezone(UTC)
