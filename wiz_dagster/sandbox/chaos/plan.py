"""Which faults come when, and how long they last: it follows from the seed and the minutes alone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from wiz_dagster.sandbox.chaos.faults import KINDS, Kind

A_MINUTE = 16
REST_SECONDS = {"dagster": 30.0, "node": 30.0}
"""So long what takes seconds to start may work between two faults, or nothing would be under way to be struck."""
QUIET_SECONDS = 10.0
"""Nothing begins so shortly before the end."""


@dataclass(frozen=True)
class Planned:
    """A fault to come. `at` counts from the start of the faults, in seconds; `chance` decides about its details."""

    number: int
    at: float
    kind: Kind
    seconds: float
    chance: int


def plan(seed: int, minutes: float) -> list[Planned]:
    """All faults of a campaign, in order, evenly spread in time: rounds of all kinds, each in an order of its own."""
    chance = Random(f"faults {seed}")  # noqa: S311  # nothing secret is drawn
    number = max(1, int(minutes * A_MINUTE))
    step = max(minutes * 60 - QUIET_SECONDS, 1.0) / number
    planned: list[Planned] = []
    free_at: dict[str, float] = {}
    left: list[Kind] = []
    for count in range(number):
        left = left or [kind for kind in KINDS.values() for _ in range(kind.often)]
        at = (count + chance.random()) * step
        kind = chance.choice([one for one in left if free_at.get(one.target, 0.0) <= at] or left)
        left.remove(kind)
        seconds = chance.uniform(kind.least, kind.most)
        free_at[kind.target] = at + seconds + REST_SECONDS.get(kind.target, 0.0)
        planned.append(Planned(count, at, kind, seconds, chance.getrandbits(32)))
    return planned
