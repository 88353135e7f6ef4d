"""Making a report: gather, write the page, give the metadata. The one place where the parts of this folder meet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.landing.retention import REPORTS
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.report.metadata import report_metadata
from wiz_dagster.report.open_findings import open_findings
from wiz_dagster.report.page import html
from wiz_dagster.report.summary import gather
from wiz_dagster.settings import ElasticsearchSettings


def make_report(
    zone: LandingZone, datasets: Sequence[Dataset], day: str, namespace: str, settings: ElasticsearchSettings | None
) -> tuple[str, dict[str, Any]]:
    """Write a day's page; its path in the zone and the metadata. Without `settings` the destination is files.

    Raises PermanentError or TransientError where the landing zone or Elasticsearch can't be used.
    """
    with ExitStack() as stack:
        client = stack.enter_context(connect(settings)) if settings else None
        ask = (lambda view, days: open_findings(client, view, namespace, days)) if client else None
        report = gather(zone, datasets, day, namespace if settings else f"files.{namespace}", ask)
    path = f"{REPORTS}/{namespace}/{day}.html"
    zone.store.put(path, html(report).encode())
    return path, report_metadata(report)
