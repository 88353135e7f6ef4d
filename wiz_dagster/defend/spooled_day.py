"""A day of the spool on its way into the landing zone: the nodes of its bodies, what couldn't be read, what may go.

A segment is removed only when the landing zone's manifest has its nodes, and stays where it is when any of it can't be
read; neither keeps the other segments back. What a record or a segment is stands in `spool.py`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from wiz_dagster.datasets.base import Dataset, Node
from wiz_dagster.defend.spool import Backlog, Record, Segment, backlog, records, remove, segments
from wiz_dagster.errors import PermanentError
from wiz_dagster.landing.landing_run import LandReport
from wiz_dagster.landing.manifest import FetchInfo, Tenant
from wiz_dagster.lenient_json import read_json
from wiz_dagster.wiz.windows import partition_window

BATCH_NODES = 500
BATCH_BYTES = 4_000_000
MOST_WARNINGS = 20


@dataclass
class SpoolReport:
    """Figures of a drain, complete after its last batch; the first seven are what the manifest keeps of any fetch.

    `pages` are the segments read, `requests` the bodies. `unreadable` are segments that stay for being damaged, or for
    a body that is no event.
    """

    pages: int = 0
    requests: int = 0
    bytes_received: int = 0
    wiz_count: int | None = None
    warnings: list[str] = field(default_factory=list)
    null_nodes: int = 0
    missing: int = 0
    nodes: int = 0
    unreadable: int = 0
    oldest: datetime | None = None
    left: Backlog | None = None
    """What the whole spool holds once the segments that could be read are gone."""


@dataclass
class SpooledDay:
    """The bodies received on a UTC day and not landed yet; `read`, `landed`, `held` are the figures once they are."""

    dataset: Dataset
    day: str
    run_id: str
    spool: Path
    tenant: Tenant
    read: SpoolReport | None = field(default=None, init=False)
    landed: LandReport | None = field(default=None, init=False)
    held: int | None = field(default=None, init=False)

    def fetch_info(self) -> FetchInfo:
        """As a fetch of what was received of the day by now; nobody was asked, so the query is nothing."""
        now = datetime.now(UTC)
        window = partition_window(self.day, now, timedelta(0))
        return FetchInfo(
            run_id=self.run_id,
            fetched_at=now,
            window_start=window.start,
            window_end=window.end,
            query_hash=sha256(b"").hexdigest(),
        )

    @contextmanager
    def opened(self) -> Iterator[SpooledNodes]:
        """The day's nodes, to be landed within; what was read whole then leaves the spool, after an error nothing."""
        nodes = SpooledNodes(self.dataset, [one for one in segments(self.spool) if one.day == self.day])
        yield nodes
        remove(nodes.read_whole)
        nodes.report.left = backlog(self.spool)
        self.read = nodes.report

    def figures(self) -> dict[str, Any]:
        """What was read, for the run's metadata."""
        read = self.read
        if read is None or read.left is None:
            return {}
        oldest = read.oldest
        return {
            "spool/events": read.nodes,
            "spool/bodies": read.requests,
            "spool/segments": read.pages,
            "spool/bytes": read.bytes_received,
            "spool/unreadable": read.unreadable,
            "spool/left": read.left.segments,
            "spool/oldest_wait_s": round((datetime.now(UTC) - oldest).total_seconds(), 1) if oldest else 0.0,
        }


@dataclass
class SpooledNodes:
    """The nodes of some segments, to iterate once, batch by batch; `read_whole` are the segments that may go then."""

    dataset: Dataset
    segments: Sequence[Segment]
    report: SpoolReport = field(default_factory=SpoolReport)
    read_whole: list[Segment] = field(default_factory=list)

    def __iter__(self) -> Iterator[list[Node]]:
        batch: list[Node] = []
        size = 0
        for nodes, length in self._bodies():
            batch += nodes
            size += length
            if len(batch) >= BATCH_NODES or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _bodies(self) -> Iterator[tuple[list[Node], int]]:
        for segment in self.segments:
            try:
                bad = yield from self._bodies_of(segment)
            except FileNotFoundError:
                continue  # another run has landed it meanwhile
            except PermanentError as error:
                self._stays(str(error))
            except OSError as error:
                self._stays(f"{segment.path} can't be read: {error.strerror or error}.")
            else:
                if bad:
                    self._stays(f"{segment.path} holds {bad} bodies that are no JSON object or array of objects.")
                else:
                    self.read_whole.append(segment)
            self.report.pages += 1

    def _bodies_of(self, segment: Segment) -> Generator[tuple[list[Node], int], None, int]:
        """The nodes and the length of each body; returns how many were no events."""
        bad = 0
        for record in records(segment):
            nodes = self._nodes(record)
            if nodes is None:
                bad += 1
            else:
                yield nodes, len(record.body)
        return bad

    def _nodes(self, record: Record) -> list[Node] | None:
        """The nodes of a body; None if it isn't an object or an array of objects."""
        report = self.report
        report.requests += 1
        report.bytes_received += len(record.body)
        report.oldest = min(report.oldest or record.received_at, record.received_at)
        objects = objects_of(record.body)
        if objects is None or self.dataset.split is None:
            return None
        nodes = [node for one in objects for node in self.dataset.split(one)]
        report.nodes += len(nodes)
        return nodes

    def _stays(self, warning: str) -> None:
        self.report.unreadable += 1
        if len(self.report.warnings) < MOST_WARNINGS:
            self.report.warnings.append(f"{warning} It stays in the spool.")


def objects_of(body: bytes) -> list[Node] | None:
    """The JSON object that a body is, or the objects of its array; None for anything else."""
    try:
        value = read_json(body)
    except ValueError:
        return None
    values = value if isinstance(value, list) else [value]
    return values if all(isinstance(one, dict) for one in values) else None
