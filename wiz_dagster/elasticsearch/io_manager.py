"""The IO manager of `wiz/<dataset>`: documents into Elasticsearch, and partitions back out of it as frames.

Thin: what writing means is in `reconcile.py`. Settings are read when a run needs them; the fields are for secrets
alone, so that Dagster's configuration holds the names of variables and never their values.
"""

import os
from contextlib import AbstractContextManager
from urllib.parse import quote

import dagster as dg
from elasticsearch import Elasticsearch
from pydantic import Field

from wiz_dagster.dataset_settings import read_dataset_settings
from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.elasticsearch.metadata import write_metadata
from wiz_dagster.elasticsearch.news import write_news
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.elasticsearch.reader import StoredFrames
from wiz_dagster.elasticsearch.reconcile import Destination, stream_name, write_partition
from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.zone import open_zone
from wiz_dagster.settings import (
    ElasticsearchSettings,
    read_elasticsearch_settings,
    read_pipeline_settings,
)


class ClusterIOManager(dg.ConfigurableIOManager):
    """An IO manager that speaks to the cluster, with its secrets."""

    api_key: str = Field(default="", description="ELASTICSEARCH_API_KEY")
    username: str = Field(default="", description="ELASTICSEARCH_USERNAME")
    password: str = Field(default="", description="ELASTICSEARCH_PASSWORD")

    def settings(self) -> ElasticsearchSettings:
        """Elasticsearch's settings as the run finds them. Raises SettingsError naming what is missing or invalid."""
        secrets = {
            "ELASTICSEARCH_API_KEY": self.api_key,
            "ELASTICSEARCH_USERNAME": self.username,
            "ELASTICSEARCH_PASSWORD": self.password,
        }
        return read_elasticsearch_settings({**os.environ, **{name: text for name, text in secrets.items() if text}})


class ElasticsearchIOManager(ClusterIOManager):
    """Writes an `EcsPartition` to its data stream and reads partitions back as `StoredFrames`."""

    def handle_output(self, context: dg.OutputContext, obj: EcsPartition) -> None:
        """Makes Elasticsearch hold exactly the partition's documents; the figures become the run's metadata."""
        with dagster_failures():
            settings = self.settings()
            zone = open_zone(os.environ)
            with connect(settings) as client:
                to = Destination(client, settings.namespace, context.run_id, _retention(obj.dataset.name))
                write = write_news if obj.trust_last_write else write_partition
                report = write(obj, zone, to)
        for warning in report.warnings:
            context.log.warning(warning)
        stream = stream_name(obj.dataset, settings.namespace)
        query = quote(f'labels.dagster_partition:"{obj.day}"')
        context.add_output_metadata(
            {
                **write_metadata(report, "es"),
                "dagster/table_name": stream,
                "data": dg.MetadataValue.url(f"{settings.url}/{stream}/_search?q={query}"),
            }
        )

    def load_input(self, context: dg.InputContext) -> StoredFrames:
        """The documents of the input's partitions, read while they are iterated over."""
        with dagster_failures():
            settings = self.settings()
            dataset = dataset_named(context.asset_key.path[-1])

        def open_client() -> AbstractContextManager[Elasticsearch]:
            return connect(settings)

        stream = stream_name(dataset, settings.namespace)
        return StoredFrames(open_client, dataset, stream, context.asset_partition_keys)


def _retention(dataset: str) -> str | None:
    """How long a stream made by this write will keep the dataset's documents."""
    return read_dataset_settings(read_pipeline_settings(os.environ).config, DATASETS)[dataset].retention
