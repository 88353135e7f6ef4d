"""What the sensor asks for: which days of the spool need a run now, as a pure function of what is known at a tick.

The spool tells what is not landed, Dagster's records tell what is landed and not written; the cursor only remembers
what was tried, so that a failure is tried again with growing pauses and a damaged segment isn't tried for ever. Losing
the cursor loses nothing. Where the facts come from is in `wiz_dagster/sensors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MOST_DAYS = 5
"""Runs asked for at one tick."""
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True)
class DayState:
    """What is known of a day: its segments by newest name and by a digest of all, and what Dagster recorded.

    `landed` and `written` are the record numbers of the last landing and the last write of documents, 0 without one;
    a larger number is a later record.
    """

    newest: str = ""
    digest: str = ""
    in_flight: bool = False
    landed: int = 0
    written: int = 0

    @property
    def spooled(self) -> bool:
        """Whether segments wait."""
        return bool(self.digest)

    @property
    def unwritten(self) -> bool:
        """Whether the day was landed and its documents weren't written since."""
        return self.landed > self.written


class Tried(BaseModel):
    """A day that a run was asked for: what its spool held and `written` was then, how often, when it was last alive.

    `left`: that run succeeded and left these very segments, so they can't be read.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    digest: str
    written: int
    attempt: int = Field(ge=1)
    at: float = Field(ge=0, allow_inf_nan=False)
    left: bool = False


class Cursor(BaseModel):
    """The days that were tried and are not known to be done."""

    model_config = ConfigDict(strict=True)

    days: dict[Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")], Tried] = Field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """The cursor of a tick before; an empty one when there is none, or none that can be read."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


@dataclass(frozen=True)
class Launch:
    """A run to be asked for."""

    day: str
    run_key: str


@dataclass(frozen=True)
class Plan:
    """What a tick does: its launches, the next cursor, and in words why other days wait."""

    launches: Sequence[Launch]
    cursor: str
    waiting: Sequence[str]


def plan(days: Mapping[str, DayState], cursor: str | None, now: datetime, first_day: str) -> Plan:
    """Runs for the days that need one: the oldest first, at most `MOST_DAYS`, today's always among them.

    `days` holds every day that is spooled, remembered in the cursor, or landed lately; `first_day` is the first
    partition. A day gets no run while one is in flight.
    """
    today = now.astimezone(UTC).date().isoformat()
    tried = Cursor.read(cursor).days
    kept: dict[str, Tried] = {}
    due: list[str] = []
    waiting: list[str] = []
    for day in sorted(days):
        state, before = days[day], _judged(days[day], tried.get(day), now)
        if before is not None and day >= first_day:
            kept[day] = before
        reason = _reason_to_wait(day, state, before, now, first_day, today)
        if reason is None and (state.spooled or state.unwritten or before is not None):
            due.append(day)
        elif reason:
            waiting.append(reason)
    chosen = due[:MOST_DAYS]
    if today in due[MOST_DAYS:]:
        chosen[-1] = today
    for day in chosen:
        kept[day] = _next_try(days[day], kept.get(day), now)
    launches = [Launch(day, _run_key(day, days[day], kept[day], now)) for day in chosen]
    return Plan(launches, Cursor(days=kept).model_dump_json(), waiting)


def remembered_days(cursor: str | None) -> set[str]:
    """The days whose state a tick has to look up, spooled or not."""
    return set(Cursor.read(cursor).days)


def pause_after(attempt: int) -> timedelta:
    """How long to wait after a failed attempt: twice as long each time, up to ten minutes."""
    return min(FIRST_PAUSE * (1 << min(attempt - 1, 10)), LONGEST_PAUSE)


def _judged(state: DayState, before: Tried | None, now: datetime) -> Tried | None:
    """What is to be remembered of the last try: nothing once its documents stand and its segments are gone."""
    if before is None or before.left:
        return before if state.spooled else None
    if state.in_flight:
        return before.model_copy(update={"at": now.timestamp()})
    if state.written <= before.written or state.unwritten:
        return before
    return before.model_copy(update={"left": True}) if state.spooled and state.digest == before.digest else None


def _reason_to_wait(
    day: str, state: DayState, before: Tried | None, now: datetime, first_day: str, today: str
) -> str | None:
    """Why a day gets no run now, in words; None if nothing stands against one."""
    if day < first_day:
        return f"{day} lies before {first_day}, the first day by WIZ_START_DATE or the dataset's start_date"
    if day > today:
        return f"{day} has not begun"
    if state.in_flight:
        return f"{day} has a run under way"
    if before is None:
        return None
    if before.left:
        if state.digest == before.digest and not state.unwritten:
            return f"{day} has segments that can't be read; see the checks of wiz/raw/defend"
        return None
    since = now.timestamp() - before.at
    pause = pause_after(before.attempt)
    if 0 <= since < pause.total_seconds():  # a try in the future: the clock was set back
        again = now + pause - timedelta(seconds=since)
        return f"{day} failed, attempt {before.attempt}; it is tried again at {again:%H:%M:%S} UTC"
    return None


def _next_try(state: DayState, before: Tried | None, now: datetime) -> Tried:
    attempt = 1 if before is None or before.left else before.attempt + 1
    return Tried(digest=state.digest, written=state.written, attempt=attempt, at=now.timestamp())


def _run_key(day: str, state: DayState, tried: Tried, now: datetime) -> str:
    """Unique by the tick's time: Dagster would never start a key again that it saw, even a failed one."""
    return f"{day}/{state.newest or 'landed'}/{tried.attempt}/{now.astimezone(UTC):%Y%m%dT%H%M%S}"
