"""The figures of a report, gathered: a section a kind of finding, over some days, and the collection of each dataset.

What changed is counted from the landing zone, so it is the same whenever it is asked; what is open comes from the day's
sweep, or from a latest view where there is no sweep. Nothing is shown here, and no clock is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.latest_views import LatestView, view_of
from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.report.collection import Collection, State, collection, first_fetch
from wiz_dagster.report.counting import COUNTINGS, Counts, Tally
from wiz_dagster.report.figures import figures_of
from wiz_dagster.report.open_findings import OPEN_FIELDS, OpenFindings

DAYS = 14
"""The days that a report shows: its own and those before it."""
AskOpen = Callable[[LatestView, Sequence[str]], OpenFindings | None]


@dataclass(frozen=True)
class Kind:
    """A kind of finding that a section is about; `changes` and `sweep` are names of datasets."""

    name: str
    title: str
    changes: str
    sweep: str | None = None
    rule: str = "rule"


KINDS = (
    Kind("issues", "Issues", "issue"),
    Kind("vulnerabilities", "Vulnerabilities", "vulnerability", rule="vulnerability"),
    Kind(
        "misconfigurations",
        "Misconfigurations",
        "cloud_configuration_finding",
        sweep="cloud_configuration_finding_full_posture",
    ),
    Kind("detections", "Detections", "detection"),
    Kind("pushed_detections", "Detections by webhook", "defend"),
)


@dataclass
class Move:
    """One way that findings are counted: in all by day, None where it isn't known, and by names on the last day.

    `pale`: days whose figure is too low, as they were fetched late. `why`: why the last day's isn't known.
    """

    by_day: dict[str, Counts | None]
    last: Tally | None = None
    pale: frozenset[str] = frozenset()
    why: str = ""


@dataclass(frozen=True)
class Section:
    """A kind of finding and how it is counted: `new`, `resolved`, `open`, those that it has."""

    kind: Kind
    moves: dict[str, Move]


@dataclass(frozen=True)
class Report:
    """All that a day's report tells; `tenant` is the host of Wiz's API, `notes` stand before the figures."""

    day: str
    days: tuple[str, ...]
    tenant: str
    sections: tuple[Section, ...]
    collections: tuple[Collection, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)


def gather(zone: LandingZone, datasets: Sequence[Dataset], day: str, receipts: str, ask_open: AskOpen | None) -> Report:
    """The report of a day. `ask_open` asks the latest views; None where there are none.

    Raises PermanentError or TransientError where the landing zone or Elasticsearch can't be asked at all.
    """
    last = date.fromisoformat(day)
    days = tuple((last - timedelta(days=back)).isoformat() for back in reversed(range(DAYS)))
    by_name = {dataset.name: collection(zone, dataset, days, receipts) for dataset in datasets}
    told = {name: of for name, of in by_name.items() if not _unused(of)}
    sections = tuple(Section(kind, _moves(zone, kind, told, ask_open)) for kind in KINDS if kind.changes in told)
    tenants = [one.last.landed.manifest.tenant.api_host for one in by_name.values() if one.last.landed]
    return Report(day, days, min(tenants, default=""), sections, tuple(by_name.values()), _notes(zone, told))


def _unused(of: Collection) -> bool:
    """Whether nobody set up what Wiz would send by itself: none of the days has any."""
    return of.dataset.pushed and all(day.state is State.MISSING for day in of.days.values())


def _moves(zone: LandingZone, kind: Kind, by_name: dict[str, Collection], ask_open: AskOpen | None) -> dict[str, Move]:
    moves = _counted(zone, by_name[kind.changes])
    if kind.sweep and kind.sweep in by_name:
        moves |= _counted(zone, by_name[kind.sweep])
    elif kind.changes in OPEN_FIELDS:
        moves["open"] = _asked(zone, by_name[kind.changes], ask_open)
    return moves


def _counted(zone: LandingZone, of: Collection) -> dict[str, Move]:
    counting = COUNTINGS[of.dataset.name]
    names = [name for name in ("new", "resolved", "open") if getattr(counting, name)]
    late = frozenset(name for name, day in of.days.items() if day.late)
    moves = {name: Move(dict.fromkeys(of.days), pale=late) for name in names}
    for name, day in of.days.items():
        tallies: dict[str, Tally] = {}
        why = f"{of.dataset.name} of {name} was never landed." if day.state is State.MISSING else day.problem
        if day.landed is not None:
            try:
                tallies = figures_of(zone, counting, day.landed, name)
            except DamagedError as error:
                why = str(error)
        for move in names:
            tally = tallies.get(move)
            moves[move].by_day[name] = tally.total if tally else None
            moves[move].last, moves[move].why = tally, "" if tally else why
    return moves


def _asked(zone: LandingZone, of: Collection, ask_open: AskOpen | None) -> Move:
    move = Move(dict.fromkeys(of.days))
    view = view_of(of.dataset)
    landed = _landed_days(zone, of.dataset)
    if ask_open is None or view is None:
        move.why = "What is open is told by the latest views, which need Elasticsearch as the destination."
        return move
    # Before the first landed day a view knows only what changed since, which would look like growth.
    days = [day for day in of.days if landed and day >= landed[0]]
    if not days:
        move.why = f"No day of {of.dataset.name} is landed up to this one."
        return move
    found = ask_open(view, days)
    if found is None:
        move.why = f"The latest view wiz/latest/{view.name} holds nothing yet."
        return move
    move.by_day |= found.by_day
    move.last = found.last
    return move


def _landed_days(zone: LandingZone, dataset: Dataset) -> list[str]:
    return [name for name in zone.store.list(dataset.name) if name[:1].isdigit()]


def _notes(zone: LandingZone, by_name: dict[str, Collection]) -> tuple[str, ...]:
    """What a reader must know before the figures: what is missing, unfinished or partial."""
    notes = []
    unclosed = [of for of in by_name.values() if of.last.state is State.OPEN and of.landed_at]
    if unclosed:
        moments = [of.landed_at for of in unclosed if of.landed_at]
        names = ", ".join(of.dataset.name for of in unclosed)
        notes.append(f"The day isn't closed: landed up to {min(moments):%Y-%m-%d %H:%M} UTC ({names}).")
    for name, of in by_name.items():
        state = of.last.state
        if state is State.MISSING and of.dataset.pushed:
            notes.append(f"{name}: nothing of this day is landed. Wiz sent nothing, or it still waits in the spool.")
        elif state is State.MISSING:
            notes.append(f"{name}: this day was never landed. Its figures are unknown, not zero.")
        elif state is State.DAMAGED:
            notes.append(f"{name}: {of.last.problem} Its figures are unknown, not zero.")
        elif state is State.INCOMPLETE:
            notes.append(f"{name}: Wiz announced more nodes than came. Materialize wiz/raw/{name} of the day again.")
        if of.last.late and of.last.landed:
            notes.append(
                f"{name}: first fetched {first_fetch(of.last.landed):%Y-%m-%d}. Findings that have changed again since "
                "then count on the day of that change, so this day's figures are too low."
            )
        if of.outdated:
            notes.append(f"{name}: its documents are older than what is landed. Materialize wiz/{name} of the day.")
    shown = [of for name, of in by_name.items() if name in OPEN_FIELDS]
    firsts = {landed[0] for of in shown if (landed := _landed_days(zone, of.dataset))}
    if firsts:
        notes.append(
            f"Open issues and vulnerabilities are those that changed since {min(firsts)}, the first landed day. One "
            "that was closed and opened again counts as open in between."
        )
    return tuple(notes)
