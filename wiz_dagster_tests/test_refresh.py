"""The refresh: what it asks Wiz for, that nothing falls between two of them, and when the schedule asks for one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.remote_origin import RemoteJobOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from elasticsearch import Elasticsearch

from wiz_dagster import assets, definitions
from wiz_dagster.definitions import build_definitions
from wiz_dagster.errors import SettingsError
from wiz_dagster.recovery import set_pool_limit
from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import nodes_of_day
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import (
    NOW,
    YESTERDAY,
    Pipeline,
    Run,
    documents_of,
    file_documents,
    pipeline_over,
    small_tenant,
    wiz_environment,
)

FILES = {"WIZ_DESTINATION": "files"}
MIDNIGHT = datetime.fromisoformat(YESTERDAY).replace(tzinfo=UTC)
"""Where the tests' day begins."""
REFRESHED = ("audit", "issue", "vulnerability", "cloud_configuration_finding", "detection")


def at(clock: str) -> datetime:
    """A time of the tests' day, HH:MM:SS."""
    return datetime.fromisoformat(f"{YESTERDAY}T{clock}+00:00")


def entry(name: str, clock: str) -> dict[str, Any]:
    return {"id": name, "timestamp": at(clock).isoformat().replace("+00:00", "Z"), "status": "SUCCESS"}


