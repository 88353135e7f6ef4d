"""The figures of a write as Dagster metadata: few keys, always the same, so that the UI can plot them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from wiz_dagster.elasticsearch.partition import WriteReport


def write_metadata(report: WriteReport, prefix: str) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata of one write; figures of the destination are named `<prefix>/...`."""
    rate = report.documents / report.seconds if report.seconds else 0.0
    figures = {
        "documents": report.documents_in_elasticsearch,
        "created": report.created,
        "unchanged": report.unchanged,
        "deleted": report.deleted,
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
        "sample": _table(report.sample),
    }


def _table(rows: list[dict[str, Any]]) -> dg.MetadataValue[Any]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return dg.MetadataValue.table(
        records=[dg.TableRecord({name: _cell(row, name) for name in names}) for row in rows],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in names]),
    )


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)
