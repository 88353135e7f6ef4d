"""Which faults come when, and how long they last: it follows from the seed and the minutes alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from wiz_dagster.sandbox.chaos.faults import KINDS, Kind

A_MINUTE = 14
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
    """All faults of a campaign, in order: rounds of all kinds, each in an order of its own, evenly spread in time."""
    chance = Random(f"faults {seed}")  # noqa: S311  # nothing secret is drawn
    number = max(1, int(minutes * A_MINUTE))
    step = max(minutes * 60 - QUIET_SECONDS, 1.0) / number
    return [
        Planned(
            count, (count + chance.random()) * step, kind, chance.uniform(kind.least, kind.most), chance.getrandbits(32)
        )
        for count, kind in zip(range(number), _rounds(chance), strict=False)
    ]


def _rounds(chance: Random) -> Iterator[Kind]:
    of_a_round: Sequence[Kind] = [kind for kind in KINDS.values() for _ in range(kind.often)]
    while True:
        yield from chance.sample(of_a_round, len(of_a_round))
