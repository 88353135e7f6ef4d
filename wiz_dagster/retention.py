"""How long the landing zone, its dead letters and the spool keep what they hold: for ever, unless a setting says else.

The deleting is done in `landing/retention.py` and `defend/spool.py`, the job that asks for it is in `pruning.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.defend.settings import read_spool_settings
from wiz_dagster.defend.spool import remove, segments
from wiz_dagster.landing.retention import forget_days, forget_dead_letters, forget_reports
from wiz_dagster.landing.zone import open_zone


@dataclass(frozen=True)
class Retention:
    """Days that each is kept; None: for ever."""

    landing: int | None = None
    dead_letters: int | None = None
    spool: int | None = None


def forget(
    environment: Mapping[str, str], datasets: Iterable[Dataset], kept: Retention, now: datetime
) -> dict[str, int]:
    """Delete what is kept long enough; how many of each. Raises the zone's errors.

    A segment is as old as its last write, and goes whether it was landed or not.
    """
    done = {"landed_days": 0, "reports": 0, "dead_letters": 0, "segments": 0}
    names = [dataset.name for dataset in datasets]
    if kept.landing is not None:
        before, zone = now - timedelta(days=kept.landing), open_zone(environment)
        done["landed_days"] = sum(forget_days(zone, name, before) for name in names)
        done["reports"] = forget_reports(zone, names, before)
    if kept.dead_letters is not None:
        before = now - timedelta(days=kept.dead_letters)
        zone = open_zone(environment)
        done["dead_letters"] = sum(forget_dead_letters(zone, name, before) for name in names)
    if kept.spool is not None:
        before = now - timedelta(days=kept.spool)
        found = segments(read_spool_settings(environment).spool)
        old = [one for one in found if one.modified < before.timestamp()]
        remove(old)
        done["segments"] = len(old)
    return done
