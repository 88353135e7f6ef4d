"""`wiz/report`, its job and its schedule: the figures gathered, the page put into the landing zone, the metadata.

It follows everything else of its day, and fails for no dataset that is missing: the report then says so.
"""

import os
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from wiz_dagster.assets import OWNERS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.zone import open_zone
from wiz_dagster.settings import read_pipeline_settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

KEY = dg.AssetKey(["wiz", "report"])
JOB = "report_job"
CRON = "0 5 * * *"
"""When the night's fetches of the day before are through, with hours to spare."""


def report_asset(
    datasets: Sequence[Dataset],
    upstream: Sequence[dg.AssetsDefinition],
    partitions: dg.PartitionsDefinition[str],
    retry_policy: dg.RetryPolicy,
    *,
    destination: str,
) -> dg.AssetsDefinition:
    """`wiz/report`: a day's page in the landing zone, with its plots and tables as metadata; it follows `upstream`."""

    @dg.asset(
        key=KEY,
        deps=_upstream(upstream, partitions),
        partitions_def=partitions,
        group_name="wiz_report",
        owners=OWNERS,
        kinds={"html"},
        retry_policy=retry_policy,
        required_resource_keys={destination},
        description=(
            "What changed on a day: new, resolved and open findings by severity, cloud platform and project, the top "
            "rules and resources, and how collecting went. New and resolved are what the landed day tells, open is "
            "what the latest views know when the report is made."
        ),
    )
    def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        # Loaded when a report is made: definitions load without it.
        from wiz_dagster.report.making import make_report

        io_manager = getattr(context.resources, destination)
        with dagster_failures():
            namespace = read_pipeline_settings(os.environ).namespace
            zone = open_zone(os.environ)
            settings = io_manager.settings() if destination == "elasticsearch" else None
            path, metadata = make_report(zone, datasets, context.partition_key, namespace, settings)
        url = f"{zone.store.url.rstrip('/')}/{path}"
        return dg.MaterializeResult(metadata={"page": dg.MetadataValue.path(url), **metadata})

    return report


def report_job(partitions: dg.PartitionsDefinition[str]) -> "UnresolvedAssetJobDefinition":
    """The job that makes a day's report."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(KEY),
        partitions_def=partitions,
        description="Make the report of a day from what is landed.",
    )


def report_schedule(partitions: dg.DailyPartitionsDefinition) -> dg.ScheduleDefinition:
    """Once a day for the day before; starts stopped, as is Dagster's way."""

    @dg.schedule(
        name="report_daily",
        job_name=JOB,
        cron_schedule=CRON,
        execution_timezone="UTC",
        description="Make the report of the day before.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(UTC)
        day = (tick - timedelta(days=1)).date().isoformat()
        if day not in partitions.get_partition_keys(current_time=tick):
            return dg.SkipReason("The day before lies before WIZ_START_DATE.")
        return dg.RunRequest(run_key=f"{tick.isoformat()}/{day}", partition_key=day)

    return evaluate


def _upstream(assets: Sequence[dg.AssetsDefinition], partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetDep]:
    """A dataset may begin on a later day than the report; its earlier days are then no missing upstream."""

    def mapping(asset: dg.AssetsDefinition) -> dg.PartitionMapping | None:
        if asset.partitions_def == partitions:
            return None
        return dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    return [dg.AssetDep(key, partition_mapping=mapping(asset)) for asset in assets for key in asset.keys]
