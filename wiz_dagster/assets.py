"""The two assets of each dataset: `wiz/raw/<dataset>` asks Wiz and lands, `wiz/<dataset>` makes ECS documents of it.

Both are made here from a `Dataset` record, and both only say what flows: a lazy `RawDay` that the landing IO manager
drains, an `EcsPartition` that the destination's IO manager drains. Check results follow the write, with its figures.
What lands the dataset that Wiz pushes is in `webhook.py`.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from wiz_dagster import checks
from wiz_dagster.dataset_settings import DatasetSettings, filter_by
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.errors import PermanentError
from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.news import window_of_news
from wiz_dagster.landing.raw_day import RawDay
from wiz_dagster.landing.zone import open_zone
from wiz_dagster.resources import WizResource
from wiz_dagster.wiz.windows import Window, partition_window, snapshot_window

OWNERS = ["team:security-data"]
RETRY_POLICY = dg.RetryPolicy(max_retries=2, delay=20, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For what the client and the writer could not retry themselves; permanent errors are not retried."""
DAY_MEANING = (
    "A day fetched later holds what last changed on that day, as it is then; what changed since is in its own day. "
    "Only what was landed in time is history."
)
SNAPSHOT_MEANING = (
    "A day holds the last complete sweep that was begun on it. Wiz only tells what there is now, so only today can be "
    "fetched; what was landed on earlier days can be written again."
)
PUSHED_MEANING = (
    "A day holds what was received on it. Backfilling it moves what still waits and writes the day again from the "
    "landing zone; Wiz is never asked."
)


class FetchConfig(dg.Config):
    """What one run may ask Wiz for, other than the settings say."""

    filters: dict[str, list[str]] | None = None
    """In place of the dataset's filters in WIZ_CONFIG, for example {"severity": ["CRITICAL"]}."""
    since_last: bool = False
    """Ask only for what came since the last complete fetch of the day with the same filters, not for the whole day.

    Up to now, without the lag, and with requests that go before those of whole days.
    """


class EcsConfig(dg.Config):
    """How one run makes documents, other than the settings say. What is left out is as in WIZ_CONFIG."""

    tags: list[str] | None = None
    preserve_original_event: bool | None = None
    preserve_duplicate_custom_fields: bool | None = None
    trust_last_write: bool = False
    """Count the documents of the last write in Elasticsearch instead of listing them all."""


def raw_key(dataset: Dataset) -> dg.AssetKey:
    """The key of the asset that fetches and lands a dataset."""
    return dg.AssetKey(["wiz", "raw", dataset.name])


def ecs_key(dataset: Dataset) -> dg.AssetKey:
    """The key of the asset that makes and writes a dataset's documents."""
    return dg.AssetKey(["wiz", dataset.name])


def day_meaning(dataset: Dataset) -> str:
    """What a day of the dataset holds, for whoever backfills."""
    if dataset.pushed:
        return PUSHED_MEANING
    return SNAPSHOT_MEANING if dataset.snapshot else DAY_MEANING


def raw_asset(
    dataset: Dataset, settings: DatasetSettings, partitions: dg.PartitionsDefinition[str], retry_policy: dg.RetryPolicy
) -> dg.AssetsDefinition:
    """`wiz/raw/<dataset>`: one day of nodes, as Wiz returned them, in the landing zone."""

    @dg.asset(
        key=raw_key(dataset),
        partitions_def=partitions,
        io_manager_key="landing",
        group_name="wiz_raw",
        owners=OWNERS,
        kinds={"graphql"},
        pool="wiz_api",
        retry_policy=retry_policy,
        check_specs=checks.raw_specs(raw_key(dataset)),
        description=(
            f"{dataset.description} As Wiz returned it (`{dataset.root}`, `{dataset.scope}`). {day_meaning(dataset)}"
        ),
    )
    def fetch(context: dg.AssetExecutionContext, config: FetchConfig, wiz: WizResource) -> Iterator[Any]:
        now = datetime.now(UTC)
        with dagster_failures():
            wiz_settings = wiz.settings()
            if dataset.snapshot and config.filters is not None:
                raise PermanentError(
                    f"A sweep of some of {dataset.name} would count as one of all: set its filters in WIZ_CONFIG."
                )
            chosen = settings.filters if config.filters is None else config.filters
            filters = filter_by(dataset, chosen, all_statuses=settings.all_statuses)
            # The overlap of the next refresh brings what Wiz indexes late; the lag would only make all the rest later.
            lag = timedelta() if config.since_last else wiz_settings.window_lag
            window = _window(dataset, context.partition_key, now, lag)
        day = RawDay(
            dataset=dataset,
            day=context.partition_key,
            window=window,
            run_id=context.run_id,
            open_client=partial(wiz.client, urgent=config.since_last),
            settings=wiz_settings,
            filters=filters,
            page_size=settings.page_size or wiz_settings.page_size,
            warnings=_beyond_reach(dataset, context.partition_key, now.date()),
        )
        if config.since_last:
            with dagster_failures():
                day.window = window_of_news(open_zone(os.environ, day.tenant), day)
        yield dg.Output(day)
        yield from checks.raw_results(day, raw_key(dataset), context.instance)

    return fetch


