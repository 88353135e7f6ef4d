"""The IO manager of `wiz/latest/<view>`: landed days into a view, and what the view shows of them back as frames.

Thin: what writing means is in `latest_writer.py`.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote

import dagster as dg
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import dataset_named
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.elasticsearch.io_manager import ClusterIOManager
from wiz_dagster.elasticsearch.latest_day import LatestDay, LatestReport
from wiz_dagster.elasticsearch.latest_views import VIEWS
from wiz_dagster.elasticsearch.latest_writer import write_latest
from wiz_dagster.elasticsearch.reader import StoredFrames
from wiz_dagster.elasticsearch.reconcile import Destination
from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.zone import open_zone


class LatestIOManager(ClusterIOManager):
    """Writes a `LatestDay` into its view and reads back, as `StoredFrames`, what the view shows of some days."""

    def handle_output(self, context: dg.OutputContext, obj: LatestDay) -> None:
        """Brings the day into the view; the figures become the run's metadata."""
        with dagster_failures():
            settings = self.settings()
            zone = open_zone(os.environ)
            with connect(settings) as client:
                report = write_latest(obj, zone, Destination(client, settings.namespace, context.run_id))
        for warning in report.warnings:
            context.log.warning(warning)
        query = quote(f'data_stream.namespace:"{settings.namespace}"')
        context.add_output_metadata(
            {
                **_metadata(report),
                "dagster/table_name": obj.view.alias,
                "data": dg.MetadataValue.url(f"{settings.url}/{obj.view.alias}/_search?q={query}"),
            }
        )

    def load_input(self, context: dg.InputContext) -> StoredFrames:
        """The documents that the view shows of the input's partitions, of all namespaces, read while iterated over."""
        with dagster_failures():
            settings = self.settings()

        def open_client() -> AbstractContextManager[Elasticsearch]:
            return connect(settings)

        view = next(view for view in VIEWS if view.name == context.asset_key.path[-1])
        return StoredFrames(open_client, dataset_named(view.dataset), view.alias, context.asset_partition_keys)


def _metadata(report: LatestReport) -> Mapping[str, dg.MetadataValue[Any]]:
    names = ("written", "superseded", "unchanged", "refitted", "rejected", "gone_marked", "shown", "retried", "bytes")
    figures = {f"latest/{name}": dg.MetadataValue.int(getattr(report, name)) for name in names}
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(report.nodes - report.rejected),
        "dagster/row_count": dg.MetadataValue.int(report.shown),
        **figures,
        "latest/seconds": dg.MetadataValue.float(round(report.seconds, 3)),
    }
