"""What `prune_job` deletes of a real instance with its files, and what Dagster still knows afterwards."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
import yaml
from dagster import AssetRecordsFilter, DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from wiz_dagster import pruning
from wiz_dagster.definitions import build_definitions
from wiz_dagster.pruning import Ours, prune, prune_job
from wiz_dagster.sandbox.state import deployed_instance
from wiz_dagster_tests.pipeline import TODAY, Pipeline, spool_bodies, webhook_environment

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")
THING = dg.AssetKey("thing")
CHECK = dg.AssetCheckKey(THING, "good")
OURS = Ours(jobs={"thing_job"}, assets={THING}, checks={CHECK})
FAILED = "dagster/fail"


@dg.asset(partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("good", asset="thing")])
def thing(context: dg.AssetExecutionContext) -> Iterator[Any]:
    if FAILED in context.run.tags:
        raise dg.Failure("told to fail", allow_retries=False)
    yield dg.Output(None)
    yield dg.AssetCheckResult(check_name="good", passed=True)


@dg.asset
def stranger() -> None:
    """An asset of another code location."""


EVERYTHING = dg.Definitions(
    assets=[thing, stranger],
    jobs=[dg.define_asset_job("thing_job", [thing]), dg.define_asset_job("stranger_job", [stranger])],
    executor=dg.in_process_executor,
)


@dataclass
class Records:
    """An instance as deployed, and the runs in it."""

    home: Path
    instance: DagsterInstance

    def run(self, day: str | None = None, job: str = "thing_job", days_ago: float = 60, **tags: str) -> str:
        result = EVERYTHING.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=day,
            raise_on_error=False,
            tags={name.replace("__", "/"): text for name, text in tags.items()},
        )
        self.age(result.run_id, days_ago)
        return result.run_id

    def fail(self, day: str, **how: Any) -> str:
        return self.run(day, dagster__fail="yes", **how)

    def materialize(self, asset: str, days_ago: float = 60) -> str:
        """As Dagster's own job does it for a selection of assets."""
        result = EVERYTHING.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            partition_key="2026-01-01" if asset == "thing" else None,
            asset_selection=[dg.AssetKey(asset)],
        )
        self.age(result.run_id, days_ago)
        return result.run_id

    def age(self, run_id: str, days: float) -> None:
        """Let a run be as old as that."""
        created = datetime.now(UTC) - timedelta(days=days)
        with sqlite3.connect(self.home / "history" / "runs.db") as runs:
            text = created.strftime("%Y-%m-%d %H:%M:%S.%f")
            changed = runs.execute("UPDATE runs SET create_timestamp = ? WHERE run_id = ?", (text, run_id))
            assert changed.rowcount == 1

    @property
    def left(self) -> set[str]:
        return {run.run_id for run in self.instance.get_runs()}

    def prune(self, ours: Ours = OURS, **how: Any) -> pruning.Pruned:
        return prune(self.instance, ours, datetime.now(UTC) - timedelta(days=30), **how)

    def files(self, run_id: str) -> list[Path]:
        return [path for path in self.home.rglob("*") if path.is_file() and run_id in str(path)]


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(deployed_instance()))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield Records(tmp_path, instance)


def test_a_superseded_run_goes_with_its_events_its_output_and_its_files(records: Records) -> None:
    old, new = records.run("2026-01-01"), records.run("2026-01-01")
    assert records.files(old)
    done = records.prune()
    assert (done.deleted, done.kept, done.more) == (1, 1, False)
    assert records.left == {new}
    assert records.files(old) == []
    assert records.instance.all_logs(new)
    checked = records.instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    assert {one.run_id for one in checked} == {new}
    assert {one.run_id for one in records.instance.fetch_materializations(THING, limit=10).records} == {new}


def test_no_partition_looks_missing_or_less_failed_afterwards(records: Records) -> None:
    for _ in range(2):
        for day in ("2026-01-01", "2026-01-02"):
            records.run(day)
    records.fail("2026-01-02")
    records.fail("2026-01-03")
    last = records.fail("2026-01-03")
    instance, days = records.instance, DAYS.get_partition_keys()

    def seen() -> tuple[Any, ...]:
        kinds = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        return (
            instance.get_materialized_partitions(THING),
            instance.get_status_by_partition(THING, days, DAYS),
            [instance.get_latest_storage_id_by_partition(THING, kind) for kind in kinds],
            instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK])[CHECK].run_id,
        )

    before = seen()
    assert before[0] == {"2026-01-01", "2026-01-02"}
    done = records.prune()
    assert (done.deleted, done.kept) == (3, 4)
    assert seen() == before
    assert last in records.left
    assert records.prune().deleted == 0


def test_deleting_the_last_materialization_does_make_dagster_forget_the_partition(records: Records) -> None:
    """What the rule about the newest run rests on: were it no longer so, the rule could go."""
    records.instance.delete_run(records.run("2026-01-01"))
    assert records.instance.get_materialized_partitions(THING) == set()


