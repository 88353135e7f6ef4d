"""How collecting went: what each dataset's manifests, receipts and dead letters say of a day and of those before it.

Small files alone are read, no parts. A day that isn't there, or can't be read, is told as such and never as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.manifest import FetchRecord
from wiz_dagster.landing.receipts import read_receipt
from wiz_dagster.landing.zone import LandingZone, day_folder
from wiz_dagster.wiz.windows import day_window

LATE = timedelta(days=1)
"""A day that was first fetched so long after its end lacks what had changed again by then."""


class State(Enum):
    """What the landing zone has of a dataset's day."""

    COMPLETE = "complete"
    OPEN = "not over yet"
    INCOMPLETE = "nodes missing"
    MISSING = "not landed"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Day:
    """A dataset's day: what of it is landed, and the landed day itself where it can be read."""

    state: State
    landed: LandedDay | None = None
    late: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Collection:
    """A dataset's collection: its days, oldest first, and the figures of the last; None where nothing says them.

    `wiz_count` is of the last fetch of the whole day. `outdated`: the documents are those of an earlier landing.
    """

    dataset: Dataset
    days: dict[str, Day]
    nodes: int | None = None
    fetched: int | None = None
    wiz_count: int | None = None
    documents: int | None = None
    outdated: bool = False
    dead_letters: int | None = None
    drift: int | None = None
    complete_at: datetime | None = None
    landed_at: datetime | None = None

    @property
    def last(self) -> Day:
        """The day that the report is of."""
        return list(self.days.values())[-1]


def collection(zone: LandingZone, dataset: Dataset, days: Sequence[str], receipts: str) -> Collection:
    """What is known of some days, ascending; figures of the last. `receipts` is what the destination's are named by."""
    found = {day: landed_day(zone, dataset, day) for day in days}
    day, last = days[-1], found[days[-1]]
    if last.landed is not None:
        found[day] = last = _readable(last)
    if last.landed is None:
        return Collection(dataset, found)
    fetches = last.landed.manifest.fetches
    whole = [fetch for fetch in fetches if fetch.window_start <= day_window(day).start or dataset.snapshot]
    complete = [fetch.fetched_at for fetch in fetches if fetch.complete]
    receipt = read_receipt(zone, dataset.name, day, receipts)
    return Collection(
        dataset,
        found,
        nodes=last.landed.nodes,
        fetched=whole[-1].nodes if whole else None,
        wiz_count=whole[-1].wiz_count if whole else None,
        documents=len(receipt.entries) if receipt else None,
        outdated=receipt is not None and receipt.generation < last.landed.generation,
        dead_letters=_dead_letters(zone, dataset, day, receipts),
        drift=sum(receipt.drift.values()) if receipt else None,
        complete_at=max(complete, default=None),
        landed_at=last.landed.fetched_at if fetches else None,
    )


def _dead_letters(zone: LandingZone, dataset: Dataset, day: str, receipts: str) -> int | None:
    try:
        return sum(1 for _ in read_dead_letters(zone, dataset.name, day, receipts))
    except DamagedError:
        return None


def landed_day(zone: LandingZone, dataset: Dataset, day: str) -> Day:
    """What the zone has of a dataset's day; raises only what a store does that can't be reached."""
    if not zone.store.exists(f"{day_folder(dataset.name, day)}/manifest.json"):
        return Day(State.MISSING)
    try:
        landed = zone.day(dataset.name, day)
    except DamagedError as error:
        return Day(State.DAMAGED, problem=str(error))
    fetches = landed.manifest.fetches
    end = day_window(day).end
    late = not dataset.snapshot and not dataset.pushed and first_fetch(landed) >= end + LATE
    return Day(_state(dataset, landed, fetches, end), landed, late)


def _readable(day: Day) -> Day:
    """The same, or told as damaged where its indexes are."""
    try:
        _ = day.landed and day.landed.nodes
    except DamagedError as error:
        return Day(State.DAMAGED, problem=str(error))
    return day


def _state(dataset: Dataset, landed: LandedDay, fetches: Sequence[FetchRecord], end: datetime) -> State:
    if not landed.complete or fetches[-1].missing:
        return State.INCOMPLETE
    asked = max([*landed.manifest.covered.values(), *(fetch.window_end for fetch in fetches)])
    return State.COMPLETE if dataset.snapshot or dataset.pushed or asked >= end else State.OPEN


def first_fetch(landed: LandedDay) -> datetime:
    """When something of a landed day was first fetched."""
    return min(each.fetched_at for each in (*landed.manifest.fetches, *landed.manifest.parts))
