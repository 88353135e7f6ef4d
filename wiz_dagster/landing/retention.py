"""Deleting what the landing zone has held long enough: whole days, their dead letters alone, reports of what is gone.

A day is old when it was landed last before a moment, however long ago it was itself: a backfill of last year isn't
deleted while it runs. What is deleted can't be written again. How long is enough is said by the settings.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from wiz_dagster.landing.stamps import stamp_of
from wiz_dagster.landing.zone import LandingZone, day_folder

NEWEST = 2
"""Days of a dataset that stay whatever their age: the latest view of a snapshot rests on the last sweeps."""
REPORTS = "report"
"""The folder of the daily reports, which name resources too: a folder a namespace, a page a day."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LOCK = ".lock"


def forget_days(zone: LandingZone, dataset: str, before: datetime) -> int:
    """Delete the dataset's days that were landed last before a moment; how many.

    The manifest goes first, so that no reader finds a day half there; what a kill leaves is deleted the next time.
    DamagedError where a manifest can't be read: such a day stays, and so do those after it.
    """
    newest = zone.days(dataset)[-NEWEST:]
    forgotten = 0
    for day in zone.store.list(dataset):
        if not _DAY.fullmatch(day) or day in newest or not _is_over(zone, dataset, day, before):
            continue
        folder = day_folder(dataset, day)
        zone.store.delete(f"{folder}/manifest.json")
        names = [name for name in zone.store.list(folder) if not name.endswith(_LOCK)]
        for name in names:
            zone.store.delete(f"{folder}/{name}")
        forgotten += 1
    return forgotten


def forget_dead_letters(zone: LandingZone, dataset: str, before: datetime) -> int:
    """Delete the dead letters of the dataset's days that were landed last before a moment; how many files."""
    forgotten = 0
    for day in zone.days(dataset):
        if not _is_over(zone, dataset, day, before):
            continue
        folder = day_folder(dataset, day)
        letters = [name for name in zone.store.list(folder) if name.startswith("dead-letters.")]
        for name in letters:
            zone.store.delete(f"{folder}/{name}")
        forgotten += len(letters)
    return forgotten


def forget_reports(zone: LandingZone, datasets: Iterable[str], before: datetime) -> int:
    """Delete the reports of days before a moment of which no dataset is landed any more; how many."""
    landed = {day for dataset in datasets for day in zone.days(dataset)}
    forgotten = 0
    for namespace in zone.store.list(REPORTS):
        for name in zone.store.list(f"{REPORTS}/{namespace}"):
            day = name.removesuffix(".html")
            if _DAY.fullmatch(day) and day < before.date().isoformat() and day not in landed:
                zone.store.delete(f"{REPORTS}/{namespace}/{name}")
                forgotten += 1
    return forgotten


def _is_over(zone: LandingZone, dataset: str, day: str, before: datetime) -> bool:
    """Whether nothing of the day was landed since a moment."""
    if day >= before.date().isoformat():
        return False
    folder = day_folder(dataset, day)
    held = [name for name in zone.store.list(folder) if not name.endswith(_LOCK)]
    # A landing that is under way has written parts, and its manifest comes last.
    if any(stamp >= before for name in held if (stamp := stamp_of(name)) is not None):
        return False
    if "manifest.json" in held:
        return all(fetch.fetched_at < before for fetch in zone.day(dataset, day).manifest.fetches)
    return bool(held)
