"""The check `volume`: a day's nodes against those of the same dataset's usual day, from Dagster's records alone.

Workdays are held against workdays and weekends against weekends. It warns of a filter, a scope or a connector that went
missing, and of a flood; what was lost on the way is found by the checks that count.
"""

from collections.abc import Collection
from datetime import date, timedelta
from math import exp, log, log1p
from statistics import median
from typing import NamedTuple

import dagster as dg
from dagster import DagsterInstance

from wiz_dagster.materialized import newest_materializations

NAME = "volume"
DAYS = 28
"""How far back the usual day is looked for."""
FEWEST = 5
"""With fewer days of the kind nothing is usual yet."""
FACTOR = 2.5
"""Up to so many times more or fewer is never called unusual, however alike the days are."""
DEVIATIONS = 4.0
"""So many standard deviations, estimated from the median deviation, are called unusual; of the counts' logarithms,
since days differ by factors."""
MAD_TO_DEVIATION = 1.4826
LEAST = 50
"""Nor is a difference of fewer nodes."""


class Usual(NamedTuple):
    """The usual day's nodes, between which numbers a day is usual, and how many days say so."""

    nodes: int
    fewest: int
    most: int
    days: int


def usual(counts: Collection[int]) -> Usual | None:
    """What is usual after these days; None when they are too few to tell."""
    if len(counts) < FEWEST:
        return None
    logarithms = [log1p(count) for count in counts]
    middle = median(logarithms)
    deviation = MAD_TO_DEVIATION * median(abs(one - middle) for one in logarithms)
    width = max(log(FACTOR), DEVIATIONS * deviation)
    nodes, low, high = (exp(one) - 1 for one in (middle, middle - width, middle + width))
    return Usual(round(nodes), max(0, round(min(low, nodes - LEAST))), round(max(high, nodes + LEAST)), len(counts))


def volume_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check of `wiz/raw/<dataset>`."""
    return dg.AssetCheckSpec(
        NAME, asset=key, description=f"The day's nodes against the same dataset's usual day of the last {DAYS}."
    )


def volume_result(
    instance: DagsterInstance, key: dg.AssetKey, day: str, nodes: int, *, finished: bool
) -> dg.AssetCheckResult:
    """Warns when the day, which holds `nodes`, has far more than usual or, once it is `finished`, far fewer.

    Passes, and says so, while too few days of the kind are known.
    """
    known = newest_materializations(instance, key, _same_kind(day))
    expected = usual([one.rows for one in known.values() if one.rows is not None])
    if expected is None:
        return dg.AssetCheckResult(
            check_name=NAME,
            passed=True,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"Too few days of the last {DAYS} are landed to tell what is usual.",
            metadata={"nodes": nodes},
        )
    few, many = finished and nodes < expected.fewest, nodes > expected.most
    return dg.AssetCheckResult(
        check_name=NAME,
        passed=not few and not many,
        severity=dg.AssetCheckSeverity.WARN,
        description=_in_words(day, nodes, expected, few=few) if few or many else None,
        metadata={
            "nodes": nodes,
            "usual": expected.nodes,
            "fewest": expected.fewest,
            "most": expected.most,
            "days": expected.days,
        },
    )


def _same_kind(day: str) -> list[str]:
    """The days before that are workdays too, or days of a weekend too."""
    this = date.fromisoformat(day)
    before = (this - timedelta(days=back) for back in range(1, DAYS + 1))
    return [one.isoformat() for one in before if _weekend(one) == _weekend(this)]


def _weekend(day: date) -> bool:
    return day.isoweekday() > 5


def _in_words(day: str, nodes: int, expected: Usual, *, few: bool) -> str:
    kind = "weekend day" if _weekend(date.fromisoformat(day)) else "workday"
    cause = (
        "look for a filter, a scope, a project or a connector that is gone"
        if few
        else "look for a new connector, a changed rule or a scan of everything"
    )
    return (
        f"{nodes} nodes, far {'fewer' if few else 'more'} than the {expected.nodes} of a usual {kind}; {cause} in Wiz, "
        "and in WIZ_CONFIG."
    )
