"""The doctor on Dagster's side: does the instance survive a killed run, and where a document's run is to be seen."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import yaml
from dagster import DagsterInstance

from wiz_dagster.doctor.dagster_limits import examine_limits
from wiz_dagster.doctor.finding import Finding
from wiz_dagster.recovery import POOL, counts_runs, pool_limit

SHIPPED = "deploy/dagster.yaml"
WEB_SERVER = ("127.0.0.1", 3000)


def examine_dagster(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The instance of DAGSTER_HOME, its run monitoring and pool, and the address of its web server."""
    home = environment.get("DAGSTER_HOME", "")
    if not home:
        yield Finding(
            "Dagster instance", False, "DAGSTER_HOME is not set, so no run is remembered; set it to a lasting folder."
        )
    elif not Path(home).is_absolute() or not Path(home).is_dir():
        yield Finding("Dagster instance", False, f"DAGSTER_HOME: {home} is no absolute path of a folder; create it.")
    else:
        yield from _instance(Path(home))
    yield _web_server()


def _instance(home: Path) -> Iterator[Finding]:
    try:
        instance = DagsterInstance.from_config(str(home))
    except (dg.DagsterError, yaml.YAMLError) as error:
        yield Finding("Dagster instance", False, f"{home / 'dagster.yaml'} isn't valid: {error}; copy {SHIPPED}.")
        return
    with instance:
        if not (home / "dagster.yaml").exists():
            yield Finding(
                "Dagster instance",
                True,
                f"{home}, without dagster.yaml: runs work, but a killed one stays STARTED "
                f"until `wiz-dagster recover`, and nothing limits how many run at once; better copy {SHIPPED} there.",
            )
            return
        yield Finding("Dagster instance", True, str(home))
        yield _monitoring(instance)
        yield _pool(instance)
        yield from examine_limits(instance, SHIPPED)


def _monitoring(instance: DagsterInstance) -> Finding:
    if not instance.run_monitoring_enabled or not instance.run_monitoring_max_runtime_seconds:
        return Finding(
            "run monitoring",
            False,
            "off, or without a maximum run time: a killed run may stay STARTED for ever; "
            f"take the block run_monitoring from {SHIPPED}.",
        )
    return Finding("run monitoring", True, f"a run ends after {instance.run_monitoring_max_runtime_seconds} s at most")


def _pool(instance: DagsterInstance) -> Finding:
    name = f"pool {POOL}"
    if not counts_runs(instance):
        return Finding(
            name,
            False,
            "counts steps, so that a killed run holds its slot for ever; set concurrency.pools.granularity "
            f"to run, as in {SHIPPED}.",
        )
    limit = pool_limit(instance)
    if limit is None:
        return Finding(name, False, "has no limit of its own; run wiz-dagster setup with this DAGSTER_HOME.")
    return Finding(name, True, f"at most {limit} runs at once")


def _web_server() -> Finding:
    """Informs only: a web server need not run for the data to flow."""
    host, port = WEB_SERVER
    address = f"http://{host}:{port}/runs/<labels.dagster_run_id>"
    with socket.socket() as probe:
        probe.settimeout(1)
        answers = probe.connect_ex(WEB_SERVER) == 0
    now = "answers now" if answers else "nothing answers there now; start dagster-webserver -w workspace.yaml"
    return Finding("a document's run", True, f"{address} ({now})")
