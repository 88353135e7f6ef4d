"""The sensor of the webhook: real ticks against a real instance, and the runs that they ask for.

A real instance, because what a tick knows is what Dagster's records of real runs say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from wiz_dagster.defend import backlog
from wiz_dagster.definitions import build_definitions
from wiz_dagster_tests.pipeline import (
    TODAY,
    YESTERDAY,
    Pipeline,
    Run,
    file_documents,
    spool_bodies,
    webhook_environment,
)


@dataclass
class Watched:
    """A pipeline whose ticks come by hand; the cursor goes from one to the next, as the daemon keeps it."""

    pipeline: Pipeline
    home: Path
    cursor: str | None = None
    keys: list[str] = field(default_factory=list)
    skipped: str | None = None

    def spool(self, *names: str, day: str = TODAY) -> None:
        spool_bodies(self.pipeline.environment, [{"id": name, "triggeringEvents": []} for name in names], day)

    def tick(self) -> list[str]:
        """The days of the runs that a tick asks for."""
        with mock.patch.dict(os.environ, self.pipeline.environment):
            definitions = build_definitions(self.pipeline.environment)
            context = dg.build_sensor_context(
                instance=self.pipeline.instance, cursor=self.cursor, repository_def=definitions.get_repository_def()
            )
            found = definitions.resolve_sensor_def("defend_sensor").evaluate_tick(context)
        self.cursor, self.skipped = found.cursor, found.skip_message
        requests = found.run_requests or []
        self.keys += [request.run_key or "" for request in requests]
        return [request.partition_key or "" for request in requests]

    def run(self, day: str = TODAY) -> Run:
        return self.pipeline.run("defend", day)

    def documents(self, day: str = TODAY) -> list[str]:
        return sorted(one["wiz"]["defend"]["id"] for one in file_documents(self.home, "defend", day))

    def begin_run(self, status: DagsterRunStatus, job: str = "defend_job", *path: str, day: str = TODAY) -> str:
        """A run of the instance that some process works on, or will."""
        definitions = build_definitions({"WIZ_DESTINATION": "files"})
        implicit = job == "__ASSET_JOB"
        made = self.pipeline.instance.create_run_for_job(
            definitions.resolve_implicit_global_asset_job_def() if implicit else definitions.resolve_job_def(job),
            status=status,
            tags={"dagster/partition": day},
            asset_selection=frozenset({dg.AssetKey(path)}) if path else None,
        )
        return made.run_id


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    environment = {**webhook_environment(tmp_path), "WIZ_DESTINATION": "files"}
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watched(Pipeline(environment, instance=instance), tmp_path)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "FIRST_PAUSE", timedelta(0))


def test_the_sensor_looks_every_15_seconds_once_it_is_switched_on() -> None:
    sensor = build_definitions({}).resolve_sensor_def("defend_sensor")
    assert sensor.minimum_interval_seconds == 15
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert sensor.job_name == "defend_job"


def test_without_a_spool_a_tick_skips_and_names_the_setting(watched: Watched) -> None:
    assert watched.tick() == []
    assert watched.skipped
    assert "WIZ_DEFEND_SPOOL" in watched.skipped
    assert not (watched.home / "spool").exists()


def test_new_events_get_one_run_and_their_documents(watched: Watched) -> None:
    watched.spool("a", "b")
    assert watched.tick() == [TODAY]
    assert watched.run().success
    assert watched.documents() == ["a", "b"]
    assert watched.tick() == []
    watched.spool("c")
    assert watched.tick() == [TODAY]
    assert watched.run().success
    assert watched.documents() == ["a", "b", "c"]
    assert len(set(watched.keys)) == 2


def test_each_day_gets_a_run_of_its_own(watched: Watched) -> None:
    watched.spool("new")
    watched.spool("old", day=YESTERDAY)
    assert watched.tick() == [YESTERDAY, TODAY]


def test_events_of_a_run_that_failed_to_land_come_again(watched: Watched, no_pause: None) -> None:
    watched.spool("a")
    assert watched.tick() == [TODAY]
    (watched.home / "landing").write_text("no folder")
    assert not watched.run().success
    assert watched.tick() == [TODAY]
    (watched.home / "landing").unlink()
    assert watched.run().success
    assert watched.documents() == ["a"]
    assert watched.tick() == []
    assert [key.split("/")[2] for key in watched.keys] == ["1", "2"]


def test_landed_events_whose_documents_failed_come_again(watched: Watched, no_pause: None) -> None:
    watched.spool("a")
    assert watched.tick() == [TODAY]
    documents = watched.home / "landing" / "documents"
    documents.parent.mkdir(mode=0o700)
    documents.write_text("no folder")
    assert not watched.run().success
    assert not any((watched.home / "spool" / TODAY).glob("*"))
    assert watched.tick() == [TODAY]
    watched.cursor = "lost"
    assert watched.tick() == [TODAY]
    documents.unlink()
    assert watched.run().success
    assert watched.documents() == ["a"]
    assert watched.tick() == []


def test_a_failed_run_is_not_tried_again_at_once(watched: Watched) -> None:
    watched.spool("a")
    assert watched.tick() == [TODAY]
    assert watched.tick() == []
    assert watched.skipped
    assert "it is tried again at" in watched.skipped


@pytest.mark.parametrize(
    "status",
    [
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    ],
)
def test_no_run_is_asked_for_while_one_is_in_flight(watched: Watched, status: DagsterRunStatus) -> None:
    watched.begin_run(status)
    watched.spool("a")
    watched.spool("b", day=YESTERDAY)
    assert watched.tick() == [YESTERDAY]


@pytest.mark.parametrize("path", [("wiz", "raw", "defend"), ("wiz", "defend")])
def test_a_backfill_in_flight_counts_as_well(watched: Watched, path: tuple[str, ...]) -> None:
    watched.begin_run(DagsterRunStatus.STARTED, "__ASSET_JOB", *path)
    watched.spool("a")
    assert watched.tick() == []


def test_a_run_of_another_dataset_or_of_the_past_does_not_count(watched: Watched) -> None:
    watched.begin_run(DagsterRunStatus.STARTED, "audit_job")
    watched.begin_run(DagsterRunStatus.STARTED, "__ASSET_JOB", "wiz", "raw", "audit")
    watched.begin_run(DagsterRunStatus.CANCELED)
    watched.spool("a")
    assert watched.tick() == [TODAY]


def test_once_the_run_in_flight_has_ended_its_events_are_taken_up(watched: Watched) -> None:
    run_id = watched.begin_run(DagsterRunStatus.STARTED)
    watched.spool("a")
    assert watched.tick() == []
    run = watched.pipeline.instance.get_run_by_id(run_id)
    assert run
    watched.pipeline.instance.report_run_failed(run)
    assert watched.tick() == [TODAY]


def test_days_before_the_first_partition_wait_for_a_setting(watched: Watched) -> None:
    watched.spool("old", day="2020-01-01")
    assert watched.tick() == []
    assert watched.skipped
    assert "WIZ_START_DATE" in watched.skipped
    assert any((watched.home / "spool" / "2020-01-01").iterdir())


def test_a_damaged_segment_is_tried_once_more_and_then_left(watched: Watched, no_pause: None) -> None:
    watched.spool("a")
    spool_bodies(watched.pipeline.environment, [b"not JSON"])
    for _ in range(2):
        assert watched.tick() == [TODAY]
        assert watched.run().success
    assert watched.tick() == []
    assert watched.skipped
    assert "can't be read" in watched.skipped
    assert watched.documents() == ["a"]


def test_a_broken_cursor_loses_nothing(watched: Watched) -> None:
    watched.spool("a")
    watched.cursor = '{"days": "none'
    assert watched.tick() == [TODAY]
