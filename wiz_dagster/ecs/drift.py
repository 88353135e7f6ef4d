"""Counts of drift: sentences such as `unknown value: status=NEW`, added up over many batches and told apart again.

The sentences are made where nodes become columns (`columns.py`, `frames.py`); how they are shown isn't said here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

MOST_ENTRIES = 1000
"""Sentences kept apart; of the kinds that Wiz's own texts make endless, more are counted together."""
ENDLESS = ("unknown key", "unknown value")
OTHERS = "(others)"


class Drift(NamedTuple):
    """One kind of drift in one field, and how many times it came. `value` is there for unknown values only."""

    kind: str
    field: str
    value: str
    times: int


def add_drift(total: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts to a total, which stays small whatever they are."""
    for sentence, count in more.items():
        kind = sentence.partition(": ")[0]
        if sentence not in total and len(total) >= MOST_ENTRIES and kind in ENDLESS:
            total[f"{kind}: {OTHERS}"] += count
        else:
            total[sentence] += count


def told_apart(drift: Mapping[str, int]) -> list[Drift]:
    """The counts by kind, field and value, the most frequent first."""
    rows = []
    for sentence, count in Counter(drift).most_common():
        kind, _, what = sentence.partition(": ")
        field, _, value = what.partition("=") if kind == "unknown value" else (what, "", "")
        rows.append(Drift(kind, field, value, count))
    return rows
