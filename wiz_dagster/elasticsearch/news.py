"""Writing what is new of a partition: for a day that is written every few minutes, at a cost that follows the news.

What the last write left is not listed but counted; if the count is that of the receipt, the new documents are created
and the superseded ones deleted. Whatever doesn't fit is left to the full write, which lists.
"""

import time

import numpy as np

from wiz_dagster.elasticsearch.digests import Digests, document_ids
from wiz_dagster.elasticsearch.listing import Listing, places_of
from wiz_dagster.elasticsearch.partition import EcsPartition, WriteReport
from wiz_dagster.elasticsearch.reconcile import Destination, Reconciliation, refreshed, write_partition
from wiz_dagster.elasticsearch.scan import of_partition
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.node_index import is_among
from wiz_dagster.landing.write_lock import write_lock
from wiz_dagster.landing.zone import LandingZone


def write_news(partition: EcsPartition, zone: LandingZone, to: Destination) -> WriteReport:
    """As `write_partition`, trusting that Elasticsearch holds what the receipt says if it holds as many documents.

    What others exchanged for as many documents stays until a full write. Raises as `write_partition` does.
    """
    dataset = partition.dataset
    if dataset.pushed or dataset.snapshot:
        return write_partition(partition, zone, to)
    started = time.monotonic()
    with write_lock(zone, dataset.name, partition.day, to.namespace):
        report = _News(partition, zone, to).run_if_trusted()
    if report is None:
        return write_partition(partition, zone, to)
    report.seconds = time.monotonic() - started
    partition.report = report
    return report


class _News(Reconciliation):
    def run_if_trusted(self) -> WriteReport | None:
        """The report; None when only a listing can tell what there is, before or after.

        The last write ended with a refresh of the stream, which costs most here, so one is only needed after this one.
        """
        self._prepare()
        receipt = self._receipt()
        if receipt is None:
            return None
        before = document_ids(receipt.entries)
        if self._documents() != len(before):
            return None
        entries = self._create_missing(_assumed(before), receipt)
        after = document_ids(entries)
        self._partition.check_current(self._zone)
        self._delete(self._places(before[~is_among(before, after)]))
        stored = len(before)
        if self._report.created or self._report.deleted:
            refreshed(self._to, self._stream, self._report.warnings)
            stored = self._documents()
        self._count(entries)
        if stored != len(after) - self._report.rejected:
            return None
        self._remember(receipt, entries)
        self._report.documents_in_elasticsearch = stored
        self._report.unchanged = len(after) - self._report.created - self._report.rejected
        return self._report

    def _documents(self) -> int:
        """How many documents the partition is seen to have."""
        return self._to.backoff.patiently(self._counted)

    def _counted(self) -> int:
        query = of_partition(self._partition.day)
        answer = self._to.client.count(index=self._stream, query=query, ignore_unavailable=True)
        if answer["_shards"]["failed"]:
            raise TransientError(
                f"Elasticsearch could not count {self._stream} on all shards: see that its indices are healthy, then "
                "run the partition again."
            )
        return int(answer["count"])

    def _places(self, ids: Digests) -> list[tuple[str, str]]:
        """Backing index and id of each document of the partition that has one of the ids."""
        within = of_partition(self._partition.day)
        return places_of(self._to.client, self._stream, self._to.backoff, ids, within)


def _assumed(ids: Digests) -> Listing:
    """The listing that the receipt promises, but for where the documents stand."""
    return Listing(ids, np.zeros(len(ids), dtype=np.int32), ("",), ())