@contextmanager
def present(moment: datetime) -> Iterator[None]:
    """The runs' present."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    with mock.patch.object(assets, "datetime", Clock):
        yield


@dataclass
class Scene:
    """A pipeline of files whose tenant and present moment the test chooses, run by run."""

    home: Path
    more: Mapping[str, str]
    port: int | None = None

    def refresh(
        self, clock: datetime, *entries: dict[str, Any], faults: Sequence[Fault] = (), **config: Any
    ) -> tuple[Run, list[tuple[str, str]]]:
        """A refresh of the audit log; the run, and the windows that Wiz was asked for (asked a little wider)."""
        tenant = Tenant(now=NOW, given={"audit": list(entries)})
        port = {"port": self.port} if self.port else {}
        with pipeline_over(tenant, self.home, self.more, **port) as (pipeline, wiz), present(clock):
            self.port = urlsplit(wiz.api_url).port
            wiz.faults.add(*faults)
            raw = {"since_last": True, **config}
            run = pipeline.run("audit", config={"wiz__raw__audit": {"config": raw}})
            asked = [one.variables["filterBy"]["timestamp"] for one in wiz.requests if one.root == "auditLogEntries"]
        return run, [(one["after"][11:19], one["before"][11:19]) for one in asked]

    def held(self) -> set[str]:
        return {one["event"]["id"] for one in file_documents(self.home)}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, FILES)


FIRST, SECOND, THIRD = at("10:00:00"), at("10:05:00"), at("10:10:00")
WHOLE_AT_FIRST = [("23:59:59", "10:00:00")]
"""From midnight until now, without the lag, less the millisecond that is asked for too."""


def test_a_refresh_asks_for_what_the_last_fetch_did_not_cover_and_ten_minutes_more(scene: Scene) -> None:
    early, new = entry("early", "03:00:00"), entry("new", "10:03:00")
    run, asked = scene.refresh(FIRST, early, new)
    assert (asked, scene.held()) == (WHOLE_AT_FIRST, {"early"}), run.errors
    run, asked = scene.refresh(SECOND, early, new)
    assert asked == [("09:49:59", "10:05:00")]
    assert scene.held() == {"early", "new"}
    assert run.raw["wiz/window"].startswith(f"{YESTERDAY}T09:50:00")
    assert run.raw["wiz/nodes"] == run.checks["wiz_count"].metadata["wiz_count"].value == 1


def test_what_wiz_indexes_late_comes_with_the_overlap(scene: Scene) -> None:
    scene.refresh(FIRST, entry("early", "03:00:00"))
    scene.refresh(SECOND, entry("early", "03:00:00"), entry("late", "09:52:00"))
    assert scene.held() == {"early", "late"}


def test_what_comes_later_still_is_brought_by_a_fetch_of_the_whole_day(scene: Scene) -> None:
    late = entry("very-late", "07:00:00")
    scene.refresh(FIRST, entry("early", "03:00:00"))
    scene.refresh(SECOND, entry("early", "03:00:00"), late)
    assert scene.held() == {"early"}
    _, asked = scene.refresh(THIRD, entry("early", "03:00:00"), late, since_last=False)
    assert asked == [("23:59:59", "10:09:30")]
    assert scene.held() == {"early", "very-late"}


def test_a_refresh_after_one_that_failed_leaves_no_gap(scene: Scene) -> None:
    scene.refresh(FIRST)
    failed, _ = scene.refresh(at("11:00:00"), entry("missed", "10:30:00"), faults=[Fault("error", code="UNAUTHORIZED")])
    assert not failed.success
    _, asked = scene.refresh(at("12:00:00"), entry("missed", "10:30:00"))
    assert asked == [("09:49:59", "12:00:00")]
    assert scene.held() == {"missed"}


def test_a_fetch_that_lacked_nodes_is_none_to_build_on(scene: Scene) -> None:
    found = entry("found", "03:00:00")
    scene.refresh(FIRST, found, faults=[Fault("null_nodes", count=1)])
    _, asked = scene.refresh(SECOND, found)
    assert asked == [("23:59:59", "10:05:00")]
    _, asked = scene.refresh(THIRD, found)
    assert asked == [("09:54:59", "10:10:00")]


def test_other_filters_ask_for_the_whole_day_and_spoil_nothing(scene: Scene) -> None:
    scene.refresh(FIRST)
    narrow = {"filters": {"status": ["FAILED"]}}
    _, asked = scene.refresh(SECOND, **narrow)
    assert asked == [("23:59:59", "10:05:00")]
    _, asked = scene.refresh(THIRD)
    assert asked == [("09:49:59", "10:10:00")]
    _, asked = scene.refresh(THIRD, **narrow)
    assert asked == [("09:54:59", "10:10:00")]


def test_a_day_that_is_over_is_closed_by_one_more_refresh(scene: Scene) -> None:
    scene.refresh(at("23:55:00"))
    _, asked = scene.refresh(MIDNIGHT + timedelta(days=1, minutes=5), entry("last", "23:59:59"))
    assert asked == [("23:44:59", "00:00:00")]
    assert scene.held() == {"last"}


def test_a_day_fetched_more_often_than_its_manifest_remembers_is_still_known_to_be_covered(scene: Scene) -> None:
    scene.refresh(FIRST)
    with mock.patch("wiz_dagster.landing.manifest.KEPT_FETCHES", 1):
        scene.refresh(SECOND)
    _, asked = scene.refresh(THIRD)
    assert asked == [("09:54:59", "10:10:00")]


# The schedule


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        yield instance


def tick(
    instance: DagsterInstance, moment: datetime, environment: Mapping[str, str] | None = None, name: str = "refresh"
) -> dg.ScheduleExecutionData | Any:
    made = build_definitions(environment or {})
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=moment, repository_def=made.get_repository_def()
    )
    return made.resolve_schedule_def(name).evaluate_tick(context)


def days(found: Any) -> list[str]:
    return [request.partition_key for request in found.run_requests or []]


def test_the_schedule_is_off_and_its_interval_a_setting() -> None:
    schedule = build_definitions({}).resolve_schedule_def("refresh")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("*/5 * * * *", "UTC")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    for minutes, cron in (("1", "*/1 * * * *"), ("30", "*/30 * * * *"), ("60", "0 * * * *")):
        assert build_definitions({"WIZ_REFRESH_MINUTES": minutes}).resolve_schedule_def("refresh").cron_schedule == cron


@pytest.mark.parametrize("minutes", ["0", "7", "61", "120", "-5", "often"])
def test_an_interval_that_does_not_divide_an_hour_is_refused_by_name(minutes: str) -> None:
    with pytest.raises(SettingsError, match="WIZ_REFRESH_MINUTES"):
        build_definitions({"WIZ_REFRESH_MINUTES": minutes})


def test_a_refresh_is_one_run_of_all_that_can_be_asked_for_its_news(instance: DagsterInstance) -> None:
    job = build_definitions({}).resolve_job_def("refresh_job")
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    views = {"wiz/latest/issue", "wiz/latest/vulnerability"}
    assert keys == {f"wiz/{kind}{name}" for name in REFRESHED for kind in ("raw/", "")} | views
    (request,) = tick(instance, datetime(2026, 3, 3, 9, 25, tzinfo=UTC)).run_requests
    assert request.partition_key == "2026-03-03"
    assert "2026-03-03T09:25" in request.run_key
    assert int(job.tags["dagster/priority"]) > 0
    assert all(request.run_config["ops"][f"wiz__raw__{name}"]["config"]["since_last"] for name in REFRESHED)


@pytest.mark.parametrize(
    ("interval", "clock", "wanted"),
    [
        ("5", "00:00", ["02", "03"]),
        ("5", "00:10", ["02", "03"]),
        ("5", "00:15", ["03"]),
        ("30", "00:30", ["02", "03"]),
        ("60", "01:00", ["02", "03"]),
        ("60", "02:00", ["03"]),
        ("5", "23:55", ["03"]),
    ],
)
def test_after_midnight_the_day_before_is_closed(
    instance: DagsterInstance, interval: str, clock: str, wanted: list[str]
) -> None:
    moment = datetime.fromisoformat(f"2026-03-03T{clock}:00+00:00")
    found = days(tick(instance, moment, {"WIZ_REFRESH_MINUTES": interval}))
    assert found == [f"2026-03-{day}" for day in wanted]


def test_the_first_day_of_all_has_no_day_before(instance: DagsterInstance) -> None:
    first = tick(instance, datetime(2026, 3, 3, 0, 5, tzinfo=UTC), {"WIZ_START_DATE": "2026-03-03"})
    assert days(first) == ["2026-03-03"]


def begin(instance: DagsterInstance, job: str, day: str, status: DagsterRunStatus) -> dg.DagsterRun:
    return instance.create_run_for_job(
        build_definitions({}).resolve_job_def(job), status=status, tags={"dagster/partition": day}
    )


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])
def test_a_tick_skips_while_the_refresh_before_is_under_way(
    instance: DagsterInstance, status: DagsterRunStatus
) -> None:
    moment = datetime(2026, 3, 3, 9, 25, tzinfo=UTC)
    run = begin(instance, "refresh_job", "2026-03-03", status)
    found = tick(instance, moment)
    assert days(found) == []
    assert "2026-03-03 is still under way" in found.skip_message
    instance.report_run_failed(run)
    assert days(tick(instance, moment)) == ["2026-03-03"]


def test_another_days_refresh_and_a_fetch_of_the_whole_day_keep_none_away(instance: DagsterInstance) -> None:
    begin(instance, "refresh_job", "2026-03-02", DagsterRunStatus.STARTED)
    begin(instance, "audit_job", "2026-03-03", DagsterRunStatus.STARTED)
    assert days(tick(instance, datetime(2026, 3, 3, 0, 5, tzinfo=UTC))) == ["2026-03-03"]


def test_a_dataset_with_a_first_day_of_its_own_has_a_refresh_of_its_own(
    instance: DagsterInstance, tmp_path: Path
) -> None:
    config = tmp_path / "wiz.yaml"
    config.write_text("datasets: {issue: {start_date: 2026-03-01}, detection: {enabled: false}}")
    environment = {"WIZ_CONFIG": str(config)}
    made = build_definitions(environment)
    together = {key.path[-1] for key in made.resolve_job_def("refresh_job").asset_layer.executable_asset_keys}
    assert together == {"audit", "vulnerability", "cloud_configuration_finding"}
    assert days(tick(instance, datetime(2026, 3, 1, 0, 5, tzinfo=UTC), environment, "refresh_issue")) == ["2026-03-01"]


def queue(instance: DagsterInstance, origin: RemoteJobOrigin, job: str, day: str, **tags: str) -> None:
    made = build_definitions({})
    implicit = job == "__ASSET_JOB"
    definition = made.resolve_implicit_global_asset_job_def() if implicit else made.resolve_job_def(job)
    instance.create_run_for_job(
        definition,
        status=DagsterRunStatus.QUEUED,
        tags={**definition.tags, "dagster/partition": day, **tags},
        remote_job_origin=origin,
        asset_selection=frozenset({dg.AssetKey(["wiz", "raw", "audit"])}) if implicit else None,
    )


def test_a_refresh_starts_beside_a_long_backfill_and_the_nights_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text((Path(definitions.__file__).parent / "dagster.yaml").read_text())
    monkeypatch.setattr(DefaultRunLauncher, "launch_run", lambda *_: None)
    target = ModuleTarget("wiz_dagster.definitions", attribute=None, working_directory=None, location_name="wiz")
    with DagsterInstance.from_config(str(tmp_path)) as instance, WorkspaceProcessContext(instance, target) as workspace:
        set_pool_limit(instance)
        (location,) = workspace.create_request_context().code_locations
        repository = next(iter(location.get_repositories().values()))

        def waiting(job: str, days: Sequence[int], **tags: str) -> None:
            origin = repository.get_full_job(job).get_remote_origin()
            for day in days:
                queue(instance, origin, job, f"2026-03-0{day}", **tags)

        def started() -> list[str]:
            list(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(workspace))
            runs = instance.get_runs(dg.RunsFilter(statuses=[DagsterRunStatus.STARTING]))
            return sorted(run.job_name for run in runs)

        waiting("__ASSET_JOB", range(1, 6), **{"dagster/backfill": "long"})
        waiting("audit_job", range(1, 4))
        assert started() == ["__ASSET_JOB", "__ASSET_JOB", "audit_job"]
        waiting("refresh_job", [9])
        assert started() == ["__ASSET_JOB", "__ASSET_JOB", "audit_job", "refresh_job"]


# All of it, into Elasticsearch


@pytest.fixture
def everything(
    tmp_path: Path, elasticsearch_settings: ElasticsearchSettings, namespace: str
) -> Iterator[tuple[Pipeline, WizEmulator]]:
    more = {"ELASTICSEARCH_URL": elasticsearch_settings.url, "WIZ_NAMESPACE": namespace}
    with WizEmulator(small_tenant()) as wiz:
        yield Pipeline({**wiz_environment(wiz, tmp_path), **more}), wiz


def test_refreshes_of_a_day_bring_all_of_it_each_node_once(
    everything: tuple[Pipeline, WizEmulator],
    instance: DagsterInstance,
    elasticsearch: Elasticsearch,
    namespace: str,
) -> None:
    pipeline, wiz = everything
    (request,) = tick(instance, at("20:05:00"), pipeline.environment).run_requests
    for moment in (at("20:05:00"), at("20:10:00"), MIDNIGHT + timedelta(days=1, minutes=5)):
        with present(moment), mock.patch.dict(os.environ, pipeline.environment):
            job = build_definitions(pipeline.environment).resolve_job_def("refresh_job")
            result = job.execute_in_process(
                instance=pipeline.instance, partition_key=request.partition_key, run_config=request.run_config
            )
        assert result.success
        assert all(one.passed for one in result.get_asset_check_evaluations() if one.check_name != "drift")
    for name in REFRESHED:
        held = [one["_source"]["event"]["id"] for one in documents_of(elasticsearch, name, namespace)]
        assert sorted(held) == sorted({node["id"] for node in nodes_of_day(wiz.tenant, name, YESTERDAY)})
