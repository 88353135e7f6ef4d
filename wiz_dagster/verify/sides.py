"""The two sides that are compared, as the settings name them, and how a day is made of them.

Read once for all days. Nothing is compared here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from elasticsearch import Elasticsearch

from wiz_dagster.assets import EcsConfig, ecs_options
from wiz_dagster.dataset_settings import DatasetSettings, filter_by, read_dataset_settings
from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.elasticsearch.reconcile import Destination
from wiz_dagster.errors import SettingsError
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.manifest import Manifest, Tenant
from wiz_dagster.landing.raw_day import RawDay
from wiz_dagster.landing.stamps import new_stamp
from wiz_dagster.landing.zone import LandingZone, day_folder, open_zone
from wiz_dagster.settings import (
    ElasticsearchSettings,
    PipelineSettings,
    TenantSettings,
    read_elasticsearch_settings,
    read_pipeline_settings,
    read_tenant_settings,
    read_wiz_settings,
    variables,
)
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.rate_limit import open_budget
from wiz_dagster.wiz.windows import partition_window, snapshot_window


@dataclass(frozen=True)
class Sides:
    """The landing zone, the cluster's settings and those of the datasets; `run_id` marks what is written."""

    environment: Mapping[str, str]
    zone: LandingZone
    cluster: ElasticsearchSettings
    pipeline: PipelineSettings
    by_dataset: Mapping[str, DatasetSettings]
    run_id: str

    def destination(self, client: Elasticsearch, dataset: Dataset) -> Destination:
        """Where the dataset's documents are."""
        retention = self.by_dataset[dataset.name].retention
        return Destination(client, self.cluster.namespace, self.run_id, retention)

    def partition(self, dataset: Dataset, day: str, manifest: Manifest | None = None) -> EcsPartition:
        """A landed day under today's settings; `manifest` in the place of its own."""
        landed = self.zone.day(dataset.name, day)
        if manifest is not None:
            landed = LandedDay(self.zone.store, day_folder(dataset.name, day), manifest)
        options = ecs_options(dataset, self.by_dataset[dataset.name], EcsConfig(), landed, self.pipeline.geoip_database)
        return EcsPartition(dataset=dataset, day=day, options=options, landed=landed)

    def raw_day(self, dataset: Dataset, day: str) -> RawDay:
        """The day to be fetched from Wiz again; SettingsError when Wiz's settings are missing."""
        wiz, settings, now = read_wiz_settings(self.environment), self.by_dataset[dataset.name], datetime.now(UTC)
        return RawDay(
            dataset=dataset,
            day=day,
            window=snapshot_window(day, now) if dataset.snapshot else partition_window(day, now, wiz.window_lag),
            run_id=self.run_id,
            settings=wiz,
            open_client=lambda: WizClient(wiz, open_budget(wiz)),
            filters=filter_by(dataset, settings.filters, all_statuses=settings.all_statuses),
            page_size=settings.page_size or wiz.page_size,
        )


def read_sides(environment: Mapping[str, str]) -> Sides:
    """The sides of the settings; SettingsError when one is missing or there is no Elasticsearch to compare with.

    Where Wiz's settings are there, the landing zone has to be that tenant's.
    """
    pipeline = read_pipeline_settings(environment)
    if pipeline.destination == "files":
        raise SettingsError("WIZ_DESTINATION is files: there is no Elasticsearch to compare the landing zone with.")
    known = all(environment.get(name, "").strip() for name in variables(TenantSettings))
    owner = read_tenant_settings(environment) if known else None
    tenant = Tenant.of(owner.api_url, owner.client_id) if owner else None
    return Sides(
        environment=environment,
        zone=open_zone(environment, tenant),
        cluster=read_elasticsearch_settings(environment),
        pipeline=pipeline,
        by_dataset=read_dataset_settings(pipeline.config, DATASETS),
        run_id=f"verify-{new_stamp()}",
    )


def can_be_fetched(dataset: Dataset, day: str) -> bool:
    """Whether Wiz can be asked for what a day held."""
    if dataset.pushed:
        return False
    return not dataset.snapshot or date.fromisoformat(day) == datetime.now(UTC).date()
