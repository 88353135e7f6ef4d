"""What Dagster's records say of the days of an asset: the newest materialization of each, with its figures.

Two questions to the instance, however many days and however often they were written.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

import dagster as dg
from dagster import AssetRecordsFilter, DagsterEventType, DagsterInstance

ROW_COUNT = "dagster/partition_row_count"
PAGE = 500


class Materialized(NamedTuple):
    """The newest materialization of a day: its place among all events, when it was, and how many rows it told of."""

    storage_id: int
    at: datetime
    rows: int | None


def newest_materializations(
    instance: DagsterInstance, key: dg.AssetKey, days: Collection[str]
) -> dict[str, Materialized]:
    """By day, those of `days` that the asset was ever materialized for."""
    kind = DagsterEventType.ASSET_MATERIALIZATION
    newest = sorted(instance.get_latest_storage_id_by_partition(key, kind, set(days)).values())
    found = {}
    for start in range(0, len(newest), PAGE):
        chosen = AssetRecordsFilter(key, storage_ids=newest[start : start + PAGE])
        for record in instance.fetch_materializations(chosen, limit=PAGE).records:
            materialization = record.asset_materialization
            if materialization is None or materialization.partition is None:
                continue
            rows = materialization.metadata.get(ROW_COUNT)
            number = rows.value if isinstance(rows, dg.IntMetadataValue) else None
            at = datetime.fromtimestamp(record.timestamp, UTC)
            found[materialization.partition] = Materialized(record.storage_id, at, number)
    return found
