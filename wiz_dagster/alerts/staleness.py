"""Which datasets are stale: nothing of the last two days was written for longer than the schedules that are on promise.

A backfill of older days makes nothing fresh, and a dataset without a schedule that is on isn't watched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import dagster as dg
from dagster import AssetRecordsFilter, DagsterInstance

from wiz_dagster.alerts.memory import Trouble
from wiz_dagster.defend.spool import backlog


class Watched(NamedTuple):
    """A dataset, the asset of its documents, and the intervals of its schedules by their names.

    The dataset that Wiz pushes has its sensor there, and its events wait in the spool: no news is no failure.
    """

    dataset: str
    asset: dg.AssetKey
    intervals: Mapping[str, timedelta]
    pushed: bool = False


class Patience(NamedTuple):
    """How late a write may be beyond its schedule's interval, and where events of the pushed dataset wait."""

    after: timedelta
    spool: Path

    def limit(self, interval: timedelta) -> timedelta:
        """How old the newest write may be. A long interval has long runs: it is given an eighth more at least."""
        return interval + max(self.after, interval / 8)


def switched_on(instance: DagsterInstance, location: str | None) -> dict[str, datetime | None]:
    """The schedules and sensors that are on, of one code location or of all, and since when, if that is known."""
    found = {}
    for state in instance.all_instigator_state():
        origin = state.origin.repository_origin.code_location_origin
        if state.is_running and location in (None, origin.location_name):
            since = getattr(state.instigator_data, "start_timestamp", None)
            found[state.instigator_name] = datetime.fromtimestamp(since, UTC) if since else None
    return found


def newest_write(instance: DagsterInstance, asset: dg.AssetKey, now: datetime) -> datetime | None:
    """When a partition of today or yesterday was last written."""
    days = [f"{now - timedelta(days=back):%Y-%m-%d}" for back in (0, 1)]
    records = instance.fetch_materializations(AssetRecordsFilter(asset, asset_partitions=days), limit=1).records
    return datetime.fromtimestamp(records[0].timestamp, UTC) if records else None


def lateness(
    instance: DagsterInstance,
    watched: Sequence[Watched],
    on: Mapping[str, datetime | None],
    patience: Patience,
    now: datetime,
) -> dict[str, Trouble | None]:
    """By dataset, the trouble of it if it is stale, None if it is fresh; what isn't watched is left out."""
    found = {}
    for one in watched:
        running = [name for name in one.intervals if name in on]
        if not running:
            continue
        name = min(running, key=lambda name: one.intervals[name])
        if one.pushed:
            since = backlog(patience.spool).oldest
        else:
            since = max(filter(None, (newest_write(instance, one.asset, now), on[name])), default=None)
        late = since is not None and now - since > patience.limit(one.intervals[name])
        found[one.dataset] = _trouble(one, name, since, now) if since and late else None
    return found


def _trouble(one: Watched, schedule: str, since: datetime, now: datetime) -> Trouble:
    what = "Events wait in the spool" if one.pushed else "Nothing of today or yesterday was written"
    minutes = int((now - since).total_seconds() // 60)
    cause = (
        f"{what} for {minutes} minutes, since {since:%Y-%m-%d %H:%M} UTC, though {schedule} is on; look at its last "
        "runs and ticks."
    )
    return Trouble(kind="stale", name=one.dataset, cause=cause)
