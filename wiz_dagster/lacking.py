"""What a dataset's days lack: those never fetched, failed last, not fetched to their end, not written, no longer whole.

Told from the landing zone's manifests and receipts, Dagster's records and the documents that Elasticsearch counts by
day; no part is read. When it is asked, and how the answer is shown, is in `completeness.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from wiz_dagster.assets import ecs_key, raw_key
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.latest_views import view_of
from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.manifest import Manifest
from wiz_dagster.landing.receipts import Receipt, read_receipt
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.latest import latest_key
from wiz_dagster.materialized import Materialized, newest_materializations
from wiz_dagster.wiz.windows import day_window


class Lack(StrEnum):
    """What a day lacks, the first that applies."""

    DAMAGED = "damaged"
    """Its manifest can't be read."""
    FAILED = "failed"
    """The last run of one of its assets failed."""
    MISSING = "missing"
    """It was never landed."""
    WAITING = "waiting in the spool"
    """Events of it were received and not landed."""
    UNFINISHED = "not fetched to its end"
    """No complete fetch asked for all of it."""
    UNWRITTEN = "landed but not written"
    INCOMPLETE = "not as written"
    """Elasticsearch holds another number of its documents than the last write left."""
    NOT_IN_VIEW = "not in the latest view"


Stored = Callable[[], Mapping[str, int]]
"""How many documents Elasticsearch holds of each day of a dataset."""


@dataclass(frozen=True)
class Days:
    """A dataset's days: whether they feed a latest view, and how long Elasticsearch keeps them (None: for ever)."""

    dataset: Dataset
    partitions: dg.DailyPartitionsDefinition
    view: bool
    kept: timedelta | None = None

    def past(self, now: datetime) -> list[str]:
        """From the first day to yesterday."""
        return list(self.partitions.get_partition_keys(current_time=now - timedelta(days=1)))


@dataclass(frozen=True)
class Found:
    """How many days were looked at, and what is lacking, by day."""

    days: int
    lacks: Mapping[str, Lack] = field(default_factory=dict)

    def by_lack(self) -> dict[Lack, list[str]]:
        """The days of each kind, ascending."""
        return {
            kind: sorted(day for day, lack in self.lacks.items() if lack is kind)
            for kind in Lack
            if kind in self.lacks.values()
        }


def look(
    days: Days,
    zone: LandingZone,
    instance: DagsterInstance,
    *,
    namespace: str,
    stored: Stored | None,
    waiting: Sequence[str],
    now: datetime,
) -> Found:
    """Look through all days of a dataset; those that a run is working on count as whole.

    `stored` is None where documents don't go to Elasticsearch, `waiting` are the days with events in the spool.
    """
    return _Look(days, zone, instance, namespace, stored, waiting, now).found()


def ranges(days: Sequence[str]) -> str:
    """Ascending days in words: `2026-01-01 to 2026-01-03, 2026-01-07`."""
    runs = []
    for _, run in groupby(enumerate(days), lambda one: date.fromisoformat(one[1]).toordinal() - one[0]):
        found = [day for _, day in run]
        runs.append(found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}")
    return ", ".join(runs)


