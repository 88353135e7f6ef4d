"""What flows from `wiz/<dataset>` to the IO managers: a day's nodes as ECS frames, made while they are drained.

Holds no documents itself. Who writes it leaves its figures in `report`, where the asset's checks find them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pandas as pd

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.drift import add_drift
from wiz_dagster.ecs.fingerprint import fingerprint
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.stamping import stamping_fingerprint
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.receipts import Receipt
from wiz_dagster.landing.zone import LandingZone

SAMPLE_ROWS = 5
SAMPLE_FIELDS = ("@timestamp", "event.id", "event.action", "event.outcome", "event.severity")
"""What a sample shows of a document, with id, status and severity of the dataset's own fields."""


class FrameBatch(NamedTuple):
    """A frame whose index holds the 24-byte node keys, and what its nodes had that the mapping doesn't know."""

    frame: pd.DataFrame
    drift: Counter[str]


@dataclass
class WriteReport:
    """The figures of one write; `bytes` as sent, `deleted` with stale documents and copies alike.

    `nodes` is what the landed day's own indexes say, so that a node lost on the way to its document shows.
    `elsewhere` are documents that another partition of the stream holds, of a node that Wiz sent again.
    `refitted` says in how many of the created a value was moved below `unmapped`, without which they were refused.
    `documents_in_elasticsearch` and `duplicates` (documents beyond one for each) are read back after the write.
    `drift` is that of all documents there, those of earlier writes too (a node that changed counts with each version).
    `reasons` has one entry a kind of rejection: a document's `id`, the `reason` without its values, the `count`.
    """

    nodes: int = 0
    documents: int = 0
    created: int = 0
    unchanged: int = 0
    deleted: int = 0
    elsewhere: int = 0
    refitted: int = 0
    rejected: int = 0
    duplicates: int = 0
    documents_in_elasticsearch: int = 0
    retried: int = 0
    bytes: int = 0
    seconds: float = 0.0
    drift: Counter[str] = field(default_factory=Counter)
    sample: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def look_at(self, batch: FrameBatch, stream: str) -> None:
        """Counts a batch's drift and takes the sample from the first rows."""
        add_drift(self.drift, batch.drift)
        missing = SAMPLE_ROWS - len(self.sample)
        if missing > 0:
            own = (f"wiz.{stream}.{name}" for name in ("id", "status", "status.value", "severity"))
            columns = [name for name in (*SAMPLE_FIELDS, *own) if name in batch.frame.columns]
            self.sample += batch.frame[columns].head(missing).to_dict("records")


@dataclass
class EcsPartition:
    """One landed day of a dataset, to be made into documents under the given options; may be drained repeatedly.

    `trust_last_write`: what the last write left is counted in Elasticsearch, not listed, where that will do.
    """

    dataset: Dataset
    day: str
    options: EcsOptions
    landed: LandedDay
    report: WriteReport | None = None
    trust_last_write: bool = False

    @property
    def fingerprint(self) -> str:
        """Changes when the same nodes would make other documents."""
        return f"{fingerprint(self.dataset, self.options)}-{stamping_fingerprint()}"

    def check_current(self, zone: LandingZone) -> None:
        """Raises TransientError when the day was landed again since it was read: what it was mustn't be written now."""
        if zone.generation(self.dataset.name, self.day) != self.landed.generation:
            raise TransientError(
                f"Another run landed {self.dataset.name} of {self.day} while this one was writing it: run the "
                "partition again."
            )

    def new_frames(self, receipt: Receipt | None) -> Iterable[FrameBatch]:
        """Frames of what a trusted receipt doesn't cover; without one, of everything."""
        if receipt is None:
            return self.frames()
        if receipt.generation == self.landed.generation:
            return ()
        return self.frames(after_generation=receipt.generation)

    def frames(self, after_generation: int = 0) -> Iterator[FrameBatch]:
        """Frames of the newest version of each node; only of nodes that came after the given generation."""
        for batch in self.landed.batches(after_generation=after_generation):
            options = replace(self.options, fetched_at=batch.fetched_at)
            frame, drift = make_frame(self.dataset, batch.lines, options)
            frame.index = pd.Index(batch.keys, dtype=object, name="node")
            yield FrameBatch(frame, drift)
