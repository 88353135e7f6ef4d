"""The IO manager of `wiz/raw/<dataset>`: a day into the landing zone, and landed days back out of it.

What flows in is a `DayToLand`: where its nodes come from is its own affair, what landing means is in `zone.py`; here
the two meet, and their figures become the run's metadata.
"""

import os
from typing import Any

import dagster as dg

from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.day_to_land import DayToLand
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.landing_run import LandReport
from wiz_dagster.landing.zone import day_folder, open_zone


class LandingIOManager(dg.ConfigurableIOManager):
    """Lands a `DayToLand` and gives landed days back as `LandedDay`."""

    def handle_output(self, context: dg.OutputContext, obj: DayToLand) -> None:
        """Draw the day's nodes and merge them into the landing zone: all, or none."""
        dataset = obj.dataset
        with dagster_failures():
            zone = open_zone(os.environ, obj.tenant)
            with obj.opened() as source:
                obj.landed = zone.land(
                    dataset.name,
                    obj.day,
                    source,
                    obj.fetch_info(),
                    source.report,
                    dataset.version_field,
                    snapshot=dataset.snapshot,
                    by_content=dataset.pushed,
                )
            day = zone.day(dataset.name, obj.day)
            obj.held = day.nodes
        warnings = source.report.warnings
        for warning in warnings:
            context.log.warning(warning)
        place = f"{zone.store.url.rstrip('/')}/{day_folder(dataset.name, obj.day)}"
        context.add_output_metadata({**obj.figures(), **_metadata(obj.landed, day, place)})
        if warnings:
            lines = dg.MetadataValue.md("\n".join(f"* {warning}" for warning in warnings))
            context.add_output_metadata({"warnings": lines})

    def load_input(self, context: dg.InputContext) -> LandedDay:
        """The landed day of the input's one partition; needs no Wiz settings."""
        with dagster_failures():
            zone = open_zone(os.environ)
            return zone.day(context.asset_key.path[-1], context.asset_partition_key)


def _metadata(landed: LandReport, day: LandedDay, place: str) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": day.nodes,
        "landing/new": landed.new,
        "landing/unchanged": landed.unchanged,
        "landing/repeated": landed.repeated,
        "landing/captured": day.captured,
        "landing/parts": len(day.parts),
        "landing/bytes": landed.stored_bytes,
        "landing/generation": landed.generation,
        "data": dg.MetadataValue.path(place),
    }
