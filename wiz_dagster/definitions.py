"""Everything Dagster loads: assets, jobs, schedules and resources, composed from the datasets and the settings.

`defs` is what `workspace.yaml` and `[tool.dg]` name; it reads the environment when Dagster loads it, and an empty one
will do. What an asset does stands in `assets.py`, what a dataset is in `datasets/`.
"""

import os
from collections.abc import Mapping

import dagster as dg

from wiz_dagster.assets import RETRY_POLICY, ecs_asset, raw_asset
from wiz_dagster.dataset_settings import DatasetSettings, read_dataset_settings
from wiz_dagster.datasets import PULLED
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.files_io_manager import FilesIOManager
from wiz_dagster.elasticsearch.io_manager import ElasticsearchIOManager
from wiz_dagster.elasticsearch.latest_io_manager import LatestIOManager
from wiz_dagster.elasticsearch.latest_views import view_of
from wiz_dagster.landing.io_manager import LandingIOManager
from wiz_dagster.latest import latest_asset
from wiz_dagster.partitions import daily
from wiz_dagster.resources import WizResource
from wiz_dagster.schedules import daily_schedule
from wiz_dagster.settings import PipelineSettings, read_pipeline_settings


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions under the environment of the process that loads them."""
    return build_definitions(os.environ)


def build_definitions(environment: Mapping[str, str], *, retry_policy: dg.RetryPolicy = RETRY_POLICY) -> dg.Definitions:
    """Definitions for an environment. Raises `SettingsError` where a setting that shapes them is invalid."""
    settings = read_pipeline_settings(environment)
    by_dataset = read_dataset_settings(settings.config, PULLED)
    datasets = [dataset for dataset in PULLED if by_dataset[dataset.name].enabled]

    assets: list[dg.AssetsDefinition] = []
    jobs, schedules = [], []
    for dataset in datasets:
        chosen = by_dataset[dataset.name]
        partitions = daily(chosen.start_date or settings.start_date)
        of_dataset = _assets(dataset, chosen, settings, partitions, retry_policy)
        assets += of_dataset
        job = dg.define_asset_job(
            f"{dataset.name}_job",
            selection=dg.AssetSelection.assets(*of_dataset),
            partitions_def=partitions,
            description=f"Fetch a day of {dataset.name} from Wiz and write its documents.",
        )
        jobs.append(job)
        schedules.append(daily_schedule(dataset, job.name, partitions, chosen.lookback))

    return dg.Definitions(
        assets=assets,
        jobs=jobs,
        schedules=schedules,
        resources=_resources(environment),
        executor=dg.in_process_executor,
    )


def _assets(
    dataset: Dataset,
    chosen: DatasetSettings,
    settings: PipelineSettings,
    partitions: dg.PartitionsDefinition[str],
    retry_policy: dg.RetryPolicy,
) -> list[dg.AssetsDefinition]:
    """What a day of a dataset goes through: as landed, as documents and, where there is one, into its latest view."""
    destination, geoip = settings.destination, settings.geoip_database
    assets = [
        raw_asset(dataset, chosen, partitions, retry_policy),
        ecs_asset(dataset, chosen, partitions, retry_policy, destination=destination, geoip_database=geoip),
    ]
    view = view_of(dataset)
    if view is not None and destination == "elasticsearch":
        assets.append(latest_asset(view, dataset, chosen, partitions, retry_policy, geoip_database=geoip))
    return assets


def _resources(environment: Mapping[str, str]) -> dict[str, object]:
    def secret(name: str) -> str:
        return dg.EnvVar(name) if environment.get(name) else ""

    login = {
        "api_key": secret("ELASTICSEARCH_API_KEY"),
        "username": secret("ELASTICSEARCH_USERNAME"),
        "password": secret("ELASTICSEARCH_PASSWORD"),
    }
    return {
        "wiz": WizResource(client_id=secret("WIZ_CLIENT_ID"), client_secret=secret("WIZ_CLIENT_SECRET")),
        "landing": LandingIOManager(),
        "files": FilesIOManager(),
        "elasticsearch": ElasticsearchIOManager(**login),
        "latest": LatestIOManager(**login),
    }
