"""The sensor that turns spooled webhook events into runs of `defend_job`.

A tick gathers what the spool and Dagster's records say; what follows from it is decided by the pure function in
`defend/backlog.py`. The sensor starts stopped, as is Dagster's way.
"""

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from wiz_dagster.assets import ecs_key, raw_key
from wiz_dagster.datasets.defend import DEFEND
from wiz_dagster.defend.backlog import DayState, plan, remembered_days
from wiz_dagster.defend.settings import read_spool_settings
from wiz_dagster.defend.spool import Segment, segments

SENSOR = "defend_sensor"
INTERVAL_SECONDS = 15
PARTITION_TAG = "dagster/partition"
WHOLE_JOBS = {f"{DEFEND.name}_job", "__ASSET_JOB"}
"""The dataset's own job, and the implicit one of backfills."""
UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
START_PATIENCE = timedelta(minutes=10)
"""A run that is older and was never started won't be: what made it died before it could."""


def defend_sensor(job_name: str, partitions: dg.DailyPartitionsDefinition) -> dg.SensorDefinition:
    """A sensor that asks for a run of each day with new events, with events of a failed run, or not yet written."""

    @dg.sensor(
        name=SENSOR,
        job_name=job_name,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description="Land and write what the receiver has spooled (WIZ_DEFEND_SPOOL), within a minute.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now(UTC)
        spool = read_spool_settings(os.environ).spool
        days = day_states(context.instance, segments(spool), context.cursor, now)
        planned = plan(days, context.cursor, now, partitions.start.date().isoformat())
        requests = [dg.RunRequest(run_key=one.run_key, partition_key=one.day) for one in planned.launches]
        waiting = "; ".join(planned.waiting) or f"Nothing waits in the spool {spool} (WIZ_DEFEND_SPOOL)."
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else waiting, cursor=planned.cursor)

    return look


def day_states(
    instance: DagsterInstance, spooled: Iterable[Segment], cursor: str | None, now: datetime
) -> dict[str, DayState]:
    """What the spool and Dagster's records say of each day that is spooled, remembered, today or yesterday."""
    by_day = {day: list(of_day) for day, of_day in groupby(sorted(spooled, key=attrgetter("day")), attrgetter("day"))}
    lately = {(now - timedelta(days=back)).date().isoformat() for back in (0, 1)}
    days = by_day.keys() | remembered_days(cursor) | lately
    in_flight = _in_flight(instance, days, now)
    kind = DagsterEventType.ASSET_MATERIALIZATION
    landed = instance.get_latest_storage_id_by_partition(raw_key(DEFEND), kind, days)
    written = instance.get_latest_storage_id_by_partition(ecs_key(DEFEND), kind, days)
    return {
        day: DayState(
            newest=by_day[day][-1].name if day in by_day else "",
            digest=_digest(by_day.get(day, ())),
            in_flight=day in in_flight,
            landed=landed.get(day, 0),
            written=written.get(day, 0),
        )
        for day in days
    }


def unfinished_runs(
    instance: DagsterInstance, days: Iterable[str], now: datetime, job_name: str | None = None
) -> list[DagsterRun]:
    """The runs of any of the days, of one job or of all, that wait or run; those that will never start are left out."""
    wanted = RunsFilter(job_name=job_name, statuses=UNFINISHED, tags={PARTITION_TAG: sorted(days)})
    never_started = now - START_PATIENCE
    return [
        record.dagster_run
        for record in instance.get_run_records(wanted)
        if record.dagster_run.status != DagsterRunStatus.NOT_STARTED or record.create_timestamp > never_started
    ]


def _digest(found: Iterable[Segment]) -> str:
    """Another one whenever a segment comes, goes or changes; empty without segments."""
    known = blake2b(digest_size=8)
    empty = True
    for name, size, modified in sorted((one.name, one.size, one.modified) for one in found):
        known.update(f"{name}/{size}/{modified}\n".encode())
        empty = False
    return "" if empty else known.hexdigest()


def _in_flight(instance: DagsterInstance, days: set[str], now: datetime) -> set[str]:
    """The days that a run of the sensor, of a backfill or by hand is working on."""
    return {run.tags[PARTITION_TAG] for run in unfinished_runs(instance, days, now) if _moves_events(run)}


def _moves_events(run: DagsterRun) -> bool:
    """Whether the run lands or writes events; one without a selection runs all that its job has."""
    if run.asset_selection:
        return bool({raw_key(DEFEND), ecs_key(DEFEND)} & run.asset_selection)
    return run.job_name in WHOLE_JOBS and not run.asset_check_selection
