"""Windows of time: what a partition covers, how a window is cut into slices, how Wiz's times are read and written.

All windows are half open and UTC; times are compared as datetimes, never as text, because Wiz mixes precisions.
What is asked for a window, and which rows of an answer belong to it, is decided in `fetch.py`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

from wiz_dagster.errors import PermanentError

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?\s*(?:([Zz])|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Window:
    """The times from `start` up to, not including, `end`; both UTC. `end` not after `start`: an empty window."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def empty(self) -> bool:
        """Whether no time lies in it."""
        return self.end <= self.start


def day_window(day: str) -> Window:
    """The whole UTC day (YYYY-MM-DD). Raises PermanentError for a day that isn't one."""
    try:
        start = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    except ValueError:
        raise PermanentError(f"{day[:40]!r} is not a day: write it as YYYY-MM-DD.") from None
    return Window(start, start + _DAY)


def partition_window(day: str, now: datetime, lag: timedelta) -> Window:
    """The window of the partition `day` (YYYY-MM-DD), as far as it has passed at `now` less `lag` (whole seconds).

    `lag` leaves out what Wiz may not have indexed yet. A day that has only just begun gives an empty window.
    Raises PermanentError for a day that isn't one, or that lies in the future.
    """
    whole = day_window(day)
    start, end = whole.start, whole.end
    if start > now:
        raise PermanentError(f"{day} has not begun (days are UTC): choose a day up to {now.astimezone(UTC):%Y-%m-%d}.")
    settled = (now.astimezone(UTC) - lag).replace(microsecond=0)
    return Window(start, max(start, min(end, settled)))


def snapshot_window(day: str, now: datetime) -> Window:
    """The moment `now` as an empty window, if it lies on `day` (YYYY-MM-DD, UTC).

    Raises PermanentError for any other day: what Wiz held then can't be asked for any more, or not yet.
    """
    today = now.astimezone(UTC)
    if day != f"{today:%Y-%m-%d}":
        raise PermanentError(
            f"Wiz only tells what there is now: today, {today:%Y-%m-%d} (UTC), can be fetched and {day[:40]} can't. "
            "What was landed on that day can still be written again."
        )
    return Window(today, today)


def cut(window: Window, n: int) -> list[Window]:
    """Cut `window` into at most `n` slices that follow each other without gap or overlap; none when it is empty.

    Inner edges are whole seconds where the window is long enough, so that no precision of Wiz's filters matters.
    """
    if window.empty:
        return []
    unit = timedelta(seconds=1) if (window.end - window.start) >= n * timedelta(seconds=1) else _MICROSECOND
    units = (window.end - window.start) // unit
    count = max(1, min(n, units))
    edges = [window.start + unit * (units * i // count) for i in range(count)] + [window.end]
    return [Window(start, end) for start, end in pairwise(edges)]


def parse_time(text: object) -> datetime | None:
    """Read an RFC 3339 time as UTC; None for anything else.

    Any number of fractional digits (cut off beyond microseconds), a space for the T, an offset with or without a colon;
    without a zone it is UTC.
    """
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    microsecond = int(((found[7] or "") + "000000")[:6])
    leap = second == 60
    offset = timedelta(hours=int(found[10] or 0), minutes=int(found[11] or 0)) * (-1 if found[9] == "-" else 1)
    try:
        local = datetime(year, month, day, hour, minute, 59 if leap else second, microsecond, timezone(offset))
        return local.astimezone(UTC) + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None


def format_time(moment: datetime) -> str:
    """Write a time as Wiz's filters take it: RFC 3339, UTC, microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
