"""Full posture, which Wiz tells only as of now: today's sweep, whole, in the place of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest

from wiz_dagster.datasets.cloud_configuration_finding_full_posture import CLOUD_CONFIGURATION_FINDING_FULL_POSTURE
from wiz_dagster.definitions import build_definitions
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import nodes_of_snapshot
from wiz_dagster_tests.pipeline import (
    NOW,
    YESTERDAY,
    Pipeline,
    file_documents,
    pipeline_over,
    small_tenant,
)

POSTURE = CLOUD_CONFIGURATION_FINDING_FULL_POSTURE.name
FILES = {"WIZ_DESTINATION": "files"}


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def finding(number: int) -> dict[str, Any]:
    return {"id": f"finding-{number}", "name": "Bucket is public", "updatedAt": NOW.isoformat(), "status": "OPEN"}


def given(*numbers: int) -> Tenant:
    return Tenant(now=NOW, given={POSTURE: [finding(number) for number in numbers]})


def ids(documents: list[dict[str, Any]]) -> set[str]:
    return {document["event"]["id"] for document in documents}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, Tenant, Path]]:
    """A pipeline over a generated tenant, and where its files go."""
    home, tenant = tmp_path_factory.mktemp("swept"), small_tenant()
    with pipeline_over(tenant, home, FILES) as (pipeline, _):
        yield pipeline, tenant, home


def test_today_holds_every_finding_that_wiz_has_at_the_moment(swept: tuple[Pipeline, Tenant, Path]) -> None:
    pipeline, tenant, home = swept
    run = pipeline.run(POSTURE, today())
    assert run.success, run.errors
    documents = file_documents(home, POSTURE, today())
    assert ids(documents) == {node["id"] for node in nodes_of_snapshot(tenant, POSTURE)}
    assert len(documents) == len(ids(documents)) == run.raw["wiz/nodes"]
    (moment,) = {document["@timestamp"] for document in documents}
    assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(minutes=5)
    assert all(check.passed for name, check in run.checks.items() if name != "drift")


@pytest.mark.parametrize("day", [YESTERDAY, (NOW - timedelta(days=30)).date().isoformat()])
def test_another_day_fails_at_once_for_good_with_the_reason_and_asks_nothing(tmp_path: Path, day: str) -> None:
    with pipeline_over(given(1), tmp_path, FILES) as (pipeline, wiz):
        retrying = Pipeline(pipeline.environment, retry_policy=dg.RetryPolicy(max_retries=2))
        run = retrying.run(POSTURE, day)
        assert not run.success
        assert f"today, {today()} (UTC), can be fetched and {day} can't" in run.errors
        assert not any(event.is_step_up_for_retry for event in run.result.all_events)
        assert wiz.requests == []


def test_a_second_sweep_of_the_day_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with pipeline_over(given(1, 2), tmp_path, FILES) as (pipeline, wiz):
        assert pipeline.run(POSTURE, today()).success
    with pipeline_over(given(2, 3), tmp_path, FILES, port=urlsplit(wiz.api_url).port) as (later, _):
        run = later.run(POSTURE, today())
        assert run.success, run.errors
    assert ids(file_documents(tmp_path, POSTURE, today())) == {"finding-2", "finding-3"}
    assert run.checks["complete"].passed


def test_a_landed_sweep_is_written_again_without_asking_wiz(tmp_path: Path) -> None:
    with pipeline_over(given(1), tmp_path, FILES) as (pipeline, wiz):
        assert pipeline.run(POSTURE, today()).success
        asked = len(wiz.requests)
        assert pipeline.run(POSTURE, today(), only="ecs").success
        assert len(wiz.requests) == asked


def test_a_run_may_not_choose_filters_of_its_own(tmp_path: Path) -> None:
    with pipeline_over(given(1), tmp_path, FILES) as (pipeline, _):
        config = {f"wiz__raw__{POSTURE}": {"config": {"filters": {"severity": ["HIGH"]}}}}
        run = pipeline.run(POSTURE, today(), config=config)
    assert not run.success
    assert "would count as one of all: set its filters in WIZ_CONFIG" in run.errors


def ticks(environment: Mapping[str, str], moment: datetime) -> tuple[list[str | None], str | None]:
    made = build_definitions(environment)
    context = dg.build_schedule_context(scheduled_execution_time=moment, repository_def=made.get_repository_def())
    found = made.resolve_schedule_def(f"{POSTURE}_daily").evaluate_tick(context)
    return [request.partition_key for request in found.run_requests or []], found.skip_message


def test_the_schedule_asks_for_today_and_never_for_a_day_that_is_over() -> None:
    assert ticks({}, datetime.now(UTC))[0] == [today()]
    days, reason = ticks({}, datetime.now(UTC) - timedelta(days=1))
    assert days == []
    assert reason is not None
    assert "for today only" in reason
