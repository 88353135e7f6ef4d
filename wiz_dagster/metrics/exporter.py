"""The program that serves the metrics: which assets and jobs are looked at, and its HTTP server."""

from __future__ import annotations

from collections.abc import Mapping

from dagster import DagsterInstance
from prometheus_client import CollectorRegistry, start_http_server

from wiz_dagster.assets import ecs_key, raw_key
from wiz_dagster.datasets import DATASETS
from wiz_dagster.definitions import build_definitions
from wiz_dagster.elasticsearch.latest_views import views_of
from wiz_dagster.errors import SettingsError
from wiz_dagster.latest import latest_key
from wiz_dagster.metrics.collector import Ids, InstanceCollector
from wiz_dagster.pruning import ASSETS_JOB, Ours


def serve_metrics(environment: Mapping[str, str], address: str, port: int) -> None:
    """Serve `/metrics` of the instance of DAGSTER_HOME until the process is stopped.

    Raises `SettingsError` without DAGSTER_HOME or where the address can't be listened on.
    """
    if not environment.get("DAGSTER_HOME"):
        raise SettingsError("DAGSTER_HOME is not set; set it to the folder of the Dagster instance.")
    registry = CollectorRegistry()
    with DagsterInstance.get() as instance:
        registry.register(InstanceCollector(instance, ids(environment)))
        try:
            server, thread = start_http_server(port, address, registry)
        except OSError as error:
            raise SettingsError(f"Can't listen on {address} port {port} ({error.strerror}); give another.") from None
        print(f"Serving http://{address}:{server.server_port}/metrics", flush=True)
        try:
            thread.join()
        finally:
            server.shutdown()


def ids(environment: Mapping[str, str]) -> Ids:
    """What the definitions of an environment have."""
    made = build_definitions(environment)
    graph = made.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    jobs = {job.name for job in made.resolve_all_job_defs() if job.name != ASSETS_JOB}
    return Ids(
        ours=Ours(jobs=jobs, assets=keys, checks=frozenset(graph.asset_check_keys)),
        documents={one.name: ecs_key(one) for one in DATASETS if ecs_key(one) in keys},
        raw={one.name: raw_key(one) for one in DATASETS if raw_key(one) in keys},
        views={view.name: latest_key(view) for view, _ in views_of(DATASETS) if latest_key(view) in keys},
        switches=frozenset(one.name for one in (*(made.schedules or ()), *(made.sensors or ()))),
    )
