"""The refresh of today: one job for all datasets that can be asked for their news, every few minutes.

A refresh asks Wiz for what came since the last complete fetch of the day and writes what is new of it, so its cost
follows the news and not the day. Whole days are asked for by the schedules in `schedules.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg
from dagster import DagsterInstance

from wiz_dagster.assets import ecs_key, raw_key
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.sensors import unfinished_runs

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

NAME = "refresh"
TAGS = {"dagster/priority": "10", "dagster/max_runtime": "3600"}
"""It overtakes a backfill that waits. One whose process vanished with the machine keeps others away for so long."""
CLOSING = timedelta(minutes=10)
"""So long after midnight, or for two ticks if they are further apart, a tick asks for the day before as well."""


def refreshable(dataset: Dataset) -> bool:
    """Whether Wiz can be asked for a dataset's news: not for a snapshot's, and what Wiz sends comes by itself."""
    return not dataset.snapshot and not dataset.pushed


class Refreshed(NamedTuple):
    """A dataset to refresh, its assets, and the partitions they share."""

    dataset: Dataset
    assets: Sequence[dg.AssetsDefinition]
    partitions: dg.DailyPartitionsDefinition


def refresh_jobs(
    refreshed: Sequence[Refreshed], partitions: dg.DailyPartitionsDefinition, minutes: int
) -> Iterator[tuple[UnresolvedAssetJobDefinition, dg.ScheduleDefinition]]:
    """The job `refresh_job` and its schedule `refresh`, every `minutes` (a divisor of 60), for all of `partitions`.

    A job has one range of days, so a dataset with a first day of its own is refreshed by a job of its own.
    """
    together = [one for one in refreshed if one.partitions == partitions]
    groups = {NAME: together} if together else {}
    groups |= {f"{NAME}_{one.dataset.name}": [one] for one in refreshed if one.partitions != partitions}
    for name, group in groups.items():
        names = ", ".join(one.dataset.name for one in group)
        job = dg.define_asset_job(
            f"{name}_job",
            selection=dg.AssetSelection.assets(*(asset for one in group for asset in one.assets)),
            tags=TAGS,
            description=f"Fetch what is new of a day and write its documents: {names}.",
        )
        yield job, _schedule(name, job.name, group, minutes)


def _schedule(name: str, job_name: str, group: Sequence[Refreshed], minutes: int) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job_name=job_name,
        cron_schedule="0 * * * *" if minutes == 60 else f"*/{minutes} * * * *",
        execution_timezone="UTC",
        description=f"Bring what is new of today: {', '.join(one.dataset.name for one in group)}.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        tick = context.scheduled_execution_time.astimezone(UTC)
        known = set(group[0].partitions.get_partition_keys(current_time=tick))
        wanted = [day for day in _days(tick, timedelta(minutes=minutes)) if day in known]
        free = [day for day in wanted if not _under_way(context.instance, job_name, day)]
        if not free:
            return dg.SkipReason(
                f"A refresh of {' and '.join(wanted)} is still under way; the next tick brings what is new since."
            )
        config = _run_config(group, trust_last_write=tick.minute != 0)
        return [
            dg.RunRequest(run_key=f"{tick.isoformat()}/{day}", partition_key=day, run_config=config) for day in free
        ]

    return evaluate


def _days(tick: datetime, interval: timedelta) -> list[str]:
    """Today, and just after midnight the day before, whose last minutes no earlier tick could ask for."""
    midnight = tick.replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = midnight - timedelta(days=1)
    closing = tick - midnight <= max(CLOSING, interval)
    return [f"{day:%Y-%m-%d}" for day in ([yesterday, midnight] if closing else [midnight])]


def _run_config(group: Sequence[Refreshed], *, trust_last_write: bool) -> dict[str, Any]:
    """The first refresh of an hour lists what Elasticsearch holds, so that what others did to it is mended."""
    ops: dict[str, Any] = {}
    for dataset, *_ in group:
        ops[raw_key(dataset).to_python_identifier()] = {"config": {"since_last": True}}
        ops[ecs_key(dataset).to_python_identifier()] = {"config": {"trust_last_write": trust_last_write}}
    return {"ops": ops}


def _under_way(instance: DagsterInstance, job_name: str, day: str) -> bool:
    """Whether a run of the job for the day waits or runs."""
    return bool(unfinished_runs(instance, [day], datetime.now(UTC), job_name))
