"""The sweeps of a snapshot dataset over all landed days: which is the newest that is complete, and what it held.

What a single day holds is in `landed_day.py`.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

import numpy as np

from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.node_index import Contents
from wiz_dagster.landing.zone import LandingZone


class Sweep:
    """One complete sweep: when it began, and the hashes of the ids that it found."""

    def __init__(self, day: LandedDay) -> None:
        self._day = day
        self.started: datetime = day.fetched_at

    @cached_property
    def nodes(self) -> Contents:
        """Hashes of the Wiz ids, 16 bytes each, sorted."""
        return np.unique(np.ascontiguousarray(self._day.entries["node"]))

    def node_ids(self) -> Iterator[bytes]:
        """Each of the hashes, whole: an item of the array loses its trailing zero bytes."""
        raw = self.nodes.tobytes()
        return (raw[start : start + self.nodes.itemsize] for start in range(0, len(raw), self.nodes.itemsize))


def newest_sweep(zone: LandingZone, dataset: str) -> Sweep | None:
    """The complete sweep that was begun last, of all that the landed days hold; None when there is none yet.

    A sweep is filed under the day of its run. Around midnight it may begin on the next day, hence the second look back.
    """
    found: list[LandedDay] = []
    for name in reversed(zone.days(dataset)):
        day = zone.day(dataset, name)
        if day.complete:
            found.append(day)
        if len(found) == 2:
            break
    return Sweep(max(found, key=lambda day: day.fetched_at)) if found else None
