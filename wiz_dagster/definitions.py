"""Everything Dagster loads: assets, jobs, schedules and resources, composed from the datasets and the settings.

`defs` is what `workspace.yaml` and `[tool.dg]` name; it reads the environment when Dagster loads it, and an empty one
will do. What an asset does stands in `assets.py`, what a dataset is in `datasets/`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import dagster as dg

from wiz_dagster.alerts.outcomes import Known
from wiz_dagster.alerts.sensor import alerts_sensor
from wiz_dagster.alerts.staleness import Watched
from wiz_dagster.assets import RETRY_POLICY, ecs_asset, ecs_key, raw_asset
from wiz_dagster.completeness import completeness_asset, completeness_job, completeness_schedule
from wiz_dagster.dataset_settings import DatasetSettings, read_dataset_settings
from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.edited import edited_schedule, has_unseen_edits
from wiz_dagster.elasticsearch.files_io_manager import FilesIOManager
from wiz_dagster.elasticsearch.io_manager import ElasticsearchIOManager
from wiz_dagster.elasticsearch.latest_io_manager import LatestIOManager
from wiz_dagster.elasticsearch.latest_views import view_of
from wiz_dagster.lacking import Days
from wiz_dagster.landing.io_manager import LandingIOManager
from wiz_dagster.latest import latest_asset
from wiz_dagster.partitions import daily
from wiz_dagster.pruning import Ours, prune_job, prune_schedule
from wiz_dagster.reconciliation import CHECK_JOB, CHECK_KEY, detections_check
from wiz_dagster.refresh import NAME as REFRESH
from wiz_dagster.refresh import Refreshed, refresh_jobs, refreshable
from wiz_dagster.report.asset import report_asset, report_job, report_schedule
from wiz_dagster.resources import WizResource
from wiz_dagster.retention import Retention, forget
from wiz_dagster.schedules import check_schedule, daily_schedule
from wiz_dagster.sensors import SENSOR as DEFEND_SENSOR
from wiz_dagster.sensors import defend_sensor
from wiz_dagster.settings import PipelineSettings, read_pipeline_settings
from wiz_dagster.webhook import spooled_asset

PUSHED_TAGS = {"dagster/priority": "10"}
"""New events overtake a backfill that waits."""
WHOLE_DAY_TAGS = {"wiz/whole_day": "true"}
"""What `dagster.yaml` limits the nightly runs by, so that a refresh of today finds a place beside them."""


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions under the environment of the process that loads them."""
    return build_definitions(os.environ)


def build_definitions(environment: Mapping[str, str], *, retry_policy: dg.RetryPolicy = RETRY_POLICY) -> dg.Definitions:
    """Definitions for an environment. Raises `SettingsError` where a setting that shapes them is invalid."""
    settings = read_pipeline_settings(environment)
    by_dataset = read_dataset_settings(settings.config, DATASETS)
    datasets = [dataset for dataset in DATASETS if by_dataset[dataset.name].enabled]

    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    jobs, schedules, sensors = [], [], []
    refreshed: list[Refreshed] = []
    every_day: list[Days] = []
    watched: list[Watched] = []
    made_by: dict[dg.AssetKey, str] = {}
    for dataset in datasets:
        chosen = by_dataset[dataset.name]
        partitions = daily(chosen.start_date or settings.start_date)
        of_dataset = _assets(dataset, chosen, settings, partitions, retry_policy)
        assets += of_dataset
        doing = "Land a day of what Wiz sent of" if dataset.pushed else "Fetch a day of"
        selection = dg.AssetSelection.assets(*of_dataset)
        comparison = dg.AssetSelection.checks(CHECK_KEY)
        job = dg.define_asset_job(
            f"{dataset.name}_job",
            selection=selection - comparison if dataset.pushed else selection,
            partitions_def=partitions,
            tags=PUSHED_TAGS if dataset.pushed else WHOLE_DAY_TAGS,
            description=f"{doing} {dataset.name} and write its documents.",
        )
        jobs.append(job)
        made_by |= {key: job.name for one in of_dataset for key in one.keys}
        watched.append(_watched(dataset, settings, own_days=partitions != daily(settings.start_date)))
        every_day.append(Days(dataset, partitions, settings.destination == "elasticsearch", chosen.kept))
        if refreshable(dataset):
            refreshed.append(Refreshed(dataset, of_dataset, partitions))
        if dataset.pushed:
            sensors.append(defend_sensor(job.name, partitions))
            checks.append(detections_check())
            jobs.append(
                dg.define_asset_job(CHECK_JOB, selection=comparison, description="Compare what came both ways.")
            )
            schedules.append(check_schedule(CHECK_JOB))
        else:
            schedules.append(daily_schedule(dataset, job.name, partitions, chosen.lookback))
            if has_unseen_edits(dataset):
                schedules.append(edited_schedule(dataset, job.name, partitions, settings.edited_issues_days))
    for job, schedule in refresh_jobs(refreshed, daily(settings.start_date), settings.refresh_minutes):
        jobs.append(job)
        schedules.append(schedule)

    days = daily(settings.start_date)
    assets.append(report_asset(datasets, assets, days, retry_policy, destination=settings.destination))
    jobs.append(report_job(days))
    schedules.append(report_schedule(days))

    assets.append(completeness_asset(every_day))
    jobs.append(completeness_job())
    schedules.append(completeness_schedule())

    ours = Ours(
        jobs={job.name for job in jobs},
        assets={key for one in assets for key in one.keys},
        checks={key for one in (*assets, *checks) for key in one.check_keys},
    )
    pruning = prune_job(ours, settings.keep_runs_days, _forgetting(settings))
    sensors.append(alerts_sensor(Known(replace(ours, jobs=ours.jobs | {pruning.name}), made_by), watched))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs, pruning],
        schedules=[*schedules, prune_schedule(pruning)],
        sensors=sensors,
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
        spooled_asset(dataset, partitions, retry_policy)
        if dataset.pushed
        else raw_asset(dataset, chosen, partitions, retry_policy),
        ecs_asset(dataset, chosen, partitions, retry_policy, destination=destination, geoip_database=geoip),
    ]
    view = view_of(dataset)
    if view is not None and destination == "elasticsearch":
        assets.append(latest_asset(view, dataset, chosen, partitions, retry_policy, geoip_database=geoip))
    return assets


def _watched(dataset: Dataset, settings: PipelineSettings, *, own_days: bool) -> Watched:
    """How often each schedule of a dataset brings what is new, and how soon the sensor of what Wiz sends does."""
    intervals = {DEFEND_SENSOR: timedelta(0)} if dataset.pushed else {f"{dataset.name}_daily": timedelta(days=1)}
    if refreshable(dataset):
        name = f"{REFRESH}_{dataset.name}" if own_days else REFRESH
        intervals[name] = timedelta(minutes=settings.refresh_minutes)
    return Watched(dataset.name, ecs_key(dataset), intervals, dataset.pushed)


def _forgetting(settings: PipelineSettings) -> Callable[[Mapping[str, str], datetime], Mapping[str, int]] | None:
    """What deletes old files, where a setting says how long they are kept."""
    kept = Retention(settings.keep_landing_days, settings.keep_dead_letters_days, settings.keep_spool_days)
    if kept == Retention():
        return None
    return lambda environment, now: forget(environment, DATASETS, kept, now)


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
