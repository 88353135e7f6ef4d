"""The daily report, held against a tenant's truth: what changed, what isn't known, what comes from outside."""

import os
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from wiz_dagster.datasets import DATASETS
from wiz_dagster.definitions import build_definitions
from wiz_dagster.elasticsearch.latest_views import STILL_OPEN
from wiz_dagster.landing.zone import open_zone
from wiz_dagster.report.making import make_report
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import nodes_of_day
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import YESTERDAY, Pipeline, small_tenant, wiz_environment

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def landed(
    tmp_path: Path, elasticsearch_settings: ElasticsearchSettings, namespace: str
) -> tuple[Pipeline, list[Node]]:
    """A day of issues, one of which has a hostile name, landed and brought into the latest view; nothing else."""
    tenant = small_tenant(issue=40)
    nodes = list(nodes_of_day(tenant, "issue", YESTERDAY))
    nodes[0] = {**nodes[0], "createdAt": f"{YESTERDAY}T01:00:00Z"}
    nodes[0]["entitySnapshot"] = {**(nodes[0]["entitySnapshot"] or {}), "name": HOSTILE}
    with WizEmulator(Tenant(now=tenant.now, days=10, given={"issue": nodes})) as emulator:
        environment = wiz_environment(emulator, tmp_path) | {
            "ELASTICSEARCH_URL": elasticsearch_settings.url,
            "WIZ_NAMESPACE": namespace,
        }
        pipeline = Pipeline(environment)
        assert pipeline.run("issue").success
    return pipeline, nodes


def materialize(pipeline: Pipeline) -> dict[str, object]:
    with mock.patch.dict(os.environ, pipeline.environment):
        job = build_definitions(pipeline.environment).resolve_job_def("report_job")
        result = job.execute_in_process(instance=pipeline.instance, partition_key=YESTERDAY)
    (made,) = result.asset_materializations_for_node("wiz__report")
    return {name: value.value for name, value in made.metadata.items()}


def test_figures_are_the_tenants_and_the_page_is_safe_and_the_same_again(landed: tuple[Pipeline, list[Node]]) -> None:
    pipeline, nodes = landed
    new = [node for node in nodes if node["createdAt"].startswith(YESTERDAY)]
    metadata = materialize(pipeline)
    assert metadata["issues/new"] == len(new) > 0
    assert metadata["issues/resolved"] == sum(
        1 for node in nodes if node["status"] == "RESOLVED" and (node["resolvedAt"] or "").startswith(YESTERDAY)
    )
    assert metadata["issues/open"] == sum(node["status"] in STILL_OPEN for node in nodes)
    page = Path(str(metadata["page"]))
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_mode & 0o777 == 0o600
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text
    assert "<img" not in text
    assert "default-src &#x27;none&#x27;" in text
    # What was never landed is told, and never counted as zero.
    assert "vulnerability: this day was never landed. Its figures are unknown, not zero." in text
    assert "vulnerabilities/new" not in metadata
    materialize(pipeline)
    assert page.read_text(encoding="utf-8") == text


def test_a_damaged_day_is_told_and_the_rest_still_shown(landed: tuple[Pipeline, list[Node]]) -> None:
    zone = open_zone(landed[0].environment)
    (index,) = [one.index_name for one in zone.day("issue", YESTERDAY).parts]
    zone.store.put(f"issue/{YESTERDAY}/{index}", b"damaged")
    path, metadata = make_report(zone, DATASETS, YESTERDAY, "other", None)
    assert "issues/new" not in metadata
    assert index in zone.store.read(path).decode()
    assert isinstance(metadata["collection"], dg.TableMetadataValue)
