"""What is told and when, as a pure function of what happened, what was told before, and the time.

A subject is what can fail: an asset, a check, a job, a dataset that can be stale. It is told once with all its days
that fail, and again with further days no sooner than `PAUSE` later or, if it goes on failing, after `REMINDER`, so that
neither a refresh every minute nor a backfill of a year floods anyone; that all its days are well again is told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field

PAUSE = timedelta(hours=1)
"""Between two messages about one subject."""
REMINDER = timedelta(hours=24)
"""After this, what was told and fails again is told again."""
MOST_CAUSES = 3
"""Causes told of one subject."""
MOST_DAYS = 500
"""Failing days remembered of one subject; the oldest are forgotten."""

Kind = Literal["run", "check", "stale"]


class Trouble(BaseModel, frozen=True):
    """One thing that failed: what, on which day (empty without one), why in a sentence, and in which run."""

    kind: Kind
    name: str
    """As people know it: `wiz/issue`, `wiz/issue no_rejections`, a job, a dataset."""
    cause: str
    day: str = ""
    job: str = ""
    run_id: str = ""
    mend: str = ""
    """The job that mends it; empty where none does."""
    warning: bool = False

    @property
    def subject(self) -> tuple[Kind, str]:
        """What failed, whatever the day."""
        return self.kind, self.name


class Subject(BaseModel):
    """What is known of one subject: its failing days in the order they failed, and those not told yet."""

    kind: Kind
    name: str
    failing: list[str] = Field(default_factory=list)
    untold: list[str] = Field(default_factory=list)
    causes: list[Trouble] = Field(default_factory=list)
    """The first troubles of the untold days, a cause each."""
    told_at: datetime | None = None
    told: bool = False
    """Whether people were told that it fails, and not yet that it is well again."""


class Told(BaseModel):
    """What one message says of a subject: that its days fail, or, without `causes`, that it is well again."""

    kind: Kind
    name: str
    days: list[str] = Field(default_factory=list)
    causes: list[Trouble] = Field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether it says that all is well again."""
        return not self.days


class Memory(BaseModel):
    """What was seen and told up to the last tick."""

    seen: int
    """The storage id of the last event that was looked at."""
    subjects: list[Subject] = Field(default_factory=list)

    def note(self, troubles: Iterable[Trouble], mended: Iterable[tuple[Kind, str, str]], now: datetime) -> None:
        """Take in what happened in one run, or what is stale now: what failed, and what is well (kind, name, day)."""
        for kind, name, day in mended:
            found = self._find(kind, name)
            if found:
                _mend(found, day)
        for trouble in troubles:
            _fail(self._find(*trouble.subject) or self._add(*trouble.subject), trouble, now)

    def forget(self, kind: Kind, name: str) -> None:
        """Nobody watches the subject any more: say nothing about it."""
        self.subjects = [one for one in self.subjects if (one.kind, one.name) != (kind, name)]

    def due(self, now: datetime) -> list[Told]:
        """What to tell now; it counts as told from here on."""
        told = [saying for one in self.subjects if (saying := _say(one, now))]
        self.subjects = [one for one in self.subjects if one.failing or (one.told_at and now - one.told_at < PAUSE)]
        return told

    def _find(self, kind: Kind, name: str) -> Subject | None:
        return next((one for one in self.subjects if (one.kind, one.name) == (kind, name)), None)

    def _add(self, kind: Kind, name: str) -> Subject:
        self.subjects.append(Subject(kind=kind, name=name))
        return self.subjects[-1]


def _fail(one: Subject, trouble: Trouble, now: datetime) -> None:
    if trouble.day not in one.failing:
        one.failing = [*one.failing, trouble.day][-MOST_DAYS:]
    elif trouble.day in one.untold or not one.told_at or now - one.told_at < REMINDER:
        return
    one.untold = [*one.untold, trouble.day][-MOST_DAYS:]
    if len(one.causes) < MOST_CAUSES and trouble.cause not in {known.cause for known in one.causes}:
        one.causes.append(trouble)


def _mend(one: Subject, day: str) -> None:
    one.failing = [failing for failing in one.failing if failing != day]
    one.untold = [untold for untold in one.untold if untold != day]
    one.causes = [cause for cause in one.causes if cause.day != day]


def _say(one: Subject, now: datetime) -> Told | None:
    if one.untold and (one.told_at is None or now - one.told_at >= PAUSE):
        saying = Told(kind=one.kind, name=one.name, days=one.untold, causes=one.causes)
        one.told_at, one.told, one.untold, one.causes = now, True, [], []
        return saying
    if one.told and not one.failing:
        one.told = False
        return Told(kind=one.kind, name=one.name)
    return None