@dataclass
class _Look:
    days: Days
    zone: LandingZone
    instance: DagsterInstance
    namespace: str
    stored: Stored | None
    waiting: Sequence[str]
    now: datetime

    def found(self) -> Found:
        self._read_records()
        expected = self._expected()
        lacks = {day: lack for day in expected if (lack := self._lack(day)) is not None}
        settled = [day for day in expected if day in self._landed and day not in lacks | self._busy.keys()]
        lacks |= dict.fromkeys(self._changed(settled), Lack.INCOMPLETE)
        lacks |= {day: Lack.NOT_IN_VIEW for day in settled if day not in lacks and not self._in_view(day)}
        return Found(len(expected), lacks)

    def _read_records(self) -> None:
        dataset = self.days.dataset
        self._past = self.days.past(self.now)
        self._landed = set(self.zone.days(dataset.name)) & set(self._past)
        view = view_of(dataset) if self.days.view else None
        keys = [raw_key(dataset), ecs_key(dataset), *([latest_key(view)] if view else [])]
        # A sweep of an earlier day always fails: what was landed on it stays as it is.
        self._failed = self._with_status(keys[1:] if dataset.snapshot else keys, AssetPartitionStatus.FAILED)
        self._busy = self._with_status(keys, AssetPartitionStatus.IN_PROGRESS)
        self._raw, self._ecs, *views = (newest_materializations(self.instance, key, self._past) for key in keys)
        self._view = views[0] if views else None

    def _with_status(self, keys: Sequence[dg.AssetKey], wanted: AssetPartitionStatus) -> dict[str, dg.AssetKey]:
        """The days of which an asset has the status, with that asset."""
        found: dict[str, dg.AssetKey] = {}
        for key in keys:
            status = self.instance.get_status_by_partition(key, self._past, self.days.partitions) or {}
            found |= {day: key for day, one in status.items() if one is wanted}
        return found

    def _expected(self) -> list[str]:
        """The days that should be there: all that can still be fetched, and those that were landed or tried."""
        dataset = self.days.dataset
        there = self._landed | self._failed.keys()
        if dataset.pushed:
            return sorted(there | (set(self.waiting) & set(self._past)))
        if dataset.snapshot:
            # A day without a sweep can't be mended; that no sweep is taken any more can.
            yesterday = (self.now - timedelta(days=1)).date().isoformat()
            today = self.now.date().isoformat()
            taken = yesterday in self._landed or today in self.zone.days(dataset.name)
            return sorted(self._landed if taken else {*self._landed, yesterday})
        reach = dataset.reach_days
        first = "" if reach is None else (self.now - timedelta(days=reach)).date().isoformat()
        return [day for day in self._past if day >= first or day in there]

    def _lack(self, day: str) -> Lack | None:
        if day in self._busy:
            return None
        if day in self._failed:
            return Lack.FAILED
        if day not in self._landed:
            return Lack.WAITING if day in self.waiting else Lack.MISSING
        if day in self.waiting:
            return Lack.WAITING
        try:
            manifest = self.zone.day(self.days.dataset.name, day).manifest
        except DamagedError:
            return Lack.DAMAGED
        if not self._asked_to_its_end(manifest):
            return Lack.UNFINISHED
        return None if self._written(day, manifest) else Lack.UNWRITTEN

    def _asked_to_its_end(self, manifest: Manifest) -> bool:
        dataset = self.days.dataset
        if dataset.pushed or dataset.snapshot:
            return True
        end = day_window(manifest.day).end
        return any(until >= end for until in manifest.covered.values())

    def _written(self, day: str, manifest: Manifest) -> bool:
        """By Dagster's records or, where they say less, by the receipt of the last write."""
        if _after(self._ecs.get(day), self._raw.get(day)):
            return True
        receipt = self._receipt(day)
        return receipt is not None and receipt.generation >= manifest.generation

    def _receipt(self, day: str) -> Receipt | None:
        return read_receipt(self.zone, self.days.dataset.name, day, self.namespace)

    def _in_view(self, day: str) -> bool:
        return self._view is None or day not in self._raw or _after(self._view.get(day), self._raw[day])

    def _changed(self, written: Sequence[str]) -> list[str]:
        """The written days of which Elasticsearch holds another number of documents, asked twice: a write may be on."""
        if self.stored is None:
            return []
        suspects = [day for day in written if not self._given_up(day)]
        for _ in range(2):
            counts = self.stored() if suspects else {}
            suspects = [day for day in suspects if counts.get(day, 0) != self._left(day)]
            self._ecs |= newest_materializations(self.instance, ecs_key(self.days.dataset), suspects)
        return suspects

    def _left(self, day: str) -> int:
        """How many documents the last write left."""
        record = self._ecs.get(day)
        if record is not None and record.rows is not None:
            return record.rows
        receipt = self._receipt(day)
        return len(receipt.entries) if receipt else 0

    def _given_up(self, day: str) -> bool:
        """Whether Elasticsearch may have let the day's documents go, as the dataset's retention says."""
        if self.days.kept is None:
            return False
        record = self._ecs.get(day)
        return record is None or record.at < self.now - self.days.kept


def _after(later: Materialized | None, earlier: Materialized | None) -> bool:
    """Whether something was written after it was landed, both by Dagster's records."""
    return later is not None and earlier is not None and later.storage_id > earlier.storage_id
