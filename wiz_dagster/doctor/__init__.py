"""`wiz-dagster doctor`: is everything there that a run needs, asked of the real things, one finding each.

It leaves behind what any run would, an entry in the request budget and storage in an unused DAGSTER_HOME. Each side has
a module of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wiz_dagster.dataset_settings import DatasetSettings, read_dataset_settings
from wiz_dagster.datasets import DATASETS
from wiz_dagster.doctor.alerts import examine_alerts
from wiz_dagster.doctor.dagster_instance import examine_dagster
from wiz_dagster.doctor.defend import examine_defend
from wiz_dagster.doctor.elasticsearch import examine_elasticsearch
from wiz_dagster.doctor.finding import Finding, find
from wiz_dagster.doctor.wiz import examine_wiz
from wiz_dagster.errors import SettingsError
from wiz_dagster.landing.manifest import Tenant
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.settings import read_landing_settings, read_pipeline_settings, read_tenant_settings


def examine(environment: Mapping[str, str], *, alert: bool = False) -> Iterator[Finding]:
    """All findings, each as soon as it is known; a check that needs what failed before it is left out.

    With `alert` a test message is sent to whoever gets alerts.
    """
    try:
        pipeline = read_pipeline_settings(environment)
        by_dataset = read_dataset_settings(pipeline.config, DATASETS)
    except SettingsError as error:
        yield Finding("settings", False, str(error))
        return
    datasets = [dataset for dataset in DATASETS if by_dataset[dataset.name].enabled]
    yield Finding("settings", True, _in_words(by_dataset, pipeline.start_date.isoformat(), pipeline.destination))
    asked_for = [dataset for dataset in datasets if not dataset.pushed]
    if asked_for:
        yield from examine_wiz(environment, asked_for)
    if pipeline.destination == "elasticsearch":
        retention = {name: settings.retention for name, settings in by_dataset.items()}
        yield from examine_elasticsearch(environment, datasets, retention)
    yield find("landing zone", lambda: _landing(environment))
    if len(asked_for) < len(datasets):
        yield from examine_defend(environment)
    yield from examine_dagster(environment)
    yield from examine_alerts(environment, send=alert)


def _in_words(by_dataset: Mapping[str, DatasetSettings], start: str, destination: str) -> str:
    names = ", ".join(name for name, settings in by_dataset.items() if settings.enabled)
    return f"{names or 'no dataset'} from {start} on, to {destination}"


def _landing(environment: Mapping[str, str]) -> str:
    store = open_store(read_landing_settings(environment).url)
    try:
        owner = read_tenant_settings(environment)
    except SettingsError:
        LandingZone(store, None).check_writable()
        return f"{store.url} can be written; whose tenant it is can't be told without WIZ_CLIENT_ID and WIZ_API_URL"
    LandingZone(store, Tenant.of(owner.api_url, owner.client_id)).check_writable()
    return f"{store.url} can be written, and holds no other tenant's data"
