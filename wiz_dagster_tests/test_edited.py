"""Issues that are edited without a change of status: the sweep asks for their days, an edit takes the old place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.definitions import build_definitions
from wiz_dagster.elasticsearch.latest_views import VIEWS
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.datasets.nodes import issue
from wiz_dagster_tests.elasticsearch.latest_helpers import held
from wiz_dagster_tests.pipeline import NOW, TODAY, documents_of, pipeline_over

TICK = datetime(NOW.year, NOW.month, NOW.day, 2, 30, tzinfo=UTC)
RAW = dg.AssetKey(["wiz", "raw", "issue"])


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def days_ago(number: int) -> str:
    return (TICK - timedelta(days=number)).date().isoformat()


def asked_for(instance: dg.DagsterInstance, tick: datetime = TICK, **settings: str) -> list[dg.RunRequest]:
    """What a tick of the schedule asks for."""
    environment: Mapping[str, str] = {"WIZ_START_DATE": days_ago(300), **settings}
    with mock.patch.dict(os.environ, environment):
        definitions = build_definitions(environment)
        schedule = definitions.resolve_schedule_def("issue_edited")
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=tick, repository_def=definitions.get_repository_def()
        )
        return list(schedule.evaluate_tick(context).run_requests or ())


def fetch(instance: dg.DagsterInstance, days: Sequence[str | None]) -> None:
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(RAW, partition=day))


def test_an_edit_without_a_change_of_status_takes_the_place_of_what_was_there(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    elasticsearch: Elasticsearch,
    elasticsearch_settings: ElasticsearchSettings,
    namespace: str,
) -> None:
    day = days_ago(40)
    at = {"createdAt": f"{days_ago(50)}T08:00:00Z", "statusChangedAt": f"{day}T09:00:00Z", "status": "OPEN"}
    edited: dict[str, Any] = issue(id="edited", severity="LOW", updatedAt=f"{day}T09:00:00Z", **at)
    other = issue(id="other", severity="LOW", updatedAt=f"{day}T09:00:00Z", **at)
    more = {"ELASTICSEARCH_URL": elasticsearch_settings.url, "WIZ_NAMESPACE": namespace}
    with pipeline_over(Tenant(now=NOW, given={"issue": [edited, other]}), tmp_path, more) as (pipeline, wiz):
        pipeline.instance = instance
        assert pipeline.run("issue", day).success
        edited |= {"severity": "CRITICAL", "updatedAt": f"{days_ago(1)}T10:00:00Z"}
        (request,) = asked_for(instance)
        before = len(wiz.requests)
        run = pipeline.run("issue", str(request.partition_key))
        assert len([one for one in list(wiz.requests)[before:] if one.root]) == 3, "two walks and a token"
    assert run.success, run.errors
    assert all(one.passed for one in (run.checks | run.latest_checks).values() if one.check_name != "drift")
    assert (run.raw["landing/new"], run.ecs["es/created"], run.ecs["es/deleted"]) == (1, 1, 1)
    (view,) = (one for one in VIEWS if one.dataset == "issue")
    streamed = [one["_source"] for one in documents_of(elasticsearch, "issue", namespace, day)]
    latest = [document for _, document in held(elasticsearch, namespace, view).values()]
    for found in (streamed, latest):
        severities = sorted((one["event"]["id"], one["wiz"]["issue"]["severity"]) for one in found)
        assert severities == [("edited", "CRITICAL"), ("other", "LOW")]


def test_every_fetched_day_is_asked_for_again_within_the_interval_and_no_other(instance: dg.DagsterInstance) -> None:
    fetched = [days_ago(number) for number in range(1, 21)]
    asked: list[str | None] = []
    fetch(instance, [*fetched, TODAY])
    for night in range(3):
        requests = asked_for(instance, TICK, WIZ_EDITED_ISSUES_DAYS="3")
        assert len(requests) == 7
        assert all(one.tags["wiz/edited"] == "true" for one in requests), night
        days = [one.partition_key for one in requests]
        fetch(instance, days)
        asked += days
    assert set(asked) == set(fetched)


def test_a_tick_goes_on_with_the_days_that_were_asked_for_longest_ago(instance: dg.DagsterInstance) -> None:
    assert asked_for(instance) == []
    fetch(instance, [days_ago(3), days_ago(9), days_ago(6)])
    assert [one.partition_key for one in asked_for(instance)] == [days_ago(3)]
    fetch(instance, [days_ago(3)])
    assert [one.partition_key for one in asked_for(instance)] == [days_ago(9)]
