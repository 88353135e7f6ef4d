"""Marking what is gone: findings of a snapshot that its newest complete sweep no longer has.

They stay in the index, content and version as they were, and the view's alias leaves them out. A finding that comes
back in a later sweep has a higher version and takes the place of the marked document.
"""

from typing import Any

import orjson
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.bulk_batch import Rejection
from wiz_dagster.elasticsearch.client import translated
from wiz_dagster.elasticsearch.digests import text_id
from wiz_dagster.elasticsearch.latest_versions import FindingIds, millis
from wiz_dagster.elasticsearch.latest_views import LatestView
from wiz_dagster.elasticsearch.scan import pages, point_in_time
from wiz_dagster.errors import PermanentError
from wiz_dagster.landing.sweeps import Sweep

PAGE = 1000


def mark_gone(client: Elasticsearch, view: LatestView, namespace: str, sweep: Sweep, backoff: Backoff) -> int:
    """Mark the namespace's findings that were last seen before `sweep` began and that it doesn't have.

    The index must have been refreshed. Returns how many were marked; one that another run wrote anew in the meantime
    stays as that run left it. Raises PermanentError when Elasticsearch refuses, TransientError when it can't now.
    """
    there: set[str] | None = None
    writer = BulkWriter(client, view.index, _refuse, backoff=backoff)
    with translated(), point_in_time(client, view.index) as point, writer:
        for hits in pages(client, str(point), _candidates(view, namespace, sweep), PAGE, source=True, version=True):
            there = _ids(sweep, namespace) if there is None else there
            for hit in hits:
                if hit["_id"] not in there:
                    writer.index(hit["_id"], _marked(hit["_source"], view), hit["_version"])
    return writer.counts.indexed


def _candidates(view: LatestView, namespace: str, sweep: Sweep) -> dict[str, Any]:
    before = {"lt": millis(sweep.started), "format": "epoch_millis"}
    return {
        "bool": {
            "filter": [{"term": {"data_stream.namespace": namespace}}, {"range": {"@timestamp": before}}],
            "must_not": [{"term": {view.gone_field: True}}],
        }
    }


def _ids(sweep: Sweep, namespace: str) -> set[str]:
    ids = FindingIds(namespace)
    return {text_id(ids.of(node)) for node in sweep.node_ids()}


def _marked(source: dict[str, Any], view: LatestView) -> bytes:
    place = source
    *parents, last = str(view.gone_field).split(".")
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = True
    return orjson.dumps(source)


def _refuse(rejection: Rejection) -> None:
    raise PermanentError(
        f"Elasticsearch refused to mark a finding as gone ({rejection.kind}, HTTP {rejection.status}): install the "
        "index anew with wiz-dagster setup."
    )
