"""The figures of a write as Dagster metadata: few keys, always the same, so that the UI can plot them."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from wiz_dagster.ecs.drift import told_apart
from wiz_dagster.elasticsearch.partition import WriteReport

DRIFT_ROWS = 50


def write_metadata(report: WriteReport, prefix: str) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata of one write; figures of the destination are named `<prefix>/...`."""
    rate = report.documents / report.seconds if report.seconds else 0.0
    figures = {
        "documents": report.documents_in_elasticsearch,
        "created": report.created,
        "unchanged": report.unchanged,
        "deleted": report.deleted,
        "elsewhere": report.elsewhere,
        "refitted": report.refitted,
        "rejected": report.rejected,
        "duplicates": report.duplicates,
        "retried": report.retried,
        "bytes": report.bytes,
    }
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(report.documents_in_elasticsearch),
        **{f"{prefix}/{name}": dg.MetadataValue.int(figure) for name, figure in figures.items()},
        f"{prefix}/seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        "documents_per_second": dg.MetadataValue.float(round(rate, 1)),
        "sample": _table(report.sample, list(dict.fromkeys(name for row in report.sample for name in row))),
        **drift_metadata(report.drift),
    }


def drift_metadata(drift: Mapping[str, int]) -> dict[str, dg.MetadataValue[Any]]:
    """How many values or keys drifted, and a table of the most frequent by kind and field."""
    rows = [each._asdict() for each in told_apart(drift)[:DRIFT_ROWS]]
    return {
        "drift": dg.MetadataValue.int(sum(drift.values())),
        "drift_by_field": _table(rows, ["kind", "field", "value", "times"]),
    }


def _table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.table(
        records=[dg.TableRecord({name: _cell(row, name) for name in names}) for row in rows],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in names]),
    )


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)
