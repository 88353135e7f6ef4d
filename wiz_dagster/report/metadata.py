"""The report as Dagster metadata: the plots as a picture, tables beside it, and figures that the UI plots over days."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from wiz_dagster.report.counting import DIMENSIONS, MOVES, SEVERITIES, Counts
from wiz_dagster.report.page import HEALTH, health, moment, plots
from wiz_dagster.report.summary import Report, Section

Row = dict[str, str | int]


def report_metadata(report: Report) -> dict[str, Any]:
    """Metadata of a report; figures that aren't known are left out, so that no plot shows them as zero."""
    picture = b64encode(plots(report).encode()).decode()
    notes = "\n".join(f"* {_plain(note)}" for note in report.notes)
    figures = {
        f"{section.kind.name}/{name}": dg.MetadataValue.int(sum(move.last.total))
        for section in report.sections
        for name, move in section.moves.items()
        if move.last is not None
    }
    return {
        "changes": dg.MetadataValue.md(f"![New, resolved and open](data:image/svg+xml;base64,{picture})"),
        **({"notes": dg.MetadataValue.md(notes)} if notes else {}),
        "by_severity": _table(list(_by_severity(report.sections)), ["kind", "counted", *map(str.lower, SEVERITIES)]),
        **{
            f"by_{dimension}": _table(list(_by_name(report.sections, dimension)), ["kind", dimension, *MOVES])
            for dimension in DIMENSIONS
        },
        "collection": _table(list(_collection(report)), ["dataset", *HEALTH, "last complete fetch", "missing days"]),
        **figures,
    }


def _by_severity(sections: Sequence[Section]) -> Iterator[Row]:
    for section in sections:
        for name, move in section.moves.items():
            counts: Sequence[int | str] = move.last.total if move.last else ["not known"] * len(SEVERITIES)
            cells = {severity.lower(): number for severity, number in zip(SEVERITIES, counts, strict=True)}
            yield {"kind": section.kind.title, "counted": name, **cells}


def _by_name(sections: Sequence[Section], dimension: str) -> Iterator[Row]:
    """A row a name that is among the first of any move; a move that doesn't rank it has nothing to tell."""
    for section in sections:
        ranked: dict[str, dict[str, Counts]] = {}
        for move_name, move in section.moves.items():
            for name, counts in move.last.by.get(dimension, []) if move.last else ():
                ranked.setdefault(name, {})[move_name] = counts
        for name, moves in ranked.items():
            cells = {move: str(sum(moves[move])) if move in moves else "" for move in MOVES}
            yield {"kind": section.kind.title, dimension: name, **cells}


def _collection(report: Report) -> Iterator[Row]:
    for of in report.collections:
        missing = [name for name, day in of.days.items() if day.landed is None]
        texts = dict(zip(HEALTH, (text for text, _ in health(of)), strict=True))
        yield {
            "dataset": of.dataset.name,
            **texts,
            "last complete fetch": moment(of),
            "missing days": " ".join(missing),
        }


def _table(rows: Sequence[Row], names: Sequence[str]) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.table(
        records=[dg.TableRecord({name: row[name] for name in names}) for row in rows],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in names]),
    )


def _plain(text: str) -> str:
    """Without what Markdown would read; the notes hold names of files and datasets."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|!" else letter for letter in text)
