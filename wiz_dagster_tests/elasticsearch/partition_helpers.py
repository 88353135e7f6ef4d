"""What the tests of writing share: landed issues, partitions of them, and what Elasticsearch holds afterwards."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from wiz_dagster.datasets import dataset_named
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.partition import EcsPartition, WriteReport
from wiz_dagster.elasticsearch.reconcile import Destination, stream_name, write_partition
from wiz_dagster.landing.manifest import FetchInfo, Tenant
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.landing.landing_helpers import Figures

DAY = "2026-11-20"
START = datetime(2026, 11, 20, tzinfo=UTC)
ISSUE = dataset_named("issue")
TENANT = Tenant.of("https://api.us1.app.wiz.io/graphql", "client-1")
AT_ONCE = Backoff(attempts=4, first=0.001, most=0.002)

Node = dict[str, Any]


def issue(number: int, version: int = 0, **more: Any) -> Node:
    """An issue whose status changed on the tests' day."""
    return {
        "id": f"issue-{number}",
        "status": "OPEN",
        "severity": ("LOW", "MEDIUM", "HIGH")[number % 3],
        "createdAt": (START - timedelta(days=40)).isoformat().replace("+00:00", "Z"),
        "statusChangedAt": (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z"),
        "updatedAt": (START + timedelta(hours=1, seconds=version)).isoformat().replace("+00:00", "Z"),
        "entitySnapshot": {"id": f"vm-{number}", "name": f"host {number}", "type": "VIRTUAL_MACHINE"},
        **more,
    }


def issues(count: int, version: int = 0) -> list[Node]:
    return [issue(number, version) for number in range(count)]


def zone_at(path: Path) -> LandingZone:
    return LandingZone(open_store(str(path)), TENANT)


def land(zone: LandingZone, nodes: Sequence[Node], day: str = DAY) -> None:
    fetch = FetchInfo(
        run_id="fetch",
        fetched_at=datetime.now(UTC),
        window_start=START,
        window_end=START + timedelta(1),
        query_hash="q",
    )
    zone.land("issue", day, [nodes], fetch, Figures(), "updatedAt")


def partition_of(zone: LandingZone, day: str = DAY, tags: Iterable[str] = ("forwarded",)) -> EcsPartition:
    landed = zone.day("issue", day)
    options = EcsOptions(tags=tuple(tags), fetched_at=landed.fetched_at)
    return EcsPartition(dataset=ISSUE, day=day, options=options, landed=landed)


def write(
    zone: LandingZone, client: Elasticsearch, namespace: str, run_id: str = "run-1", **options: Any
) -> WriteReport:
    destination = Destination(client, namespace, run_id, backoff=AT_ONCE)
    return write_partition(partition_of(zone, **options), zone, destination)


def figures(report: WriteReport) -> dict[str, int]:
    """The figures of a write that aren't 0, without those that a retry changes."""
    names = ("created", "unchanged", "deleted", "rejected", "duplicates")
    return {name: figure for name in names if (figure := getattr(report, name))}


def stored(client: Elasticsearch, namespace: str, day: str = DAY) -> list[dict[str, Any]]:
    """All hits of a day's documents, backing index and id included."""
    stream = stream_name(ISSUE, namespace)
    client.indices.refresh(index=stream)
    query = {"bool": {"filter": {"term": {"labels.dagster_partition": day}}}}
    hits = client.search(index=stream, query=query, size=10_000)["hits"]["hits"]
    return sorted(hits, key=lambda hit: (hit["_id"], hit["_index"]))


def statuses(hits: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Status by issue id, and that no issue is there twice."""
    found: dict[str, str] = {}
    for hit in hits:
        issue_id = hit["_source"]["event"]["id"]
        assert issue_id not in found, f"{issue_id} is stored twice"
        found[issue_id] = hit["_source"]["wiz"]["issue"]["status"]["value"]
    return found


def backing_indices(client: Elasticsearch, namespace: str) -> list[str]:
    """The backing indices of the issues' stream, the oldest first."""
    found = client.indices.resolve_index(name=stream_name(ISSUE, namespace))
    return sorted(found["data_streams"][0]["backing_indices"])
