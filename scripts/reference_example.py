"""The example of a dataset's reference page: a document as it would lie in Elasticsearch, of a generated node.

Nothing in it depends on the clock: the tenant, the moment and the run are fixed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from wiz_dagster.datasets.base import Dataset, Node
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.stamping import Stamper
from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.queries import read_query
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros

NOW = datetime(2026, 3, 14, 15, 9, 26, 535000, UTC)
RUN = "6f0b9a52-3d1c-4e8f-9b7a-2c5d8e1f4a36"
SENDER = AutomationRule(id="0d9b5c1e-4f3a-4a61-9c8e-7b2f6a1d3c58", name="Detections to Elasticsearch")
CANDIDATES = 400
LONGEST = 5_000
"""Bytes of a document, so that a page stays readable."""


def example(dataset: Dataset) -> dict[str, Any]:
    """With default options; of the documents that aren't long, the least odd one that fills most fields."""
    options = EcsOptions(tags=dataset.default_tags, fetched_at=NOW)
    found: list[tuple[int, int, dict[str, Any]]] = []
    for node in _nodes(dataset):
        frame, drift = make_frame(dataset, [json.dumps(node).encode()], options)
        frame.index = [b"node"]
        (stamped,) = Stamper(dataset, "default", _day(dataset, node), RUN).stamp_frame(frame)
        if len(stamped.document) <= LONGEST:
            document = json.loads(stamped.document)
            found.append((-drift.total(), len(set(_paths(document))), document))
    _, _, best = max(found, key=lambda one: one[:2])
    best["event"]["ingested"] = NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return best


def _nodes(dataset: Dataset) -> list[Node]:
    """Some nodes of the fixed tenant, as the emulator answers with them, or sends them by itself."""
    tenant, now = Tenant(now=NOW, seed=4, days=2), micros(NOW)
    if dataset.split is not None:
        sent = bodies(tenant, NOW - timedelta(days=1), NOW, SENDER)
        return [node for body in sent for node in dataset.split(body)][-CANDIDATES:]
    source = tenant.source(dataset.name)
    ordinals = np.concatenate(list(source.blocks({}, now)))[-CANDIDATES:]
    connection = {"nodes": source.nodes(ordinals, now)}
    (selected,) = read_query(dataset.query()).select({"first": CANDIDATES, "withCount": False})
    nodes: list[Node] = selected.connection(connection)["nodes"]
    return nodes


def _day(dataset: Dataset, node: Node) -> str:
    moments = (node.get(field) for field in dataset.window_fields)
    return str(next(filter(None, moments), NOW.isoformat()))[:10]


def _paths(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, f"{prefix}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, prefix)
    else:
        yield prefix
