"""What the tests of the latest views share: days landed and written into a view, and what the view then holds."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch, helpers

from wiz_dagster.datasets import dataset_named
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.latest_day import LatestDay, LatestReport
from wiz_dagster.elasticsearch.latest_views import VIEWS, LatestView
from wiz_dagster.elasticsearch.latest_writer import write_latest
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.elasticsearch.reconcile import Destination
from wiz_dagster.landing.manifest import FetchInfo
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.elasticsearch.partition_helpers import AT_ONCE
from wiz_dagster_tests.landing.landing_helpers import Figures

DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")
FIRST, SECOND, THIRD = DAYS

Node = dict[str, Any]


def view_named(name: str, namespace: str) -> LatestView:
    """A view like ours with an index and an alias of its own."""
    (view,) = [view for view in VIEWS if view.name == name]
    return replace(view, alias=f"{view.alias}-{namespace}")


def at(day: str, hour: float = 0) -> str:
    """A time on a day, as Wiz writes it."""
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour)
    return moment.isoformat().replace("+00:00", "Z")


def finding(number: int, day: str, status: str = "OPEN", **more: Any) -> Node:
    """A node of any of the datasets, last changed at noon."""
    changed = {"updatedAt": at(day, 12), "statusChangedAt": at(day, 12), "createdAt": at("2026-11-01")}
    return {"id": f"f-{number}", "status": status, "severity": "HIGH", **changed, **more}


def land(
    zone: LandingZone, view: LatestView, day: str, nodes: Sequence[Node], *, hour: float = 13, null_nodes: int = 0
) -> None:
    """A fetch of the day, or a sweep of a snapshot, begun on the day at an hour."""
    dataset = dataset_named(view.dataset)
    started = datetime.fromisoformat(at(day, hour))
    fetch = FetchInfo(run_id="fetch", fetched_at=started, window_start=started, window_end=started, query_hash="q")
    figures = Figures(null_nodes=null_nodes)
    zone.land(dataset.name, day, [nodes], fetch, figures, dataset.version_field, snapshot=dataset.snapshot)


def latest_day(zone: LandingZone, view: LatestView, day: str, tags: Iterable[str] = ("forwarded",)) -> LatestDay:
    dataset = dataset_named(view.dataset)
    landed = zone.day(dataset.name, day)
    options = EcsOptions(tags=tuple(tags), fetched_at=landed.fetched_at)
    return LatestDay(view, EcsPartition(dataset=dataset, day=day, options=options, landed=landed))


def write(
    zone: LandingZone, client: Elasticsearch, namespace: str, view: LatestView, day: str, **options: Any
) -> LatestReport:
    report = write_latest(
        latest_day(zone, view, day, **options), zone, Destination(client, namespace, "run", None, AT_ONCE)
    )
    assert report.nodes == report.written + report.superseded + report.unchanged + report.rejected
    return report


def figures(report: LatestReport) -> dict[str, int]:
    """The figures of a write that aren't 0."""
    names = ("written", "superseded", "unchanged", "rejected", "gone_marked")
    return {name: figure for name in names if (figure := getattr(report, name))}


def shown(client: Elasticsearch, namespace: str, view: LatestView) -> set[str]:
    """The findings that readers see."""
    return {hit["_source"]["event"]["id"] for hit in _hits(client, view.alias, namespace)}


def held(client: Elasticsearch, namespace: str, view: LatestView) -> dict[str, Any]:
    """Everything in the index by finding: its version and its document, without what tells of the write alone."""
    found: dict[str, Any] = {}
    for hit in _hits(client, view.index, namespace):
        source = hit["_source"]
        del source["event"]["ingested"], source["labels"]["dagster_run_id"], source["data_stream"]["namespace"]
        name = source["event"]["id"]
        assert name not in found, f"{name} stands twice"
        found[name] = (hit["_version"], source)
    return found


def _hits(client: Elasticsearch, index: str, namespace: str) -> list[dict[str, Any]]:
    client.indices.refresh(index=index)
    query = {"term": {"data_stream.namespace": namespace}}
    return list(helpers.scan(client, index=index, query={"query": query, "version": True}))
