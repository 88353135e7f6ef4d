"""The IO manager of `wiz/raw/<dataset>`: a fetch into the landing zone, and landed days back out of it.

Fetching happens while the landing zone draws the nodes, so a day never sits in memory. How Wiz is asked is in `wiz/`,
what landing means is in `zone.py`; here the two meet, and their figures become the run's metadata.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import dagster as dg

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.landing_run import LandReport
from wiz_dagster.landing.manifest import FetchInfo, Tenant
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone, day_folder, open_zone
from wiz_dagster.settings import WizSettings, read_landing_settings
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.fetch import FetchReport, fetch_window
from wiz_dagster.wiz.windows import Window


@dataclass
class RawDay:
    """A day to be fetched: what to ask and how to reach Wiz; `fetched` and `landed` are the figures once it is kept."""

    dataset: Dataset
    day: str
    window: Window
    run_id: str
    settings: WizSettings
    open_client: Callable[[], WizClient]
    filters: Mapping[str, Any]
    page_size: int
    warnings: Sequence[str] = ()
    fetched: FetchReport | None = field(default=None, init=False)
    landed: LandReport | None = field(default=None, init=False)


class LandingIOManager(dg.ConfigurableIOManager):
    """Lands a `RawDay` and gives landed days back as `LandedDay`."""

    def handle_output(self, context: dg.OutputContext, obj: RawDay) -> None:
        """Fetch the day and merge it into the landing zone: whole, or not at all."""
        with dagster_failures():
            store = open_store(read_landing_settings(os.environ).url)
            zone = LandingZone(store, Tenant.of(obj.settings.api_url, obj.settings.client_id))
            info = FetchInfo(
                run_id=obj.run_id,
                fetched_at=datetime.now(UTC),
                window_start=obj.window.start,
                window_end=obj.window.end,
                query_hash=sha256(obj.dataset.query().encode()).hexdigest(),
            )
            with (
                obj.open_client() as client,
                fetch_window(client, obj.dataset, obj.window, filters=obj.filters, page_size=obj.page_size) as fetch,
            ):
                fetch.report.warnings.extend(obj.warnings)
                obj.landed = zone.land(
                    obj.dataset.name,
                    obj.day,
                    fetch,
                    info,
                    fetch.report,
                    obj.dataset.version_field,
                    snapshot=obj.dataset.snapshot,
                )
            obj.fetched = fetch.report
            day = zone.day(obj.dataset.name, obj.day)
        for warning in obj.fetched.warnings:
            context.log.warning(warning)
        place = f"{store.url.rstrip('/')}/{day_folder(obj.dataset.name, obj.day)}"
        context.add_output_metadata(_metadata(obj.fetched, obj.landed, day, place))

    def load_input(self, context: dg.InputContext) -> LandedDay:
        """The landed day of the input's one partition; needs no Wiz settings."""
        with dagster_failures():
            zone = open_zone(os.environ)
            return zone.day(context.asset_key.path[-1], context.asset_partition_key)


def _metadata(fetched: FetchReport, landed: LandReport, day: LandedDay, place: str) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "dagster/partition_row_count": day.nodes,
        "wiz/nodes": fetched.nodes,
        "wiz/pages": fetched.pages,
        "wiz/requests": fetched.requests,
        "wiz/bytes": fetched.bytes_received,
        "wiz/null_nodes": fetched.null_nodes,
        "wiz/without_time": fetched.without_time,
        "wiz/window": f"{fetched.window.start.isoformat()} to {fetched.window.end.isoformat()}",
        "landing/new": landed.new,
        "landing/unchanged": landed.unchanged,
        "landing/repeated": landed.repeated,
        "landing/captured": day.captured,
        "landing/parts": len(day.parts),
        "landing/bytes": landed.stored_bytes,
        "landing/generation": landed.generation,
        "data": dg.MetadataValue.path(place),
    }
    if fetched.wiz_count is not None:
        figures["wiz/count"] = fetched.wiz_count
    if fetched.warnings:
        figures["warnings"] = dg.MetadataValue.md("\n".join(f"* {warning}" for warning in fetched.warnings))
    return figures
