"""What is held of a day where the demo's data go: asked from the landing zone, from Elasticsearch or from the files.

Nothing here knows what a run reported; that is the point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.datasets.defend import DEFEND
from wiz_dagster.elasticsearch.client import connect, translated
from wiz_dagster.elasticsearch.latest_views import LatestView
from wiz_dagster.elasticsearch.latest_writer import count_shown
from wiz_dagster.elasticsearch.reconcile import stream_name
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.document_file import DocumentFile
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.settings import read_elasticsearch_settings, read_landing_settings, read_pipeline_settings


class Holdings(ABC):
    """Counts by dataset and day, and one document to look at."""

    def __init__(self, zone: LandingZone) -> None:
        self._zone = zone

    def landed(self, dataset: str, day: str) -> int:
        """Nodes in the landing zone, each once. Raises `PermanentError` when the day was never landed."""
        return self._zone.day(dataset, day).nodes

    def is_landed(self, dataset: str, day: str) -> bool:
        """Whether the landing zone has the day."""
        return day in self._zone.days(dataset)

    @abstractmethod
    def documents(self, dataset: str, day: str) -> int:
        """Documents that the destination holds."""

    @abstractmethod
    def sent_by(self, rule: str) -> int:
        """Documents, on whatever day, of what Wiz's automation rule of that id sent to the webhook."""

    @abstractmethod
    def example(self, dataset: str, day: str) -> dict[str, Any] | None:
        """One of them; None when there is none."""

    @abstractmethod
    def shown(self, view: LatestView) -> int | None:
        """Findings that readers of the view see; None where there are no views."""

    @abstractmethod
    def where(self, dataset: str, day: str) -> str:
        """The place of the day's documents, for people."""


class ElasticsearchHoldings(Holdings):
    """Documents of the data streams `logs-wiz.<dataset>-<namespace>`, and the latest views beside them."""

    def __init__(self, zone: LandingZone, client: Elasticsearch, namespace: str) -> None:
        super().__init__(zone)
        self._client, self._namespace = client, namespace

    def documents(self, dataset: str, day: str) -> int:
        """Counted after a refresh, so that everything written so far is seen."""
        return self._count(dataset_named(dataset), _of_day(day))

    def sent_by(self, rule: str) -> int:
        """Counted over the whole stream, after a refresh."""
        return self._count(DEFEND, {"term": {"rule.id": rule}})

    def _count(self, dataset: Dataset, query: dict[str, Any]) -> int:
        stream = stream_name(dataset, self._namespace)
        with translated():
            self._client.indices.refresh(index=stream, ignore_unavailable=True)
            answer = self._client.count(index=stream, query=query, ignore_unavailable=True)
        if answer["_shards"]["failed"]:
            raise TransientError(f"Elasticsearch could not count all of {stream}; run it again.")
        return int(answer["count"])

    def shown(self, view: LatestView) -> int:
        """Counted through the alias, in this namespace, after a refresh."""
        with translated():
            self._client.indices.refresh(index=view.index)
        return count_shown(self._client, view, self._namespace)

    def example(self, dataset: str, day: str) -> dict[str, Any] | None:
        """The latest document of the day."""
        with translated():
            answer = self._client.search(
                index=stream_name(dataset_named(dataset), self._namespace),
                query=_of_day(day),
                sort=[{"@timestamp": "desc"}],
                size=1,
                ignore_unavailable=True,
            )
        hits = answer["hits"]["hits"]
        return dict(hits[0]["_source"]) if hits else None

    def where(self, dataset: str, day: str) -> str:  # noqa: ARG002
        """The data stream, the same for each day."""
        return stream_name(dataset_named(dataset), self._namespace)


class FileHoldings(Holdings):
    """Documents in NDJSON files below the landing zone."""

    def __init__(self, zone: LandingZone, landing_url: str, namespace: str) -> None:
        super().__init__(zone)
        self._landing_url, self._namespace = landing_url, namespace

    def documents(self, dataset: str, day: str) -> int:
        """The lines of the day's file; 0 when there is none."""
        file = self._file(dataset, day)
        return sum(1 for _ in file.lines()) if file.exists() else 0

    def example(self, dataset: str, day: str) -> dict[str, Any] | None:
        """The first document of the day."""
        file = self._file(dataset, day)
        first = next(file.lines(), None) if file.exists() else None
        return None if first is None else dict(orjson.loads(first))

    def sent_by(self, rule: str) -> int:
        """Counted in the files of all days, each once: files can't know what another day's already have."""
        files = (self._file(DEFEND.name, day) for day in self._zone.days(DEFEND.name))
        documents = (orjson.loads(line) for file in files if file.exists() for line in file.lines())
        return len({_content(one) for one in documents if one.get("rule", {}).get("id") == rule})

    def shown(self, view: LatestView) -> None:
        """There are no views of files."""

    def where(self, dataset: str, day: str) -> str:
        """The day's file."""
        return self._file(dataset, day).url

    def _file(self, dataset: str, day: str) -> DocumentFile:
        return DocumentFile(self._landing_url, self._namespace, dataset, day)


@contextmanager
def open_holdings(settings: Mapping[str, str]) -> Iterator[Holdings]:
    """What the environment `settings` names as landing zone and destination."""
    landing_url = read_landing_settings(settings).url
    zone = LandingZone(open_store(landing_url), None)
    pipeline = read_pipeline_settings(settings)
    if pipeline.destination == "files":
        yield FileHoldings(zone, landing_url, pipeline.namespace)
        return
    with connect(read_elasticsearch_settings(settings)) as client:
        yield ElasticsearchHoldings(zone, client, pipeline.namespace)


def _of_day(day: str) -> dict[str, Any]:
    return {"term": {"labels.dagster_partition": day}}


def _content(document: dict[str, Any]) -> bytes:
    """All but when and by which run it was written."""
    event = {name: value for name, value in document["event"].items() if name != "ingested"}
    return orjson.dumps({**document, "event": event, "labels": None}, option=orjson.OPT_SORT_KEYS)
