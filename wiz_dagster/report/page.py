"""The report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.

Names of resources, rules and projects come from whoever can name one in a cloud account, so every text is escaped, and
the page's policy forbids all but its own styles and the plots that stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from html import escape
from importlib import resources

from wiz_dagster.report.charts import bar, overview, short_day, trend
from wiz_dagster.report.collection import Collection, State
from wiz_dagster.report.counting import DIMENSIONS, MOVES, SEVERITIES, Counts
from wiz_dagster.report.summary import Move, Report, Section

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
COLUMNS = {"new": "New", "resolved": "Resolved", "open": "Open at the end of the day"}
STATES = {
    State.COMPLETE: ("●", "complete"),
    State.OPEN: ("◐", "open"),
    State.INCOMPLETE: ("◐", "bad"),
    State.MISSING: ("○", "missing"),
    State.DAMAGED: ("✕", "bad"),
}
"""A day of a dataset: its sign, which tells without colour, and its class."""


def html(report: Report) -> str:
    """The page."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    title = f"Wiz report {report.day}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style></head><body><main>",
            *_head(report),
            *_notes(report.notes),
            f'<section class="plots">{plots(report)}</section>',
            *(line for section in report.sections for line in _section(section)),
            *_collection(report),
            "</main></body></html>",
            "",
        ]
    )


def plots(report: Report) -> str:
    """All plots as one SVG image."""
    moves = [move for section in report.sections for move in section.moves.values()]
    rows = [(section.kind.title, _plots(section)) for section in report.sections]
    return overview(rows, pale=any(move.pale for move in moves))


def _plots(section: Section) -> dict[str, str]:
    """New and resolved share a scale, so that they can be held against each other; open has its own."""
    tops = {
        name: max((sum(counts) for counts in move.by_day.values() if counts), default=0)
        for name, move in _told(section)
    }
    flow = max((tops.get(name, 0) for name in ("new", "resolved")), default=0)
    return {
        name: trend(name, move.by_day, tops[name] if name == "open" else flow, move.pale)
        for name, move in _told(section)
    }


def _told(section: Section) -> list[tuple[str, Move]]:
    return [(name, section.moves[name]) for name in MOVES if name in section.moves]


def _head(report: Report) -> Iterator[str]:
    day = date.fromisoformat(report.day)
    of = f" of {escape(report.tenant)}" if report.tenant else ""
    yield f"<header><h1>{day:%A}, {day.day} {day:%B %Y}</h1>"
    yield (
        f"<p>What changed in Wiz{of}, the day in UTC. The columns are the {len(report.days)} days up to "
        f"{short_day(report.day)}; new and resolved share a scale.</p></header>"
    )


def _notes(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield '<section class="notes"><h2>Before you read the figures</h2><ul>'
        yield from (f"<li>{escape(note)}</li>" for note in notes)
        yield "</ul></section>"


def _section(section: Section) -> Iterator[str]:
    told = _told(section)
    yield f'<section><h2>{escape(section.kind.title)}</h2><div class="grid">'
    for name, move in told:
        yield f"<div><h3>{COLUMNS[name]}</h3>{_total(move)}</div>"
    yield "</div>"
    titles = {"platform": "cloud platform", "project": "project", "rule": section.kind.rule, "resource": "resource"}
    for dimension in DIMENSIONS:
        if any(move.last and any(move.last.total) for _, move in told):
            yield '<div class="grid">'
            for _, move in told:
                yield from _bars(titles[dimension], dimension, move)
            yield "</div>"
    yield "</section>"


def _total(move: Move) -> str:
    if move.last is None:
        return f'<p class="unknown">Not known. {escape(move.why)}</p>'
    counts = move.last.total
    return f"<p>{sum(counts):,}: {escape(_severities(counts))}</p>" if any(counts) else "<p>None.</p>"


def _bars(title: str, dimension: str, move: Move) -> Iterator[str]:
    ranked = move.last.by.get(dimension, []) if move.last else []
    if not ranked or not move.last:
        yield "<div></div>"
        return
    most, distinct = max(sum(counts) for _, counts in ranked), move.last.distinct.get(dimension, 0)
    more = f" <small>first {len(ranked)} of {distinct:,}</small>" if distinct > len(ranked) else ""
    yield f'<table class="bars {dimension}"><caption>By {escape(title)}{more}</caption>'
    for name, counts in ranked:
        yield (
            f'<tr title="{escape(f"{name}: {_severities(counts)}")}"><th scope="row"><bdi>{escape(name)}</bdi></th>'
            f'<td class="bar">{bar(counts, most)}</td><td class="number">{sum(counts):,}</td></tr>'
        )
    yield "</table>"


def _severities(counts: Counts) -> str:
    return ", ".join(f"{number:,} {SEVERITIES[place].lower()}" for place, number in enumerate(counts) if number)


def _collection(report: Report) -> Iterator[str]:
    yield '<section><h2>Collection</h2><table class="health"><thead><tr><th>dataset</th>'
    for title in HEALTH:
        yield f'<th class="number">{title}</th>'
    yield f"<th>last complete fetch</th><th>{short_day(report.days[0])} to {short_day(report.day)}</th></tr></thead>"
    for of in report.collections:
        yield f'<tr><th scope="row">{escape(of.dataset.name)}</th>'
        for text, wrong in health(of):
            yield f'<td class="number{" wrong" if wrong else ""}">{escape(text)}</td>'
        yield f'<td>{escape(moment(of))}</td><td class="days">{"".join(_days(of))}</td></tr>'
    yield '</table><p class="key">'
    yield ", ".join(f'<span class="{name}">{sign}</span> {state.value}' for state, (sign, name) in STATES.items())
    yield (
        ". Nodes: in the landing zone, each once. Wiz's count is of the last fetch of the whole day, beside what it "
        "brought; it may be a floor. Documents: as last written.</p></section>"
    )


HEALTH = ("nodes", "fetched", "Wiz's count", "documents", "refused", "drift")


def health(of: Collection) -> list[tuple[str, bool]]:
    """The figures of HEALTH as texts, each with whether it asks for somebody to look."""
    short = of.fetched is not None and of.wiz_count is not None and of.fetched < of.wiz_count
    behind = of.nodes is not None and (of.documents is None or of.outdated)
    return [
        (_number(of.nodes), of.nodes is None),
        (_number(of.fetched), False),
        (_number(of.wiz_count), short),
        (_number(of.documents) + (" (outdated)" if of.outdated else ""), behind),
        (_number(of.dead_letters), of.dead_letters != 0),
        (_number(of.drift), bool(of.drift)),
    ]


def moment(of: Collection) -> str:
    """When the last complete fetch of the day began."""
    return f"{of.complete_at:%Y-%m-%d %H:%M}" if of.complete_at else "never"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _days(of: Collection) -> Iterator[str]:
    for name, day in of.days.items():
        sign, style = STATES[day.state]
        yield f'<span class="{style}" title="{name}: {day.state.value}">{sign}</span>'
