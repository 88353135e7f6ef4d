"""The asset `wiz/raw/defend`: what the receiver has spooled of a day, moved into the landing zone.

It only says what flows, a lazy `SpooledDay` that the landing IO manager drains; which days are run when is the
sensor's, see `sensors.py`. The documents are made by the same factory as any dataset's, in `assets.py`.
"""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

from wiz_dagster import checks
from wiz_dagster.assets import OWNERS, day_meaning, raw_key
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.defend.settings import read_spool_settings
from wiz_dagster.defend.spooled_day import SpooledDay
from wiz_dagster.failures import dagster_failures
from wiz_dagster.resources import WizResource


def spooled_asset(
    dataset: Dataset, partitions: dg.PartitionsDefinition[str], retry_policy: dg.RetryPolicy
) -> dg.AssetsDefinition:
    """`wiz/raw/<dataset>`: one day of the bodies that Wiz sent, in the landing zone."""

    @dg.asset(
        key=raw_key(dataset),
        partitions_def=partitions,
        io_manager_key="landing",
        group_name="wiz_raw",
        owners=OWNERS,
        kinds={"webhook"},
        retry_policy=retry_policy,
        check_specs=checks.spool_specs(raw_key(dataset)),
        description=f"{dataset.description} As Wiz sent it, one node an event. {day_meaning(dataset)}",
    )
    def move(context: dg.AssetExecutionContext, wiz: WizResource) -> Iterator[Any]:
        with dagster_failures():
            day = SpooledDay(
                dataset=dataset,
                day=context.partition_key,
                run_id=context.run_id,
                spool=read_spool_settings(os.environ).spool,
                tenant=wiz.tenant(),
            )
        yield dg.Output(day)
        yield from checks.spool_results(day, raw_key(dataset), context.instance)

    return move
