"""What the tests of the landing zone share: nodes, fetches, and what a reader sees of a day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from wiz_dagster.landing.landing_run import LandReport
from wiz_dagster.landing.manifest import FetchInfo, Tenant
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone

DAY = "2026-11-20"
TENANT = Tenant.of("https://api.us1.app.wiz.io/graphql", "client-1")
START = datetime(2026, 11, 20, tzinfo=UTC)

Node = dict[str, Any]


@dataclass
class Figures:
    pages: int = 1
    requests: int = 1
    bytes_received: int = 10
    wiz_count: int | None = None
    null_nodes: int = 0
    missing: int = 0
    warnings: list[str] = field(default_factory=list)


def fetch_info(minute: int = 0) -> FetchInfo:
    return FetchInfo(
        run_id=f"run-{minute}",
        fetched_at=START + timedelta(days=1, minutes=minute),
        window_start=START,
        window_end=START + timedelta(days=1),
        query_hash="q1",
    )


def node(node_id: str, version: int = 0, text: str = "") -> Node:
    return {"id": node_id, "updatedAt": (START + timedelta(seconds=version)).isoformat(), "text": text}


def zone_at(url: Any, tenant: Tenant | None = TENANT) -> LandingZone:
    return LandingZone(open_store(str(url)), tenant)


def land(zone: LandingZone, *batches: Sequence[Node], minute: int = 0, day: str = DAY) -> LandReport:
    return zone.land("issue", day, batches, fetch_info(minute), Figures(), "updatedAt")


def read(zone: LandingZone, after_generation: int = 0, day: str = DAY) -> list[Node]:
    batches = zone.day("issue", day).batches(after_generation)
    return [orjson.loads(line) for batch in batches for line in batch.lines]


def by_id(nodes: Iterable[Node]) -> dict[str, Node]:
    """The nodes by id, and that no id comes twice."""
    found = {}
    for each in nodes:
        assert each["id"] not in found, f"{each['id']} comes twice"
        found[each["id"]] = each
    return found
