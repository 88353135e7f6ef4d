"""Every document that is made goes into Elasticsearch as it is: none is refused, and no field of it is left unindexed.

The nodes are those of a generated tenant, of the conformance set and of each shape in which Wiz's data was seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.latest_day import LatestDay
from wiz_dagster.elasticsearch.latest_views import views_of
from wiz_dagster.elasticsearch.latest_writer import write_latest
from wiz_dagster.elasticsearch.mappings import FALLBACKS
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.elasticsearch.reconcile import Destination, stream_name, write_partition
from wiz_dagster.elasticsearch.templates import index_template, install, lacking_types
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.manifest import FetchInfo
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import nodes_of_snapshot, nodes_of_window
from wiz_dagster_tests.datasets.shapes import shapes
from wiz_dagster_tests.datasets.test_conformance import CONFORMANCE, needs_conformance_set
from wiz_dagster_tests.elasticsearch.latest_helpers import view_named
from wiz_dagster_tests.elasticsearch.partition_helpers import AT_ONCE, zone_at
from wiz_dagster_tests.landing.landing_helpers import Figures

Node = dict[str, Any]
Source = Callable[[Dataset], Iterator[Node]]

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
DAY = NOW.date().isoformat()
VOLUMES = dict.fromkeys(("audit", "issue", "vulnerability", "cloud_configuration_finding", "detection"), 150)
TENANT = Tenant(now=NOW, seed=11, days=3, volumes=VOLUMES)


@pytest.fixture(scope="module", autouse=True)
def templates(elasticsearch: Elasticsearch) -> None:
    """The templates of today, also in a cluster that has those of yesterday."""
    install(elasticsearch, DATASETS, {})


def of_our_own(dataset: Dataset) -> Iterator[Node]:
    """A day of a tenant, and every shape that was seen elsewhere."""
    yield from shapes(dataset).values()
    if dataset.pushed:
        yield from bodies(TENANT, NOW - timedelta(days=1), NOW, AutomationRule("ar-1", "To Elasticsearch"))
    elif dataset.snapshot:
        yield from nodes_of_snapshot(TENANT, dataset.name)
    else:
        yield from nodes_of_window(TENANT, dataset.name, NOW - timedelta(days=1), NOW)


def of_the_conformance_set(dataset: Dataset) -> Iterator[Node]:
    folder = CONFORMANCE / dataset.stream
    yield from map(json.loads, (folder / "input.ndjson").read_text().splitlines())
    for line in (folder / "variations.ndjson").read_text().splitlines():
        yield json.loads(line)["input"]


each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
each_source = pytest.mark.parametrize(
    "source",
    [of_our_own, pytest.param(of_the_conformance_set, marks=needs_conformance_set)],
    ids=lambda one: one.__name__,
)


def landed(zone: LandingZone, dataset: Dataset, nodes: Iterator[Node], *, preserve: bool) -> EcsPartition:
    """A landed day of the nodes, each a node of its own if it differs from the others in anything."""
    whole = [one for node in nodes for one in (dataset.split(node) if dataset.split else [node])]
    fetch = FetchInfo(run_id="fetch", fetched_at=NOW, window_start=NOW, window_end=NOW, query_hash="q")
    zone.land(dataset.name, DAY, [whole], fetch, Figures(), None, snapshot=dataset.snapshot, by_content=True)
    day = zone.day(dataset.name, DAY)
    assert day.nodes == len({json.dumps(node, sort_keys=True) for node in whole}) > 0
    options = EcsOptions(
        tags=dataset.default_tags,
        fetched_at=NOW,
        preserve_original_event=preserve,
        preserve_duplicate_custom_fields=preserve,
    )
    return EcsPartition(dataset=dataset, day=DAY, options=options, landed=day)


def ignored_fields(client: Elasticsearch, index: str) -> list[str]:
    """The fields that some document holds and that Elasticsearch didn't index."""
    client.indices.refresh(index=index)
    found = client.search(index=index, query={"exists": {"field": "_ignored"}}, size=1000, source=False)
    return sorted({name for hit in found["hits"]["hits"] for name in hit["_ignored"]})


@pytest.mark.parametrize("preserve", [False, True], ids=["plain", "preserve"])
@each_source
@each_dataset
def test_every_document_is_in_its_stream_with_all_its_fields(
    dataset: Dataset, source: Source, preserve: bool, elasticsearch: Elasticsearch, namespace: str, tmp_path: Path
) -> None:
    zone = zone_at(tmp_path)
    partition = landed(zone, dataset, source(dataset), preserve=preserve)
    report = write_partition(partition, zone, Destination(elasticsearch, namespace, "run", backoff=AT_ONCE))
    assert (report.created, report.rejected, report.reasons) == (partition.landed.nodes, 0, [])
    assert list(read_dead_letters(zone, dataset.name, DAY, namespace)) == []
    assert ignored_fields(elasticsearch, stream_name(dataset, namespace)) == []


@each_source
@pytest.mark.parametrize("dataset", [dataset for _, dataset in views_of(DATASETS)], ids=lambda one: one.name)
def test_every_document_is_in_its_latest_view_with_all_its_fields(
    dataset: Dataset, source: Source, elasticsearch: Elasticsearch, namespace: str, tmp_path: Path
) -> None:
    zone = zone_at(tmp_path)
    ((view, _),) = views_of([dataset])
    view = view_named(view.name, namespace)
    day = LatestDay(view, landed(zone, dataset, source(dataset), preserve=True))
    report = write_latest(day, zone, Destination(elasticsearch, namespace, "run", backoff=AT_ONCE))
    assert (report.written, report.rejected, report.reasons) == (day.partition.landed.nodes, 0, [])
    assert ignored_fields(elasticsearch, view.index) == []
    elasticsearch.indices.delete(index=view.index)


def ending(dataset: Dataset, name: str) -> dict[str, Any]:
    """The query for a field that ends in a word."""
    query: dict[str, Any] = {"wildcard": {name: "*tail"}}
    nested = [field.name for field in dataset.fields() if field.type == "nested" and name.startswith(f"{field.name}.")]
    return {"nested": {"path": nested[0], "query": query}} if nested else query


@each_dataset
def test_a_text_that_people_or_programs_write_is_found_by_its_end_however_long_it_is(
    dataset: Dataset, elasticsearch: Elasticsearch, namespace: str
) -> None:
    free = [field.name for field in dataset.fields() if field.type in ("match_only_text", "wildcard")]
    lacking = lacking_types(elasticsearch, FALLBACKS)
    mappings = index_template(dataset, lacking=lacking)["template"]["mappings"]
    index = f"test-long-{namespace}"
    elasticsearch.indices.create(index=index, mappings=mappings)
    text = "word " * 20_000 + "tail"
    elasticsearch.index(index=index, document=dict.fromkeys(free, text), refresh=True)
    assert [name for name in free if not elasticsearch.count(index=index, query=ending(dataset, name))["count"]] == []
    assert ignored_fields(elasticsearch, index) == []
    elasticsearch.indices.delete(index=index)