def ecs_asset(
    dataset: Dataset,
    settings: DatasetSettings,
    partitions: dg.PartitionsDefinition[str],
    retry_policy: dg.RetryPolicy,
    *,
    destination: str,
    geoip_database: Path | None,
) -> dg.AssetsDefinition:
    """`wiz/<dataset>`: the landed day as ECS documents, in Elasticsearch or in files."""

    @dg.asset(
        key=ecs_key(dataset),
        ins={"landed": dg.AssetIn(key=raw_key(dataset))},
        partitions_def=partitions,
        io_manager_key=destination,
        group_name="wiz_ecs",
        owners=OWNERS,
        kinds={"pandas", "elasticsearch"} if destination == "elasticsearch" else {"pandas"},
        retry_policy=retry_policy,
        check_specs=checks.ecs_specs(ecs_key(dataset), destination),
        metadata={"dagster/column_schema": _column_schema(dataset)},
        description=(
            f"{dataset.description} As ECS documents in `logs-wiz.{dataset.stream}-<namespace>`. {day_meaning(dataset)}"
        ),
    )
    def documents(context: dg.AssetExecutionContext, config: EcsConfig, landed: LandedDay) -> Iterator[Any]:
        options = ecs_options(dataset, settings, config, landed, geoip_database)
        partition = EcsPartition(
            dataset=dataset,
            day=context.partition_key,
            options=options,
            landed=landed,
            trust_last_write=config.trust_last_write,
        )
        yield dg.Output(partition)
        yield from checks.ecs_results(partition, destination)

    return documents


def ecs_options(
    dataset: Dataset, settings: DatasetSettings, config: EcsConfig, landed: LandedDay, geoip_database: Path | None
) -> EcsOptions:
    """How documents are made of a landed day: as the settings say, but for what the run's configuration gives."""
    given = {name: value for name, value in config.model_dump().items() if value is not None}
    chosen: Mapping[str, Any] = {**settings.model_dump(include=set(EcsConfig.model_fields)), **given}
    tags = dataset.default_tags if chosen["tags"] is None else tuple(chosen["tags"])
    return EcsOptions(
        tags=tags,
        preserve_original_event=chosen["preserve_original_event"],
        preserve_duplicate_custom_fields=chosen["preserve_duplicate_custom_fields"],
        fetched_at=landed.fetched_at,
        geoip_database=geoip_database,
    )


def _window(dataset: Dataset, day: str, now: datetime, lag: timedelta) -> Window:
    if dataset.snapshot:
        return snapshot_window(day, now)
    return partition_window(day, now, lag)


def _beyond_reach(dataset: Dataset, day: str, today: date) -> list[str]:
    if dataset.reach_days is None or date.fromisoformat(day) >= today - timedelta(days=dataset.reach_days):
        return []
    return [
        f"{day} is older than the {dataset.reach_days} days Wiz keeps of {dataset.name}; this is what it still had."
    ]


def _column_schema(dataset: Dataset) -> dg.TableSchema:
    columns = [dg.TableColumn(one.name, one.type, description=one.description) for one in dataset.fields()]
    return dg.TableSchema(columns=columns)
