"""The job that deletes old records of runs: Dagster keeps them for ever, and a refresh a minute is 1,440 runs a day.

With its run Dagster forgets an event, and with its last materialization that a partition was ever written. So the
newest materialization and the newest attempt of each partition stay, however old, and with them the newest result of
each check. Only finished runs of this code location go. What the job deletes of files is said in `retention.py`.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import (
    AssetRecordsFilter,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunRecord,
    RunsFilter,
)
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter, BulkActionStatus
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

from wiz_dagster.failures import dagster_failures

PRUNE_JOB = "prune_job"
PRUNE_CRON = "30 4 * * *"
"""When the night's fetches and checks are through."""
MOST_RUNS = 5_000
"""Deleted by one run of the job; three days of a refresh a minute, so that it also catches up."""
PAGE = 500
FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
ASSETS_JOB = "__ASSET_JOB"
"""Dagster's own name for the runs of backfills and of what is materialized without naming a job."""
REPOSITORY_TAG = ".dagster/repository"
BACKFILL_TAG = "dagster/backfill"
UNFINISHED_BACKFILLS = [one for one in BulkActionStatus if one not in BULK_ACTION_TERMINAL_STATUSES]


@dataclass(frozen=True)
class Ours:
    """What tells this code location's runs from those of others in the same instance."""

    jobs: Set[str]
    assets: Set[dg.AssetKey]
    checks: Set[dg.AssetCheckKey] = frozenset()
    repository: str | None = None
    """As Dagster's daemon writes it into a run's tags; runs of the command line have none."""

    def made(self, run: DagsterRun) -> bool:
        """Whether a run is of this code location."""
        repository = run.tags.get(REPOSITORY_TAG)
        if repository and self.repository and repository != self.repository:
            return False
        if run.job_name != ASSETS_JOB:
            return run.job_name in self.jobs
        selected = {*(run.asset_selection or ()), *(key.asset_key for key in run.asset_check_selection or ())}
        return bool(selected) and selected <= self.assets


@dataclass(frozen=True)
class Pruned:
    """What a pruning did: runs deleted, old runs that stay, whether more were due, and the oldest run there is now."""

    deleted: int
    kept: int
    more: bool
    oldest: datetime | None


def prune_job(
    ours: Ours, keep_days: int, forget_files: Callable[[Mapping[str, str], datetime], Mapping[str, int]] | None = None
) -> dg.JobDefinition:
    """The job; its own old runs go too. `forget_files` deletes old files by the environment and the present moment."""
    ours = replace(ours, jobs=ours.jobs | {PRUNE_JOB})

    @dg.op(out=dg.Out(dg.Nothing), description="Delete the records of old runs, the oldest first.")
    def prune_runs(context: dg.OpExecutionContext) -> Iterator[dg.Output[None]]:
        repository = context.run.tags.get(REPOSITORY_TAG)
        before = datetime.now(UTC) - timedelta(days=keep_days)
        done = prune(context.instance, replace(ours, repository=repository), before)
        yield dg.Output(None, metadata=_metadata(done))

    @dg.op(out=dg.Out(dg.Nothing), description="Delete the files that were kept as long as the settings say.")
    def prune_files() -> Iterator[dg.Output[None]]:
        with dagster_failures():
            done = forget_files(os.environ, datetime.now(UTC)) if forget_files else {}
        yield dg.Output(None, metadata=dict(done))

    @dg.job(
        name=PRUNE_JOB,
        executor_def=dg.in_process_executor,
        description=f"Delete the records of finished runs after {keep_days} days (WIZ_KEEP_RUNS_DAYS). What says that "
        "a partition was written, or failed last, stays.",
    )
    def prune_old_runs() -> None:
        prune_runs()
        if forget_files:
            prune_files()

    return prune_old_runs


def prune_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Once a day; starts stopped, as is Dagster's way."""
    return dg.ScheduleDefinition(
        name="prune_daily",
        job=job,
        cron_schedule=PRUNE_CRON,
        execution_timezone="UTC",
        description="Delete the records of old runs.",
    )


def prune(instance: DagsterInstance, ours: Ours, created_before: datetime, most: int = MOST_RUNS) -> Pruned:
    """Delete at most `most` of our finished runs that were created before a moment, oldest first.

    Stays: what `runs_to_keep` names, and the runs of a backfill that isn't over.
    """
    keep = runs_to_keep(instance, ours)
    backfills = {one.backfill_id for one in instance.get_backfills(BulkActionsFilter(statuses=UNFINISHED_BACKFILLS))}
    due: list[DagsterRun] = []
    kept, more = 0, False
    for record in _ours(instance, ours, RunsFilter(statuses=FINISHED, created_before=created_before)):
        run = record.dagster_run
        if run.run_id in keep or run.tags.get(BACKFILL_TAG) in backfills:
            kept += 1
        elif len(due) < most:
            due.append(run)
        else:
            more = True
            break
    for run in due:
        _delete(instance, run.run_id)
    oldest = next(_ours(instance, ours, RunsFilter()), None)
    return Pruned(len(due), kept, more, oldest.create_timestamp if oldest else None)


def runs_to_keep(instance: DagsterInstance, ours: Ours) -> set[str]:
    """The runs with the newest materialization and attempt of each partition, or the newest result of each check.

    What Dagster shows of our assets rests on them.
    """
    fetches = {
        DagsterEventType.ASSET_MATERIALIZATION: instance.fetch_materializations,
        DagsterEventType.ASSET_MATERIALIZATION_PLANNED: instance.fetch_planned_materializations,
    }
    keep = set()
    for key in ours.assets:
        for kind, fetch in fetches.items():
            newest = list(instance.get_latest_storage_id_by_partition(key, kind).values())
            for start in range(0, len(newest), PAGE):
                found = fetch(AssetRecordsFilter(key, storage_ids=newest[start : start + PAGE]), limit=PAGE)
                keep |= {record.run_id for record in found.records}
            # Of an asset without partitions there is no newest by partition.
            keep |= {record.run_id for record in fetch(key, limit=1).records}
    results = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(ours.checks))
    return keep | {result.run_id for result in results.values()}


def _ours(instance: DagsterInstance, ours: Ours, chosen: RunsFilter) -> Iterator[RunRecord]:
    """Our runs, oldest first. None may be deleted meanwhile: a page begins where the last one's last run stands."""
    cursor = None
    while records := instance.get_run_records(chosen, limit=PAGE, ascending=True, cursor=cursor):
        yield from (record for record in records if ours.made(record.dagster_run))
        cursor = records[-1].dagster_run.run_id


def _delete(instance: DagsterInstance, run_id: str) -> None:
    """A run with its events, and with what `delete_run` leaves: captured output, check results, an empty database.

    The run goes last but for its database: when a pruning is killed, the next one finds it again.
    """
    storage = instance.event_log_storage
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    if isinstance(storage, SqlEventLogStorage):
        # With a refresh a minute, some 100 MB a day of results that nothing would ever delete.
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
    instance.delete_run(run_id)
    if isinstance(storage, SqliteEventLogStorage):
        database = Path(storage.path_for_shard(run_id))
        for file in (database, *(database.with_name(database.name + suffix) for suffix in ("-wal", "-shm"))):
            file.unlink(missing_ok=True)


def _metadata(done: Pruned) -> dict[str, Any]:
    oldest = dg.MetadataValue.null() if done.oldest is None else dg.MetadataValue.timestamp(done.oldest)
    return {"deleted": done.deleted, "kept": done.kept, "more": done.more, "oldest_left": oldest}
