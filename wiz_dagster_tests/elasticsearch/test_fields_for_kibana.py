"""Every field that Kibana's Findings pages and the dashboards of Elastic's integration filter or group on can be.

The fields were noted from those pages and dashboards, by the data that each of them reads.
"""

from __future__ import annotations

import uuid

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.latest_index import index_body
from wiz_dagster.elasticsearch.latest_views import LatestView, views_of
from wiz_dagster.elasticsearch.mappings import FALLBACKS, types
from wiz_dagster.elasticsearch.templates import index_template, lacking_types

EVERYWHERE = ("@timestamp", "data_stream.dataset", "event.id")
DASHBOARDS: dict[str, tuple[str, ...]] = {
    "audit": ("event.action", "source.ip", "user.id", "wiz.audit.status"),
    "issue": ("event.created", "wiz.issue.entity_snapshot.type", "wiz.issue.severity", "wiz.issue.status.value"),
    "vulnerability": (
        *("vulnerability.description", "vulnerability.id", "vulnerability.severity"),
        *("wiz.vulnerability.detection_method", "wiz.vulnerability.impact_score", "wiz.vulnerability.status"),
        "wiz.vulnerability.vulnerable_asset.cloud.provider_url",
        "wiz.vulnerability.vulnerable_asset.has_limited_internet_exposure",
        "wiz.vulnerability.vulnerable_asset.has_wide_internet_exposure",
        "wiz.vulnerability.vulnerable_asset.ip_addresses",
    ),
    "cloud_configuration_finding": (
        *("resource.id", "resource.name", "resource.sub_type"),
        *("result.evaluation", "rule.id", "rule.name"),
    ),
    "detection": (
        *("event.severity", "rule.name", "wiz.defend_v2.severity", "wiz.defend_v2.primary_actor.type"),
        *("wiz.defend_v2.primary_resource.name", "wiz.defend_v2.primary_resource.type"),
    ),
}
"""No dashboard reads the full posture."""

EVERY_FINDING = (
    *("data_stream.namespace", "event.category", "event.kind", "event.type", "observer.vendor"),
    *("cloud.account.id", "cloud.account.name", "cloud.provider", "cloud.region"),
    *("host.name", "resource.id", "resource.name"),
)
FINDINGS_PAGES: dict[str, tuple[str, ...]] = {
    "vulnerability": (
        *EVERY_FINDING,
        *("package.fixed_version", "package.name", "package.version"),
        *("vulnerability.id", "vulnerability.score.base", "vulnerability.severity", "vulnerability.title"),
        *("vulnerability.package.fixed_version", "vulnerability.package.name", "vulnerability.package.version"),
        *("device.id", "related.ip", "vulnerability.enumeration", "vulnerability.score.version"),
    ),
    "cloud_configuration_finding_full_posture": (
        *EVERY_FINDING,
        *("event.outcome", "resource.sub_type", "resource.type", "result.evaluation"),
        *("cloud.service.name", "rule.id", "rule.name", "rule.uuid", "user.id", "user.name"),
    ),
}
"""What the pages read are the latest views; `rule.section` and `rule.benchmark` only Elastic's own scanner fills."""


def not_to_be_grouped_on(client: Elasticsearch, mappings: dict[str, object], wanted: tuple[str, ...]) -> list[str]:
    """The wanted fields that an index of these mappings lacks, or can't group or filter on."""
    index = f"test-kibana-{uuid.uuid4().hex}"
    client.indices.create(index=index, mappings=mappings)
    try:
        found = client.field_caps(index=index, fields=list(wanted))["fields"]
    finally:
        client.indices.delete(index=index)
    fit = {
        name
        for name, kinds in found.items()
        if all(kind["aggregatable"] and kind["searchable"] for kind in kinds.values())
    }
    return sorted(set(wanted) - fit)


@pytest.fixture(scope="module")
def lacking(elasticsearch: Elasticsearch) -> dict[str, str]:
    return lacking_types(elasticsearch, FALLBACKS)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_a_stream_has_what_the_dashboards_and_pages_of_its_dataset_group_on(
    elasticsearch: Elasticsearch, lacking: dict[str, str], dataset: Dataset
) -> None:
    mappings = index_template(dataset, lacking=lacking)["template"]["mappings"]
    wanted = (*EVERYWHERE, *DASHBOARDS.get(dataset.name, ()), *FINDINGS_PAGES.get(dataset.name, ()))
    assert not_to_be_grouped_on(elasticsearch, mappings, wanted) == []


@pytest.mark.parametrize(("view", "dataset"), views_of(DATASETS), ids=lambda one: one.name)
def test_a_latest_view_has_what_the_pages_and_dashboards_group_on(
    elasticsearch: Elasticsearch, lacking: dict[str, str], view: LatestView, dataset: Dataset
) -> None:
    mappings = index_body(view, dataset, lacking)["mappings"]
    wanted = (*EVERYWHERE, *DASHBOARDS.get(dataset.name, ()), *FINDINGS_PAGES.get(dataset.name, ()))
    assert not_to_be_grouped_on(elasticsearch, mappings, wanted) == []


def test_a_text_that_is_only_shown_would_be_noticed(elasticsearch: Elasticsearch, lacking: dict[str, str]) -> None:
    mappings = index_template(DATASETS[1], lacking=lacking)["template"]["mappings"]
    assert "match_only_text" in types(index_template(DATASETS[1])["template"]["mappings"])
    assert not_to_be_grouped_on(elasticsearch, mappings, ("message", "event.id", "no.such")) == ["message", "no.such"]
