"""The sweep for edits that no filter of Wiz shows: days that were fetched before are asked for again, some a night.

Wiz has no filter for an issue's last update. A note, an assignee or another severity changes an issue, but not the day
it is filed under, so that day has to be fetched again: landing stores what changed of it and nothing else. Each tick
takes the days that were asked for longest ago, so it goes on where the last one stopped, whatever became of it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

import dagster as dg
from dagster import DagsterEventType, DagsterInstance

from wiz_dagster.assets import raw_key
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.sensors import PARTITION_TAG, unfinished_runs

CRON = "30 2 * * *"
"""An hour after the nightly fetches began."""
TAGS = {"dagster/priority": "-1", "wiz/edited": "true"}
"""Whatever else waits goes first."""
MOST_DAYS = 200
"""That one tick asks for, whatever the interval; an interval too short for all days is stretched."""
ATTEMPTS = (DagsterEventType.ASSET_MATERIALIZATION_PLANNED, DagsterEventType.ASSET_MATERIALIZATION)


def has_unseen_edits(dataset: Dataset) -> bool:
    """Whether a node of the dataset may change without any of the times that Wiz can be asked by."""
    filtered = {walk.filter_field for walk in dataset.walks}
    return dataset.version_field is not None and not dataset.snapshot and dataset.version_field not in filtered


def edited_schedule(
    dataset: Dataset, job_name: str, partitions: dg.DailyPartitionsDefinition, interval_days: int
) -> dg.ScheduleDefinition:
    """A nightly schedule that asks again for every fetched day of the dataset within `interval_days`."""

    @dg.schedule(
        name=f"{dataset.name}_edited",
        job_name=job_name,
        cron_schedule=CRON,
        execution_timezone="UTC",
        description=f"Find what was edited of {dataset.name} without a change of its day: ask for every fetched day "
        f"again within {interval_days} days (WIZ_EDITED_ISSUES_DAYS), some a night.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(UTC)
        # The time is that of a tick, at which today has begun: its day is the refresh's.
        past = partitions.get_partition_keys(current_time=tick - timedelta(days=1))
        days = due_days(context.instance, dataset, past, interval_days)
        if not days:
            return dg.SkipReason(f"No earlier day of {dataset.name} was fetched yet, or all are being fetched.")
        return [dg.RunRequest(run_key=f"{tick.isoformat()}/{day}", partition_key=day, tags=TAGS) for day in days]

    return evaluate


def due_days(instance: DagsterInstance, dataset: Dataset, past: Sequence[str], interval_days: int) -> list[str]:
    """Of the `past` days that were ever fetched those whose fetch is longest ago, as many as one night's share."""
    key = raw_key(dataset)
    attempts: dict[str, int] = {}
    for kind in ATTEMPTS:
        for day, place in instance.get_latest_storage_id_by_partition(key, kind, set(past)).items():
            attempts[day] = max(place, attempts.get(day, 0))
    under_way = {run.tags[PARTITION_TAG] for run in unfinished_runs(instance, attempts, datetime.now(UTC))}
    oldest = sorted(attempts.keys() - under_way, key=lambda day: attempts[day])
    return oldest[: min(ceil(len(attempts) / interval_days), MOST_DAYS)]
