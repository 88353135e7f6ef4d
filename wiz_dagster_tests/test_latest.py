"""The latest views of a whole tenant: after any order of backfills, changes and sweeps they equal the tenant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.latest_views import VIEWS
from wiz_dagster.landing import manifest
from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import nodes_of_snapshot
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.elasticsearch.latest_helpers import held, land, shown
from wiz_dagster_tests.landing.landing_helpers import zone_at
from wiz_dagster_tests.pipeline import NOW, Pipeline, Run, wiz_environment

OPEN = {"OPEN", "IN_PROGRESS"}
POSTURE = "cloud_configuration_finding_full_posture"
DAYS = [(NOW - timedelta(days=back)).date().isoformat() for back in range(3, -1, -1)]
"""The days of the backfill, the last of which is under way, and today."""


def tenant_of(dataset: str, days_ago: int) -> Tenant:
    """The tenant as it was so many days ago; at whatever time of day, some of its oldest findings changed since."""
    volume = {POSTURE: "cloud_configuration_finding"}.get(dataset, dataset)
    a_day = 120 if dataset == "issue" else 60
    return Tenant(now=NOW - timedelta(days=days_ago), seed=7, days=10 - days_ago, volumes={volume: a_day})


class Views:
    """A pipeline for each namespace over one landing zone, and what a view shows there."""

    def __init__(self, dataset: str, home: Path, wiz: WizEmulator, url: str, client: Elasticsearch) -> None:
        (self.view,) = [view for view in VIEWS if view.dataset == dataset]
        self.landing = home / "landing"
        self._client = client
        self._dataset = dataset
        own = {"ELASTICSEARCH_URL": url, "WIZ_WINDOW_LAG": "0s", "WIZ_PAGE_SIZE": "50"}
        self._pipeline = Pipeline({**wiz_environment(wiz, home), **own})

    def run(self, namespace: str, days: Sequence[str], only: str | None = None) -> list[Run]:
        """Runs of the days in this order, all of which succeed and whose view takes every node."""
        pipeline = replace(self._pipeline, environment={**self._pipeline.environment, "WIZ_NAMESPACE": namespace})
        runs = [pipeline.run(self._dataset, day, only=only) for day in days]
        assert all(run.success for run in runs), [run.errors for run in runs]
        assert all(check.passed for run in runs for check in run.latest_checks.values())
        return runs

    def fail(self, namespace: str, day: str) -> None:
        """A run that fails."""
        pipeline = replace(self._pipeline, environment={**self._pipeline.environment, "WIZ_NAMESPACE": namespace})
        assert not pipeline.run(self._dataset, day).success

    def shown(self, namespace: str) -> set[str]:
        return shown(self._client, namespace, self.view)

    def held(self, namespace: str) -> dict[str, Any]:
        return held(self._client, namespace, self.view)

    def landed(self) -> set[str]:
        """The ids of all findings that were ever landed."""
        zone = zone_at(self.landing, None)
        days = [zone.day(self._dataset, day) for day in zone.days(self._dataset)]
        return {orjson.loads(line)["id"] for day in days for batch in day.batches() for line in batch.lines}

    def forget_receipts(self, day: str) -> None:
        """As after a new mapping: the next run sends the whole day."""
        for receipt in (self.landing / self._dataset / day).glob("receipt.latest.*"):
            receipt.unlink()


Made = Callable[[str, WizEmulator], Views]


@pytest.fixture
def views(tmp_path: Path, elasticsearch: Elasticsearch, elasticsearch_settings: ElasticsearchSettings) -> Made:
    return lambda dataset, wiz: Views(dataset, tmp_path, wiz, elasticsearch_settings.url, elasticsearch)


def open_findings(tenant: Tenant, dataset: str) -> set[str]:
    return {node["id"] for node in nodes_of_snapshot(tenant, dataset) if node["status"] in OPEN}


@pytest.mark.parametrize("dataset", ["issue", "vulnerability"])
def test_the_view_equals_the_tenant_whatever_is_backfilled_in_whatever_order(
    dataset: str, views: Made, namespace: str
) -> None:
    *past, today = DAYS
    ways = (past, past[::-1], [past[1], past[2], past[0]])
    orders = {f"{namespace}{number}": way for number, way in enumerate(ways)}
    earlier, now = tenant_of(dataset, days_ago=1), tenant_of(dataset, days_ago=0)
    with WizEmulator(earlier) as wiz:
        own = views(dataset, wiz)
        own.run(namespace, past, only="raw")
        before = open_findings(earlier, dataset) & own.landed()
        for name, order in orders.items():
            own.run(name, order, only="latest")
            assert own.shown(name) == before
    with WizEmulator(now, port=urlsplit(wiz.api_url).port or 0):
        own.run(namespace, [past[-1], today], only="raw")
    after = open_findings(now, dataset) & own.landed()
    resolved = before - after
    assert resolved
    for name in orders:
        own.run(name, [past[-1], today], only="latest")
        assert own.shown(name) == after
    own.forget_receipts(past[0])
    (again,) = own.run(name, past[:1], only="latest")
    assert again.latest["latest/superseded"] > 0
    assert own.shown(name) == after
    assert resolved < own.held(name).keys()
    (unchanged,) = own.run(name, past[:1], only="latest")
    assert unchanged.latest["latest/bytes"] == 0
    rebuilt = f"{namespace}rebuilt"
    own.run(rebuilt, DAYS[::-1], only="latest")
    assert own.held(rebuilt) == own.held(name)


def land_sweep(own: Views, tenant: Tenant, owner: manifest.Tenant, day: str) -> None:
    zone = zone_at(own.landing, owner)
    land(zone, own.view, day, list(nodes_of_snapshot(tenant, POSTURE)), hour=1)


def test_the_posture_equals_the_newest_complete_sweep(views: Made, namespace: str) -> None:
    *_, before, yesterday, today = DAYS
    names = [f"{namespace}{number}" for number in range(2)]
    with WizEmulator(tenant_of(POSTURE, days_ago=0)) as wiz:
        own = views(POSTURE, wiz)
        owner = manifest.Tenant.of(wiz.api_url, wiz.client_id)
        for day, days_ago in ((before, 2), (yesterday, 1)):
            land_sweep(own, tenant_of(POSTURE, days_ago), owner, day)
        swept = {node["id"] for node in nodes_of_snapshot(tenant_of(POSTURE, 1), POSTURE)}
        for name, order in zip(names, ([before, yesterday], [yesterday, before]), strict=True):
            own.run(name, order, only="latest")
            assert own.shown(name) == swept
        assert own.held(names[0]) == own.held(names[1])

        wiz.faults.add(Fault("status", root="configurationFindings", status=403, skip=2, times=None))
        own.fail(names[0], today)
        own.run(names[0], [before], only="latest")
        assert own.shown(names[0]) == swept

        wiz.faults.clear()
        own.run(names[0], [today])
        own.run(names[1], [today, before, yesterday], only="latest")
        truth = {node["id"] for node in nodes_of_snapshot(tenant_of(POSTURE, 0), POSTURE)}
        assert swept - truth
        for name in names:
            assert own.shown(name) == truth
        assert own.held(names[0]) == own.held(names[1])
        own.forget_receipts(yesterday)
        own.run(names[0], [yesterday], only="latest")
        assert own.shown(names[0]) == truth
