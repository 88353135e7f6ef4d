"""When days are asked for: one daily schedule a dataset, which runs the dataset's job.

Wiz changes a day after it ended (late indexing, late updates), so a tick asks for as many past days as the dataset's
`lookback` says; what it finds unchanged costs nothing but the question. Schedules start stopped, as is Dagster's way.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta

import dagster as dg

DAILY_CRON = "30 1 * * *"
"""01:30 UTC: the day before is over, and Wiz has had time to index its last events."""


def daily_schedule(
    dataset: str, job_name: str, partitions: dg.DailyPartitionsDefinition, lookback: int
) -> dg.ScheduleDefinition:
    """A schedule that asks for the last `lookback` days before today; a day once a tick."""

    @dg.schedule(
        name=f"{dataset}_daily",
        job_name=job_name,
        cron_schedule=DAILY_CRON,
        execution_timezone="UTC",
        description=f"Fetch the last {lookback} days of {dataset} again: late events, late updates.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        tick = context.scheduled_execution_time.astimezone(UTC)
        known = set(partitions.get_partition_keys(current_time=tick))
        days = [(tick.date() - timedelta(days=back)).isoformat() for back in range(lookback, 0, -1)]
        wanted = [day for day in days if day in known]
        if not wanted:
            yield dg.SkipReason("No day before today lies on or after WIZ_START_DATE.")
        for day in wanted:
            yield dg.RunRequest(run_key=f"{tick.isoformat()}/{day}", partition_key=day)

    return evaluate
