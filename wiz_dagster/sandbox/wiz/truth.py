"""What a day, a window or a sweep of the tenant truly holds, told by reading every node that could be in it.

Independent of the emulator's filters, paging and projection on purpose: tests and the demo hold their results
against it.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from wiz_dagster.sandbox.wiz.roots import BY_DATASET
from wiz_dagster.sandbox.wiz.source import Node, Source
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import NEVER, micros, micros_of_text

_CHUNK = 2000


def nodes_of_day(tenant: Tenant, dataset: str, day: str) -> Iterator[Node]:
    """The whole nodes of a UTC day ("2026-01-31"): by the dataset's first date that isn't null."""
    start = datetime.combine(date.fromisoformat(day), time(), UTC)
    return nodes_of_window(tenant, dataset, start, start + timedelta(days=1))


def nodes_of_window(tenant: Tenant, dataset: str, start: datetime, end: datetime) -> Iterator[Node]:
    """The whole nodes whose date lies in [start, end), as the tenant is now; in no particular order.

    They share records with other nodes of the tenant: read them, don't change them.
    """
    now = tenant.now
    source = tenant.source(dataset)
    oldest = start if source.kept_for is None else max(start, now - timedelta(microseconds=source.kept_for))
    for node in _nodes_of_span(source, micros(start), micros(end), micros(now)):
        moment = moment_of(node, dataset)
        if moment is not None and oldest <= moment < end and moment <= now:
            yield node


def nodes_of_snapshot(tenant: Tenant, dataset: str) -> Iterator[Node]:
    """The whole nodes that the tenant has as of now, but for deleted ones: what a sweep of it finds."""
    now = micros(tenant.now)
    for node in _nodes_of_span(tenant.source(dataset), 0, now, now):
        born = micros_of_text(node.get("firstSeenAt"))
        if (born == NEVER or born <= now) and not node.get("deleted"):
            yield node


def moment_of(node: Node, dataset: str) -> datetime | None:
    """The date that says which day a node belongs to, cut to microseconds; None without a readable one."""
    for name in BY_DATASET[dataset].day_fields:
        text = node.get(name)
        if text is None:
            continue
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _nodes_of_span(source: Source, earliest: int, latest: int, now: int) -> Iterator[Node]:
    everything = source.span(earliest, latest)
    for first in range(everything.start, everything.stop, _CHUNK):
        yield from source.nodes(np.arange(first, min(first + _CHUNK, everything.stop), dtype=np.int64), now)