def test_the_newest_materialization_stays_when_later_runs_failed(records: Records) -> None:
    good = records.run("2026-01-01")
    records.fail("2026-01-01")
    failed = records.fail("2026-01-01")
    assert records.prune().deleted == 1
    assert records.left == {good, failed}
    (record,) = records.instance.fetch_materializations(AssetRecordsFilter(THING, ["2026-01-01"]), limit=10).records
    assert record.run_id == good


def test_recent_and_unfinished_runs_stay(records: Records) -> None:
    recent = records.run("2026-01-01", days_ago=29)
    job = EVERYTHING.resolve_job_def("thing_job")
    unfinished = set()
    for status in set(DagsterRunStatus) - {DagsterRunStatus.QUEUED}:
        run = records.instance.create_run_for_job(job, status=status, tags={"dagster/partition": "2026-01-01"})
        records.age(run.run_id, 60)
        if status not in pruning.FINISHED:
            unfinished.add(run.run_id)
    newest = records.run("2026-01-01", days_ago=1)
    done = records.prune()
    assert done.deleted == len(pruning.FINISHED)
    assert records.left == {recent, newest, *unfinished}


def test_runs_of_others_stay_whatever_their_job_is_called(records: Records) -> None:
    others = {
        *(records.run(job="stranger_job") for _ in range(2)),
        *(records.materialize("stranger") for _ in range(2)),
        records.run("2026-01-01", **{".dagster__repository": "__repository__@elsewhere"}),
    }
    ours = {
        records.run("2026-01-01"),
        records.run("2026-01-01", **{".dagster__repository": "__repository__@here"}),
        records.materialize("thing"),
    }
    newest = records.run("2026-01-01", days_ago=1)
    assert records.prune(Ours(OURS.jobs, OURS.assets, OURS.checks, "__repository__@here")).deleted == len(ours)
    assert records.left == {newest, *others}


def test_a_backfill_that_is_not_over_keeps_its_runs(records: Records) -> None:
    running = PartitionBackfill(
        "underway", BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=0.0, partition_names=[]
    )
    records.instance.add_backfill(running)
    part = records.run("2026-01-01", dagster__backfill="underway")
    over = records.run("2026-01-01", dagster__backfill="over")
    newest = records.run("2026-01-01")
    assert records.prune().deleted == 1
    assert records.left == {part, newest}
    assert over not in records.left


def test_the_oldest_go_first_and_a_pruning_is_bounded(records: Records) -> None:
    by_age = [records.run("2026-01-01", days_ago=days) for days in (100, 90, 80, 70)]
    newest = records.run("2026-01-01", days_ago=60)
    with mock.patch.object(pruning, "PAGE", 2):
        done = records.prune(most=3)
        assert (done.deleted, done.more) == (3, True)
        assert records.left == {by_age[3], newest}
        assert done.oldest is not None
        assert abs(datetime.now(UTC) - done.oldest - timedelta(days=70)) < timedelta(hours=1)
        done = records.prune(most=3)
    assert (done.deleted, done.kept, done.more) == (1, 1, False)


def test_a_kill_in_between_leaves_a_run_that_is_found_again(records: Records) -> None:
    old = records.run("2026-01-01")
    records.run("2026-01-01")
    with (
        mock.patch.object(type(records.instance), "delete_run", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        records.prune()
    assert old in records.left
    assert records.prune().deleted == 1
    assert records.files(old) == []


def test_an_asset_without_partitions_keeps_its_newest_run(records: Records) -> None:
    _, newest = [records.run(job="stranger_job") for _ in range(2)]
    assert records.prune(Ours({"stranger_job"}, {dg.AssetKey("stranger")})).deleted == 1
    assert records.left == {newest}


def test_the_job_says_what_it_did_and_forgets_its_own_old_runs(records: Records) -> None:
    records.run("2026-01-01")
    newest = records.run("2026-01-01")
    job = prune_job(OURS, keep_days=30)
    first = job.execute_in_process(instance=records.instance)
    records.age(first.run_id, 31)
    second = job.execute_in_process(instance=records.instance)
    (output,) = [event.step_output_data for event in second.all_events if event.event_type_value == "STEP_OUTPUT"]
    figures = {name: one.value for name, one in output.metadata.items()}
    assert figures.keys() == {"deleted", "kept", "more", "oldest_left"}
    assert (figures["deleted"], figures["kept"], figures["more"]) == (1, 1, False)
    assert records.left == {newest, second.run_id}


def test_the_projects_own_runs_are_pruned_by_the_setting(records: Records, tmp_path: Path) -> None:
    environment = {**webhook_environment(tmp_path), "WIZ_DESTINATION": "files", "WIZ_KEEP_RUNS_DAYS": "7"}
    pipeline = Pipeline(environment, instance=records.instance)
    spool_bodies(environment, [{"id": "d1", "title": "Something", "severity": "HIGH"}])
    runs = [pipeline.run("defend", TODAY).result.run_id for _ in range(3)]
    for run_id, days in zip(runs, (8, 6, 8), strict=True):
        records.age(run_id, days)
    with mock.patch.dict(os.environ, environment):
        job = build_definitions(environment).resolve_job_def("prune_job")
        assert job.execute_in_process(instance=records.instance).success
    assert set(runs) & records.left == set(runs[1:])
    assert records.instance.get_runs_count(RunsFilter(job_name="prune_job")) == 1
