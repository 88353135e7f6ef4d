"""The comparison at the end: Elasticsearch, the latest views and the landing zone against what the tenant truly has.

Lost: the tenant has it, or the receiver acknowledged it, and it isn't there. Duplicated: there more often than once.
Stale: there in another state than the tenant's, or though the tenant never showed it. A day may keep what the tenant
showed of it and has moved to a newer day since: that is its history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.latest_views import VIEWS, LatestView
from wiz_dagster.sandbox.chaos.found_states import Found, in_landing, in_stream, in_view
from wiz_dagster.sandbox.chaos.sent_bodies import SentBody, landed_events, stored_events
from wiz_dagster.sandbox.chaos.states import COMPARED, ISSUE, POSTURE, VULNERABILITY, Compared, State
from wiz_dagster.sandbox.chaos.true_states import States, Truth

LOST, DUPLICATED, STALE = "lost", "duplicated", "stale"
SHOWN = 3
"""Examples of each kind in a place."""
OPEN = ("OPEN", "IN_PROGRESS")
FED_BY = {"vulnerability": VULNERABILITY, "issue": ISSUE, "misconfiguration": POSTURE}


@dataclass
class Outcome:
    """The figures of the comparison and, in `lines`, where they come from: ids as hashes, no content."""

    documents: int = 0
    lost: int = 0
    duplicated: int = 0
    stale: int = 0
    lines: list[str] = field(default_factory=list)
    _wrong: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str, name: str, count: int = 1) -> None:
        """Count what is wrong in a place with the node or event of that name."""
        if count <= 0:
            return
        setattr(self, kind, getattr(self, kind) + count)
        self._wrong.setdefault((place, kind), []).extend([name] * count)

    def finish(self) -> Outcome:
        """With a line for each place and kind."""
        for (place, kind), names in sorted(self._wrong.items()):
            some = ", ".join(blake2b(name.encode(), digest_size=4).hexdigest() for name in dict.fromkeys(names[:SHOWN]))
            self.lines.append(f"{place}: {kind} {len(names)}, such as {some}")
        return self


@dataclass(frozen=True)
class Places:
    """Where to look: the node itself (not what faults can cut), the namespace, the landing zone's root."""

    client: Elasticsearch
    namespace: str
    landing: Path


def compare(truth: Truth, places: Places, sent: Iterable[SentBody]) -> Outcome:
    """Hold everything against the truth, whose clock has to have stopped; the figures, and lines that say where.

    Raises the client's errors when Elasticsearch can't be read to the end.
    """
    outcome = Outcome()
    for dataset in COMPARED:
        days = truth.by_day(dataset)
        stored = in_stream(places.client, dataset, places.namespace)
        outcome.documents += len(stored)
        _hold(outcome, "Elasticsearch", dataset, days, stored, truth)
        _hold(outcome, "landing zone", dataset, days, in_landing(places.landing, dataset), truth)
        for view in VIEWS:
            if FED_BY[view.name] is dataset:
                _hold_view(outcome, view, dataset, days, places)
    _hold_events(outcome, places, list(sent))
    return outcome.finish()


def _hold(
    outcome: Outcome, where: str, dataset: Compared, days: Mapping[str, States], found: Found, truth: Truth
) -> None:
    """A dataset in one place."""
    for part, nodes in found.damaged.items():
        outcome.add(LOST, f"{where}, unreadable", part, nodes)
    for (day, node_id), copies in found.copies.items():
        outcome.add(DUPLICATED, f"{where}, {dataset.name} {day}", node_id, copies)
    past: list[tuple[str, str, State]] = []
    for day, states in days.items():
        there = found.states.get(day, {})
        for node_id, state in states.items():
            _judge(outcome, f"{where}, {dataset.name} {day}", node_id, Counter(there.get(node_id, ())), state)
    for day, ids in found.states.items():
        if dataset.snapshot and day not in days:
            continue  # a sweep of an earlier day: the tenant of that moment is gone
        known = days.get(day, {})
        past += [(day, node_id, state) for node_id, states in ids.items() if node_id not in known for state in states]
    shown = set() if dataset.snapshot else truth.was_ever(dataset, set(past))
    _judge_past(outcome, where, dataset, past, shown)


def _judge(outcome: Outcome, place: str, node_id: str, found: Counter[State], state: State) -> None:
    """What stands of one node where its present state has to stand once."""
    right, others = found[state], found.total() - found[state]
    if not right:
        outcome.add(STALE if others else LOST, place, node_id)
        others -= 1
    outcome.add(DUPLICATED, place, node_id, right - 1)
    outcome.add(STALE, place, node_id, others)


def _judge_past(
    outcome: Outcome,
    where: str,
    dataset: Compared,
    past: Iterable[tuple[str, str, State]],
    shown: set[tuple[str, str, State]],
) -> None:
    """What stands of nodes that the tenant files elsewhere now, or doesn't know: right once, if it was shown."""
    seen: set[tuple[str, str]] = set()
    for day, node_id, state in past:
        place = f"{where}, {dataset.name} {day}"
        if (day, node_id, state) not in shown:
            outcome.add(STALE, f"{place}, never so", node_id)
        elif (day, node_id) in seen:
            outcome.add(DUPLICATED, f"{place}, of before", node_id)
        seen.add((day, node_id))


def _hold_view(
    outcome: Outcome, view: LatestView, dataset: Compared, days: Mapping[str, States], places: Places
) -> None:
    """A latest view: of each finding the newest state; behind the alias those that are open, or still there."""
    where = f"latest {view.name}"
    true: States = {}
    for day in sorted(days):
        true |= days[day]
    held = in_view(places.client, view.index, dataset, places.namespace)
    shown = in_view(places.client, view.alias, dataset, places.namespace)
    place = list(dataset.facts).index("status")
    for node_id, state in true.items():
        _judge(outcome, where, node_id, Counter(held.get(node_id, ())), state)
        wanted = dataset.snapshot or state[place] in OPEN
        if held.get(node_id) == [state] and wanted != (node_id in shown):
            outcome.add(LOST if wanted else STALE, f"{where}, behind the alias", node_id)
    unknown = shown if dataset.snapshot else held  # a finding that is gone stays, and the alias leaves it out
    for node_id in unknown.keys() - true.keys():
        outcome.add(STALE, f"{where}, not in the tenant", node_id)


def _hold_events(outcome: Outcome, places: Places, sent: list[SentBody]) -> None:
    """The webhook: each event of an acknowledged body once; of one that wasn't, at most once."""
    stored, outcome_documents = stored_events(places.client, places.namespace)
    outcome.documents += outcome_documents
    landed = landed_events(places.landing)
    for body in sent:
        for where, there in (("Elasticsearch, defend", stored), ("landing zone, defend", landed)):
            count = there.pop(body.rule, 0)
            outcome.add(LOST, where, body.rule, body.events - count if body.acknowledged else 0)
            outcome.add(DUPLICATED, where, body.rule, count - body.events)
    for where, there in (("Elasticsearch, defend", stored), ("landing zone, defend", landed)):
        for rule, count in there.items():
            outcome.add(STALE, f"{where}, never sent", rule, count)
