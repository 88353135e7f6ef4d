"""What Prometheus reads of an instance in which something happened, over HTTP."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from wiz_dagster.metrics.collector import InstanceCollector
from wiz_dagster.metrics.exporter import ids
from wiz_dagster_tests.pipeline import TODAY, YESTERDAY, Pipeline, spool_bodies, webhook_environment

DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"


class Scraped:
    """The samples of one scrape."""

    def __init__(self, url: str) -> None:
        with urllib.request.urlopen(url) as answer:
            self.families = list(text_string_to_metric_families(answer.read().decode()))

    def value(self, name: str, /, **labels: str) -> float | None:
        samples = [one for family in self.families for one in family.samples]
        return next((one.value for one in samples if one.name == f"wiz_dagster_{name}" and one.labels == labels), None)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    (tmp_path / "dagster").mkdir()
    more = {"WIZ_DESTINATION": "files", "WIZ_CLIENT_SECRET": "client-secret"}
    with DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        yield Pipeline({**webhook_environment(tmp_path), **more}, instance)


@pytest.fixture
def url(pipeline: Pipeline) -> Iterator[str]:
    registry = CollectorRegistry()
    registry.register(InstanceCollector(pipeline.instance, ids(pipeline.environment)))
    server, _ = start_http_server(0, "127.0.0.1", registry)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()


def event(name: str) -> dict[str, Any]:
    return {"id": name, "createdAt": f"{TODAY}T00:00:00Z", "triggeringEvents": [{"externalId": name}]}


def test_a_scrape_tells_runs_documents_checks_and_lag_and_pruning_takes_nothing_away(
    pipeline: Pipeline, url: str
) -> None:
    before = Scraped(url)
    assert before.value("documents_total", dataset="defend", result="created") == 0
    assert before.value("lag_seconds", dataset="defend") is None
    spool_bodies(pipeline.environment, [event("e1"), event("e2"), b"no json"])
    run = pipeline.run("defend")
    failed = pipeline.run("cloud_configuration_finding_full_posture", YESTERDAY)
    assert not failed.success

    started = time.time()
    pipeline.run("defend", TODAY)
    for _ in range(2):
        after = Scraped(url)
        assert after.value("runs_total", job="defend_job", status="success") == 2
        assert after.value("runs_total", job="cloud_configuration_finding_full_posture_job", status="failure") == 1
        assert after.value("documents_total", dataset="defend", result="created") == 2
        assert after.value("documents_total", dataset="defend", result="rejected") == 0
        pipeline.instance.delete_run(run.result.run_id)
    labels = {"asset": "wiz/raw/defend", "check": "spool_readable", "severity": "error"}
    assert after.value("check_failed", **labels) == 1
    assert 0 <= (after.value("lag_seconds", dataset="defend") or -1) < time.time() - started + 1
    assert after.value("last_success_timestamp_seconds", job="defend_job") >= int(started)
    assert after.value("unfinished_runs", status="queued") == 0
    assert after.value("switched_on", name="refresh") == 0


def test_the_documented_metrics_are_those_that_there_are(url: str) -> None:
    scraped = {sample for family in Scraped(url).families for sample in (family.name, f"{family.name}_total")}
    text = DOCS.read_text()
    documented = set(re.findall(r"^\| `(wiz_dagster_\w+)", text, re.MULTILINE))
    assert documented <= scraped
    assert {name.removesuffix("_total") for name in documented} == {
        name for name in scraped if not name.endswith("_total")
    }
    assert set(re.findall(r"wiz_dagster_[a-z_]+", text)) <= documented | {"wiz_dagster_tests"}
