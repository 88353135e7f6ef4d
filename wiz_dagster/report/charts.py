"""The plots as SVG, by hand: small multiples of stacked columns over the days, and bars beside names.

They stand in the page as they are, and as an image in Dagster's metadata. The same figures give the same text; whatever
text comes from outside is escaped where it is put in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from xml.sax.saxutils import escape

from wiz_dagster.report.counting import SEVERITIES, Counts

COLOURS = ("#7a0f3c", "#d1423f", "#f0a13a", "#5fa8c4", "#a9bccb", "#d9d9d9")
"""By severity: from dark to light, so that the order shows in print and to the colour-blind."""
INK, MUTED, FAINT, LINE = "#1c2733", "#5b6875", "#98a2ad", "#dfe4e9"
FONT = "font-family=\"system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif\""
WIDTH, HEIGHT = 330, 150
LEFT, TOP, BOTTOM = 4, 56, 20
_MOVES = {"new": "new", "resolved": "resolved", "open": "open at the end of the day"}


def trend(move: str, by_day: Mapping[str, Counts | None], top: int, pale: frozenset[str]) -> str:
    """The content of a plot of WIDTH by HEIGHT: the last day's figure in words, then a column a day up to `top`."""
    last = list(by_day.values())[-1]
    parts = [_headline(move, last, _before(by_day))]
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    step = (WIDTH - LEFT) / len(by_day)
    for number, (day, counts) in enumerate(by_day.items()):
        x, width = LEFT + number * step, step * 0.74
        if counts is None:
            parts.append(_unknown(x, width, base, room, f"{day}: not known"))
            continue
        shown = number == len(by_day) - 1
        parts.append(_column(x, width, base, room / max(top, 1), day, counts, pale=day in pale, last=shown))
    parts.append(f'<path d="M{LEFT} {base + 0.5}H{WIDTH}" stroke="{FAINT}"/>')
    days = list(by_day)
    parts.append(_text(LEFT, HEIGHT - 6, short_day(days[0]), 11, MUTED))
    parts.append(_text(WIDTH - step * 0.26, HEIGHT - 6, short_day(days[-1]), 11, INK, anchor="end", weight=600))
    return "".join(parts)


def overview(rows: Sequence[tuple[str, Mapping[str, str]]], *, pale: bool) -> str:
    """One image of all plots: a row a kind with its title, a column a move, under a legend; `pale`: of pale columns."""
    title, gap = 30, 28
    width, row = 3 * WIDTH + 2 * gap, HEIGHT + title + 14
    parts = [_legend(0, 14, pale=pale)]
    for number, (name, plots) in enumerate(rows):
        y = 34 + number * row
        parts.append(f'<path d="M0 {y - 6.5}H{width}" stroke="{LINE}"/>')
        parts.append(_text(0, y + 16, name, 16, INK, weight=700))
        for column, move in enumerate(_MOVES):
            if move in plots:
                parts.append(f'<g transform="translate({column * (WIDTH + gap)} {y + title - 8})">{plots[move]}</g>')
    height = 34 + len(rows) * row
    return svg(width, height, "".join(parts), "New, resolved and open findings of the last days by severity")


def svg(width: float, height: float, content: str, label: str) -> str:
    """An image that stands alone, on white."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -6 {width + 24} {height + 12}" '
        f'width="{width + 24}" height="{height + 12}" role="img" aria-label="{escape(label)}" {FONT}>'
        f'<rect x="-12" y="-6" width="{width + 24}" height="{height + 12}" fill="#fff"/>{content}</svg>'
    )


def bar(counts: Counts, most: int) -> str:
    """A horizontal bar that fills its cell where `counts` have as many as `most`; no text."""
    x, parts = 0.0, []
    for place, number in enumerate(counts):
        width = 100 * number / max(most, 1)
        if number:
            parts.append(f'<rect x="{x:.2f}" width="{width:.2f}" height="10" fill="{COLOURS[place]}"/>')
        x += width
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" width="100%" height="10" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def in_words(counts: Counts) -> str:
    """The two highest severities, which people ask for first."""
    named = [f"{counts[place]:,} {SEVERITIES[place].lower()}" for place in (0, 1) if counts[place]]
    return ", ".join(named) or "none critical or high"


def short_day(day: str) -> str:
    """A day as an axis has it: 24 Nov."""
    found = date.fromisoformat(day)
    return f"{found.day} {found:%b}"


def _headline(move: str, last: Counts | None, before: Counts | None) -> str:
    if last is None:
        return _text(0, 24, "not known", 20, MUTED, weight=600, after=_MOVES[move])
    told = [in_words(last)] if any(last) else []
    if move == "open" and before is not None:
        told.append(f"{sum(last) - sum(before):+,} since the day before")
    return _text(0, 24, f"{sum(last):,}", 22, INK, weight=700, after=_MOVES[move]) + _text(
        0, 42, "; ".join(told), 12, MUTED
    )


def _before(by_day: Mapping[str, Counts | None]) -> Counts | None:
    return list(by_day.values())[-2] if len(by_day) > 1 else None


def _column(
    x: float, width: float, base: float, scale: float, day: str, counts: Counts, *, pale: bool, last: bool
) -> str:
    y, parts = base, []
    for place, number in enumerate(counts):
        height = number * scale
        if number:
            parts.append(
                f'<rect x="{x:.1f}" y="{y - height:.1f}" width="{width:.1f}" height="{height:.1f}" '
                f'fill="{COLOURS[place]}"/>'
            )
        y -= height
    if last:
        parts.append(f'<path d="M{x:.1f} {base + 2}h{width:.1f}" stroke="{INK}" stroke-width="2.5"/>')
    told = "; ".join(f"{number:,} {SEVERITIES[place].lower()}" for place, number in enumerate(counts) if number)
    opacity = ' opacity="0.45"' if pale else ""
    return f"<g{opacity}><title>{day}: {sum(counts):,}{f' ({told})' if told else ''}</title>{''.join(parts)}</g>"


def _unknown(x: float, width: float, base: float, room: float, told: str) -> str:
    """A day without figures: an outline, so that it isn't taken for zero."""
    return (
        f'<g><title>{told}</title><rect x="{x + 0.5:.1f}" y="{base - room * 0.5:.1f}" width="{width - 1:.1f}" '
        f'height="{room * 0.5:.1f}" fill="none" stroke="{FAINT}" stroke-dasharray="2 3"/></g>'
    )


def _legend(x: float, y: float, *, pale: bool) -> str:
    parts = []
    for place, name in enumerate(SEVERITIES):
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" fill="{COLOURS[place]}"/>')
        parts.append(_text(x + 17, y, name.capitalize(), 12, INK))
        x += 17 + 7.4 * len(name) + 16
    parts.append(f'<rect x="{x + 0.5}" y="{y - 9.5}" width="11" height="11" fill="none" stroke="{FAINT}" ')
    parts.append('stroke-dasharray="2 3"/>')
    parts.append(_text(x + 17, y, "Not known", 12, INK))
    if pale:
        parts.append(_text(x + 95, y, "Pale: fetched late, too low", 12, INK))
    return "".join(parts)


def _text(
    x: float, y: float, text: str, size: int, colour: str, *, anchor: str = "start", weight: int = 400, after: str = ""
) -> str:
    small = f'<tspan dx="7" font-size="13" font-weight="400">{escape(after)}</tspan>' if after else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}{small}</text>'
    )
