"""The check that `wiz/defend` and `wiz/detection` describe the same detections: which of them came one way only.

It reads ids and times out of the landing zone's last days, so it has a job and a schedule of its own and is no part of
`defend_job`. What came one way only is no failure of a run: a webhook that was down, a filter, a closed port.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import orjson

from wiz_dagster.assets import ecs_key
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.datasets.defend import DEFEND
from wiz_dagster.datasets.detection import DETECTION
from wiz_dagster.errors import PermanentError
from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.zone import LandingZone, open_zone
from wiz_dagster.wiz.windows import parse_time

CHECK_KEY = dg.AssetCheckKey(ecs_key(DEFEND), "same_as_detection")
CHECK_JOB = "defend_check_job"
DAYS = 3
"""Today and the days before it that are compared."""
SETTLING = timedelta(hours=1)
"""A detection that is younger may still come the other way."""
MOST_IDS = 20


@dataclass(frozen=True)
class Comparison:
    """The detections that were compared and the ids, sorted, of those that came one way only.

    `reason` says why there was nothing to compare.
    """

    compared: int = 0
    by_webhook_only: tuple[str, ...] = ()
    by_api_only: tuple[str, ...] = ()
    reason: str = ""


def detections_check() -> dg.AssetChecksDefinition:
    """The check, on `wiz/defend`."""

    @dg.asset_check(
        asset=CHECK_KEY.asset_key,
        name=CHECK_KEY.name,
        description=f"Detections of the last {DAYS} days that came by webhook only or by wiz/detection only, but for "
        "those of the last hour. Filters in Wiz's automation rule or in WIZ_CONFIG show here too.",
    )
    def same_as_detection() -> dg.AssetCheckResult:
        with dagster_failures():
            try:
                found = compare(open_zone(os.environ), datetime.now(UTC))
            except PermanentError as error:
                # A day of the other dataset that can't be read must not fail a backfill of this one.
                return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=str(error))
        one_way = len(found.by_webhook_only) + len(found.by_api_only)
        return dg.AssetCheckResult(
            passed=one_way == 0,
            severity=dg.AssetCheckSeverity.WARN,
            description=found.reason or (_in_words(found) if one_way else None),
            metadata={
                "compared": found.compared,
                "by_webhook_only": len(found.by_webhook_only),
                "by_api_only": len(found.by_api_only),
                "ids_by_webhook_only": dg.MetadataValue.json(list(found.by_webhook_only[:MOST_IDS])),
                "ids_by_api_only": dg.MetadataValue.json(list(found.by_api_only[:MOST_IDS])),
            },
        )

    return same_as_detection


def compare(zone: LandingZone, now: datetime) -> Comparison:
    """Compare the ids of detections created in the last days, as far as Wiz's API has been asked for them.

    A detection belongs to the day it was created on; it counts as come if any of the days holds it.
    """
    webhook, api = _landed(zone, DEFEND, now), _landed(zone, DETECTION, now)
    for dataset, days in ((DEFEND, webhook), (DETECTION, api)):
        if not days:
            return Comparison(reason=f"Nothing to compare: no day of {dataset.name} was landed in the last {DAYS}.")
    asked = {day: max(fetch.window_end for fetch in landed.manifest.fetches) for day, landed in api.items()}
    horizon = min(now, max(asked.values())) - SETTLING

    def settled(created: datetime) -> bool:
        end = asked.get(created.date().isoformat())
        return end is not None and created < min(end, horizon)

    sent, told = _created(webhook), _created(api)
    to_compare = {name for name, created in (sent | told).items() if settled(created)}
    return Comparison(
        compared=len(to_compare),
        by_webhook_only=tuple(sorted(to_compare - told.keys())),
        by_api_only=tuple(sorted(to_compare - sent.keys())),
    )


def _landed(zone: LandingZone, dataset: Dataset, now: datetime) -> dict[str, LandedDay]:
    wanted = {(now - timedelta(days=back)).date().isoformat() for back in range(DAYS)}
    return {day: zone.day(dataset.name, day) for day in zone.days(dataset.name) if day in wanted}


def _created(days: Mapping[str, LandedDay]) -> dict[str, datetime]:
    """When each detection was created by its id; when it was fetched, if it doesn't say."""
    created = {}
    for landed in days.values():
        for batch in landed.batches():
            for line in batch.lines:
                node = orjson.loads(line)
                name = node.get("id")
                if isinstance(name, str) and name:
                    created[name] = parse_time(node.get("createdAt")) or batch.fetched_at
    return created


def _in_words(found: Comparison) -> str:
    return (
        f"Of {found.compared} detections {len(found.by_webhook_only)} came by webhook only and "
        f"{len(found.by_api_only)} by wiz/detection only."
    )
