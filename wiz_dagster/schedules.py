"""When days are asked for: one daily schedule a dataset that Wiz is asked for, which runs the dataset's job.

Wiz changes a day after it ended (late indexing, late updates), so a tick asks for as many past days as the dataset's
`lookback` says; what it finds unchanged costs nothing but the question. Schedules start stopped, as is Dagster's way.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from wiz_dagster.datasets.base import Dataset

DAILY_CRON = "30 1 * * *"
"""01:30 UTC: the day before is over, and Wiz has had time to index its last events."""

CHECK_CRON = "30 3 * * *"
"""Two hours later: the day before has been fetched."""


def check_schedule(job_name: str) -> dg.ScheduleDefinition:
    """A schedule that compares, once a day, what came by webhook with what the API told."""
    return dg.ScheduleDefinition(
        name="defend_check_daily",
        job_name=job_name,
        cron_schedule=CHECK_CRON,
        execution_timezone="UTC",
        description="Compare the last days of wiz/defend and wiz/detection.",
    )


def daily_schedule(
    dataset: Dataset, job_name: str, partitions: dg.DailyPartitionsDefinition, lookback: int
) -> dg.ScheduleDefinition:
    """A schedule that asks for the last `lookback` days before today (for today, if a snapshot); a day once a tick."""
    again = f"Fetch the last {lookback} days of {dataset.name} again: late events, late updates."

    @dg.schedule(
        name=f"{dataset.name}_daily",
        job_name=job_name,
        cron_schedule=DAILY_CRON,
        execution_timezone="UTC",
        description=f"Take the day's sweep of {dataset.name}." if dataset.snapshot else again,
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        tick = context.scheduled_execution_time.astimezone(UTC)
        if dataset.snapshot and tick.date() != datetime.now(UTC).date():
            yield dg.SkipReason("The day of this tick is over; a sweep can be taken for today only.")
            return
        known = set(partitions.get_partition_keys(current_time=tick))
        wanted = [day for day in _days(dataset, tick.date(), lookback) if day in known]
        if not wanted:
            yield dg.SkipReason(
                "No day that this tick asks for lies on or after WIZ_START_DATE or the dataset's start_date."
            )
        for day in wanted:
            yield dg.RunRequest(run_key=f"{tick.isoformat()}/{day}", partition_key=day)

    return evaluate


def _days(dataset: Dataset, today: date, lookback: int) -> list[str]:
    back = [0] if dataset.snapshot else range(lookback, 0, -1)
    return [(today - timedelta(days=days)).isoformat() for days in back]
