"""What an instance needs before its daemon starts: no run that only seems to run, and a limit on the pool `wiz_api`.

A run that was killed together with whatever watched it stays STARTED for ever, and with it one of the pool's places;
nothing in Dagster notices before `max_runtime_seconds`. Whether a run lives is told by the process id that Dagster
writes into the run's engine events, so this is for the machine that runs the runs; where several machines share an
instance, `max_runtime_seconds` has to do.
"""

from __future__ import annotations

import time

import dagster as dg
import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter

POOL = "wiz_api"
POOL_LIMIT = 4
"""Runs that ask Wiz at once; the request budget, not this, is what guards Wiz.

One more than the backfills' and nightly runs that `dagster.yaml` lets run at once, so that a refresh always finds a
place.
"""
IN_PROGRESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
START_SECONDS = 60.0
"""How long a run may take to write down its process id."""


def fail_abandoned_runs(instance: DagsterInstance) -> list[str]:
    """Fail the runs of this machine that no process runs any more, free their slots, return their ids."""
    failed = []
    for record in instance.get_run_records(RunsFilter(statuses=IN_PROGRESS)):
        run = record.dagster_run
        if _lives(instance, run.run_id, record.update_timestamp.timestamp()):
            continue
        instance.report_run_failed(run, "The process of this run is gone; the run was killed. Run it again.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        failed.append(run.run_id)
    return failed


def set_pool_limit(instance: DagsterInstance) -> int | None:
    """The limit of the pool; set to `POOL_LIMIT` where nobody has set one and the instance counts runs.

    Without it the first look at the queue on a fresh instance starts every run: a default applies only from then on.
    Where the instance counts steps none is set, for a step's slot outlives a killed run and blocks the next one.
    """
    limit = pool_limit(instance)
    if limit is None and counts_runs(instance):
        instance.event_log_storage.set_concurrency_slots(POOL, POOL_LIMIT)
        return POOL_LIMIT
    return limit


def counts_runs(instance: DagsterInstance) -> bool:
    """Whether `concurrency.pools.granularity` of the instance is `run`."""
    granularity = instance.get_concurrency_config().pool_config.pool_granularity
    return granularity is not None and granularity.value == "run"


def pool_limit(instance: DagsterInstance) -> int | None:
    """The limit that somebody set for the pool, or None."""
    limits = instance.event_log_storage.get_pool_limits()
    return next((pool.limit for pool in limits if pool.name == POOL and not pool.from_default), None)


def prepare(instance: DagsterInstance) -> list[str]:
    """Both of the above; the ids of the runs that were failed."""
    set_pool_limit(instance)
    return fail_abandoned_runs(instance)


def _lives(instance: DagsterInstance, run_id: str, updated: float) -> bool:
    """Whether the run's process exists and isn't a younger one that was given the same id."""
    process = _process(instance, run_id)
    if process is None:
        return time.time() - updated < START_SECONDS
    pid, written = process
    try:
        found = psutil.Process(pid)
        return bool(found.create_time() <= written + 1 and found.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _process(instance: DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """The process id that the run wrote down last, and when (seconds since 1970)."""
    records = instance.get_records_for_run(run_id, of_type=DagsterEventType.ENGINE_EVENT, ascending=False).records
    for record in records:
        event = record.event_log_entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if isinstance(pid, dg.TextMetadataValue) and pid.text and pid.text.isdigit():
            return int(pid.text), record.event_log_entry.timestamp
    return None
