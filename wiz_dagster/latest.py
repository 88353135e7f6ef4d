"""The assets `wiz/latest/<view>`: a landed day of a dataset brought into the newest known state of each finding.

They read the landing zone, not the dataset's stream, so that a view can be made anew from there alone. What a view is
stands in `elasticsearch/latest_views.py`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from wiz_dagster import checks
from wiz_dagster.assets import OWNERS, EcsConfig, ecs_key, ecs_options, raw_key
from wiz_dagster.dataset_settings import DatasetSettings
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.latest_day import LatestDay
from wiz_dagster.elasticsearch.latest_views import LatestView
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.landing.landed_day import LandedDay

ORDER_MEANING = (
    "Days may be written in any order and again: an older state never takes the place of a newer one. Findings that "
    "are resolved or gone stay as documents, and the alias leaves them out."
)


def latest_key(view: LatestView) -> dg.AssetKey:
    """The key of the asset that keeps a view."""
    return dg.AssetKey(["wiz", "latest", view.name])


def latest_asset(
    view: LatestView,
    dataset: Dataset,
    settings: DatasetSettings,
    partitions: dg.PartitionsDefinition[str],
    retry_policy: dg.RetryPolicy,
    *,
    geoip_database: Path | None,
) -> dg.AssetsDefinition:
    """`wiz/latest/<view>`: the landed day in the view; it follows `wiz/<dataset>` of the same day."""

    @dg.asset(
        key=latest_key(view),
        ins={"landed": dg.AssetIn(key=raw_key(dataset))},
        deps=[ecs_key(dataset)],
        partitions_def=partitions,
        io_manager_key="latest",
        group_name="wiz_latest",
        owners=OWNERS,
        kinds={"elasticsearch"},
        retry_policy=retry_policy,
        check_specs=checks.latest_specs(latest_key(view)),
        description=f"The newest state of each finding of {dataset.name}, as `{view.alias}` shows it. {ORDER_MEANING}",
    )
    def newest(context: dg.AssetExecutionContext, landed: LandedDay) -> Iterator[Any]:
        options = ecs_options(dataset, settings, EcsConfig(), landed, geoip_database)
        partition = EcsPartition(dataset=dataset, day=context.partition_key, options=options, landed=landed)
        day = LatestDay(view, partition)
        yield dg.Output(day)
        yield from checks.latest_results(day)

    return newest
