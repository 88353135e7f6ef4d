"""What is counted of a landed day: new, resolved and open findings by severity, platform, project, rule and resource.

Which keys of a node say so stands in `COUNTINGS`. A node is counted as Wiz sent it, which costs a third of making its
document; its keys are those that the field tables in `datasets/` name. Nothing here reads files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wiz_dagster.elasticsearch.latest_views import STILL_OPEN
from wiz_dagster.wiz.windows import parse_time

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "OTHER")
"""The order of every list of counts; what Wiz names otherwise, or not at all, is in the last."""
DIMENSIONS = ("platform", "project", "rule", "resource")
MOVES = ("new", "resolved", "open")
KEPT_NAMES = 10
NAME_LENGTH = 160
NO_NAME = "(none)"
_MOST_NAMES = 100_000
_PLACES = {name: place for place, name in enumerate(SEVERITIES)}
Counts = list[int]
"""How many of each severity."""


@dataclass(frozen=True)
class Counting:
    """How the nodes of a dataset are counted.

    Attributes:
        dataset: its name.
        names: dimension -> the paths that give a node's names in it, the first that has some; lists are walked.
        new: key of the time at which a finding came up; None: none are counted as new.
        resolved: key of the time since when a RESOLVED finding is; None: none are counted as resolved.
        open: whether what is still open is counted, as only a snapshot can tell.
        failing: only what failed its rule (`result`) is new or open.
    """

    dataset: str
    names: Mapping[str, tuple[str, ...]]
    new: str | None = None
    resolved: str | None = None
    open: bool = False
    failing: bool = False

    def moves(self, node: Mapping[str, Any], day: str) -> Iterator[str]:
        """What the node is counted as."""
        counts = not self.failing or node.get("result") == "FAIL"
        if self.new and counts and _is_of(node.get(self.new), day):
            yield "new"
        if self.resolved and node.get("status") == "RESOLVED" and _is_of(node.get(self.resolved), day):
            yield "resolved"
        if self.open and counts and node.get("status") in STILL_OPEN:
            yield "open"


_FINDING = {
    "platform": ("resource.cloudPlatform", "subscription.cloudProvider"),
    "project": ("resource.projects.name",),
    "rule": ("rule.name", "name"),
    "resource": ("resource.name", "resource.id"),
}
COUNTINGS = {
    one.dataset: one
    for one in (
        Counting(
            "issue",
            {
                "platform": ("entitySnapshot.cloudPlatform",),
                "project": ("projects.name",),
                "rule": ("sourceRules.name", "sourceRule.name"),
                "resource": ("entitySnapshot.name", "entitySnapshot.id"),
            },
            new="createdAt",
            resolved="resolvedAt",
        ),
        Counting(
            "vulnerability",
            {
                "platform": ("vulnerableAsset.cloudPlatform",),
                "project": ("projects.name",),
                "rule": ("name",),
                "resource": ("vulnerableAsset.name", "vulnerableAsset.id"),
            },
            new="firstDetectedAt",
            resolved="resolvedAt",
        ),
        Counting("cloud_configuration_finding", _FINDING, new="firstSeenAt", resolved="statusChangedAt", failing=True),
        Counting("cloud_configuration_finding_full_posture", _FINDING, open=True, failing=True),
        Counting(
            "detection",
            {
                "platform": ("cloudAccounts.cloudProvider",),
                "project": ("projects.name",),
                "rule": ("ruleMatch.rule.name",),
                "resource": ("primaryResource.name",),
            },
            new="createdAt",
        ),
        Counting(
            "defend",
            {
                "platform": ("cloudAccounts.cloudPlatform", "triggeringEvent.cloudPlatform"),
                "project": ("projects.name",),
                "rule": ("title", "tdrId"),
                "resource": ("primaryResource.name",),
            },
            new="createdAt",
        ),
    )
}


@dataclass
class Tally:
    """Findings counted one way: in all, and by the names of each dimension that have the most, most first.

    `distinct` says how many names a dimension has. A finding of several projects counts in each of them.
    """

    total: Counts = field(default_factory=lambda: [0] * len(SEVERITIES))
    by: dict[str, list[tuple[str, Counts]]] = field(default_factory=dict)
    distinct: dict[str, int] = field(default_factory=dict)


def count(counting: Counting, nodes: Iterable[Mapping[str, Any]], day: str) -> dict[str, Tally]:
    """The tallies of a day's nodes by move, for the moves that the dataset can tell of."""
    told = [move for move in MOVES if getattr(counting, move)]
    tallies = {move: Tally() for move in told}
    by: dict[str, dict[str, dict[str, Counts]]] = {move: {name: {} for name in DIMENSIONS} for move in told}
    paths = {name: [path.split(".") for path in counting.names[name]] for name in DIMENSIONS}
    for node in nodes:
        moves = list(counting.moves(node, day))
        if not moves:
            continue
        place = severity_place(node.get("severity"))
        names = {name: names_of(node, choices) for name, choices in paths.items()}
        for move in moves:
            tallies[move].total[place] += 1
            for dimension, found in names.items():
                _add(by[move][dimension], found, place)
    for move, tally in tallies.items():
        tally.distinct = {dimension: len(names) for dimension, names in by[move].items()}
        tally.by = {dimension: most(names.items()) for dimension, names in by[move].items()}
    return tallies


def severity_place(severity: object) -> int:
    """Where a severity stands in `Counts`."""
    return _PLACES.get(severity.upper() if isinstance(severity, str) else "", len(SEVERITIES) - 1)


def most(named: Iterable[tuple[str, Counts]]) -> list[tuple[str, Counts]]:
    """The names with the most findings, most first; of equals the one with the most severe ones, then by name."""
    ranked = sorted(named, key=lambda one: (-sum(one[1]), [-number for number in one[1]], one[0]))
    return ranked[:KEPT_NAMES]


def names_of(node: Mapping[str, Any], choices: list[list[str]]) -> list[str]:
    """The distinct names at the first of some paths that has any; `NO_NAME` where none has."""
    for path in choices:
        found = dict.fromkeys(text[:NAME_LENGTH] for text in _texts(node, path) if text)
        if found:
            return list(found)
    return [NO_NAME]


def _texts(value: object, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _texts(one, path)
    elif path and isinstance(value, dict):
        yield from _texts(value.get(path[0]), path[1:])
    elif not path and isinstance(value, str):
        yield value


def _add(counts: dict[str, Counts], names: list[str], place: int) -> None:
    for name in names:
        of_name = counts.get(name)
        if of_name is None:
            if len(counts) >= _MOST_NAMES:
                _forget_rare(counts)
            of_name = counts[name] = [0] * len(SEVERITIES)
        of_name[place] += 1


def _forget_rare(counts: dict[str, Counts]) -> None:
    """Of more names than memory should hold, those with the fewest findings go: they aren't among the first ten."""
    kept = sorted(counts, key=lambda name: -sum(counts[name]))[: _MOST_NAMES // 2]
    for name in counts.keys() - set(kept):
        del counts[name]


def _is_of(text: object, day: str) -> bool:
    if not isinstance(text, str):
        return False
    if text.endswith("Z"):
        return text.startswith(day)
    moment = parse_time(text)
    return moment is not None and moment.date().isoformat() == day
