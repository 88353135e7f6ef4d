"""The figures of one landed day of a dataset, counted once and kept beside the day as `figures.json`.

The file is a cache as a receipt is: absent, damaged, of another format or another generation of the day it is counted
anew. So a report of fourteen days decodes only what was landed since the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.zone import LandingZone, day_folder
from wiz_dagster.report.counting import Counting, Tally, count

FORMAT = 1
"""To be raised whenever counting changes."""


class Figures(BaseModel):
    """What was counted of one generation of a landed day: a tally by move."""

    format: int
    generation: int
    tallies: dict[str, Tally]


def figures_of(zone: LandingZone, counting: Counting, landed: LandedDay, day: str) -> dict[str, Tally]:
    """The day's tallies by move. Raises DamagedError where the landed files are damaged."""
    path = f"{day_folder(counting.dataset, day)}/figures.json"
    kept = _kept(zone, path)
    if kept and (kept.format, kept.generation) == (FORMAT, landed.generation):
        return kept.tallies
    tallies = count(counting, _nodes(landed), day)
    made = Figures(format=FORMAT, generation=landed.generation, tallies=tallies)
    zone.store.put(path, made.model_dump_json().encode())
    return tallies


def _kept(zone: LandingZone, path: str) -> Figures | None:
    try:
        return Figures.model_validate_json(zone.store.read(path))
    except (FileNotFoundError, ValidationError):
        return None


def _nodes(landed: LandedDay) -> Iterator[dict[str, Any]]:
    for batch in landed.batches():
        for line in batch.lines:
            node = orjson.loads(line)
            if isinstance(node, dict):
                yield node
