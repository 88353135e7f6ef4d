"""The receiver's counters, in a registry of its own, as Prometheus reads them.

What waits in the spool is looked at when somebody asks, in a thread, and at most every few seconds.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from wiz_dagster.defend.occasionally import Occasionally
from wiz_dagster.defend.spool import backlog

LOOK_SECONDS = 5.0
_APPEND_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """All figures; `refused` has a label `reason`, see `refusals.py`."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        registry = self._registry = CollectorRegistry()
        self.requests = Counter("wiz_defend_accepted_requests", "Requests answered with 200.", registry=registry)
        self.events = Counter("wiz_defend_accepted_events", "Objects in accepted requests.", registry=registry)
        self.bytes = Counter("wiz_defend_accepted_bytes", "Bytes of accepted bodies, unpacked.", registry=registry)
        self.refused = Counter("wiz_defend_refused", "Refused requests and connections.", ["reason"], registry=registry)
        self.in_progress = Gauge("wiz_defend_requests_in_progress", "Bodies under way.", registry=registry)
        self.connections = Gauge("wiz_defend_connections", "Open connections.", registry=registry)
        self.append = Histogram(
            "wiz_defend_append_seconds", "Until a body is on disk.", registry=registry, buckets=_APPEND_SECONDS
        )
        self._segments = Gauge("wiz_defend_spool_segments", "Files that wait to be landed.", registry=registry)
        self._bytes = Gauge("wiz_defend_spool_bytes", "Bytes that wait to be landed.", registry=registry)
        self._age = Gauge("wiz_defend_spool_oldest_age_seconds", "How long the oldest waits.", registry=registry)
        self._look = Occasionally(LOOK_SECONDS, self._look_at_spool)

    async def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        await self._look()
        return generate_latest(self._registry)

    async def _look_at_spool(self) -> None:
        waits = await asyncio.to_thread(backlog, self._spool)
        self._segments.set(waits.segments)
        self._bytes.set(waits.bytes)
        self._age.set((datetime.now(UTC) - waits.oldest).total_seconds() if waits.oldest else 0.0)
