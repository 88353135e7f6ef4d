"""Writing a partition: what Elasticsearch holds of it is listed and made equal to what was landed.

Missing documents are created, then stale ones and further copies deleted; documents of anything else are never touched.
What Wiz sends by itself, perhaps twice, is created unless any partition holds it (`elsewhere.py`).
Run twice, killed or rolled over in between, the result is the same. Requests are in `bulk.py`, reading in `listing.py`.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from elasticsearch import Elasticsearch

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.collector import rare_collections
from wiz_dagster.ecs.drift import add_drift
from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.bulk_batch import Rejection
from wiz_dagster.elasticsearch.digests import (
    ID_BYTES,
    Digests,
    Entries,
    Marks,
    digests,
    document_ids,
    make_entries,
    superseding,
    text_id,
    without,
)
from wiz_dagster.elasticsearch.document_writer import DocumentWriter
from wiz_dagster.elasticsearch.elsewhere import Elsewhere
from wiz_dagster.elasticsearch.listing import Listing, list_partition, refresh
from wiz_dagster.elasticsearch.partition import EcsPartition, WriteReport
from wiz_dagster.elasticsearch.stamping import Stamper
from wiz_dagster.elasticsearch.templates import ensure
from wiz_dagster.errors import PermanentError
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.node_index import is_among
from wiz_dagster.landing.receipts import Receipt, read_receipt, write_receipt
from wiz_dagster.landing.write_lock import write_lock
from wiz_dagster.landing.zone import LandingZone


@dataclass(frozen=True)
class Destination:
    """Where a partition goes, and how.

    The cluster's client, the namespace, the run that writes; how long a stream that doesn't exist yet will keep its
    documents (None: for ever).
    """

    client: Elasticsearch
    namespace: str
    run_id: str
    retention: str | None = None
    backoff: Backoff = field(default_factory=Backoff)


def stream_name(dataset: Dataset, namespace: str) -> str:
    """The data stream of a dataset."""
    return f"logs-wiz.{dataset.stream}-{namespace}"


def refreshed(to: Destination, index: str, warnings: list[str]) -> None:
    """Make what was written so far seen; what the user should know of how goes to `warnings`, once."""
    warning = to.backoff.patiently(lambda: refresh(to.client, index))
    if warning and warning not in warnings:
        warnings.append(warning)


def write_partition(partition: EcsPartition, zone: LandingZone, to: Destination) -> WriteReport:
    """Make the partition's documents in Elasticsearch equal to its newest landed nodes; two writers take turns.

    Of a pushed dataset, what another partition holds isn't created again, so there the days take turns as well.

    Raises PermanentError when Elasticsearch refuses (more than `MOST_REJECTIONS` documents, too), TransientError when
    it can't be reached or another run landed the same day meanwhile: then nothing was deleted.
    """
    started = time.monotonic()
    dataset = partition.dataset
    with write_lock(zone, dataset.name, None if dataset.pushed else partition.day, to.namespace):
        report = Reconciliation(partition, zone, to).run()
    report.seconds = time.monotonic() - started
    partition.report = report
    return report


class Reconciliation:
    """One write of a partition, under its lock; `run` may be called once."""

    def __init__(self, partition: EcsPartition, zone: LandingZone, to: Destination) -> None:
        self._partition = partition
        self._zone = zone
        self._to = to
        self._stream = stream_name(partition.dataset, to.namespace)
        self._place = (zone, partition.dataset.name, partition.day, to.namespace)
        self._fingerprint = partition.fingerprint
        self._report = WriteReport()
        self._elsewhere = Elsewhere(to.client, self._stream, to.backoff)
        self._writer = DocumentWriter(
            to.client, self._stream, partition.dataset, self._place, backoff=to.backoff, stream_only=True
        )

    def run(self) -> WriteReport:
        """Lists what Elasticsearch holds and makes it equal. Raises as `write_partition` does."""
        self._prepare()
        listing = self._list()
        receipt = self._trusted_receipt(listing)
        entries = self._create_missing(listing, receipt)
        if self._report.created:
            listing = self._list()
        self._partition.check_current(self._zone)
        if self._delete_superfluous(listing, entries):
            listing = self._list()
        self._remember(receipt, entries)
        return self._figures(listing, entries)

    def _prepare(self) -> None:
        self._partition.check_current(self._zone)
        dataset = self._partition.dataset
        installed = self._to.backoff.patiently(lambda: ensure(self._to.client, dataset, self._to.retention))
        self._report.warnings += installed.warnings

    def _list(self) -> Listing:
        refreshed(self._to, self._stream, self._report.warnings)
        day = self._partition.day
        return self._to.backoff.patiently(lambda: list_partition(self._to.client, self._stream, day))

    def _trusted_receipt(self, listing: Listing) -> Receipt | None:
        """The last receipt, if documents would be made the same way today and Elasticsearch holds exactly those."""
        receipt = self._receipt()
        if receipt and not listing.foreign and self._holds_exactly(document_ids(receipt.entries), listing):
            return receipt
        return None

    def _receipt(self) -> Receipt | None:
        """The last receipt, if documents would be made the same way today and none was refused."""
        receipt = read_receipt(*self._place)
        usable = (
            receipt is not None
            and (receipt.generation == self._partition.landed.generation or not self._partition.dataset.snapshot)
            and receipt.fingerprint == self._fingerprint
            and receipt.generation <= self._partition.landed.generation
            and not any(read_dead_letters(*self._place))
        )
        return receipt if usable else None

    def _holds_exactly(self, wanted: Digests, listing: Listing) -> bool:
        away = wanted[self._are_elsewhere(wanted, listing)]
        return np.array_equal(np.sort(np.concatenate([listing.ids, away])), wanted)

    def _are_elsewhere(self, wanted: Digests, listing: Listing) -> Marks:
        """Marks what this partition lacks and another one has, which is right for a pushed dataset alone."""
        marks = ~is_among(wanted, listing.ids) & self._partition.dataset.pushed
        marks[marks] = self._elsewhere.has(wanted[marks])
        return marks

    def _create_missing(self, listing: Listing, receipt: Receipt | None) -> Entries:
        """Creates what isn't listed; returns an entry for each document that the partition has to hold."""
        nodes, documents = bytearray(), bytearray()
        self._report.drift = Counter(receipt.drift if receipt else {})
        stamper = Stamper(self._partition.dataset, self._to.namespace, self._partition.day, self._to.run_id)
        with rare_collections(), self._writer as writer:
            for batch in self._partition.new_frames(receipt):
                self._report.look_at(batch, self._partition.dataset.stream)
                stamped = list(stamper.stamp_frame(batch.frame))
                raw = b"".join(one.digest for one in stamped)
                ids = digests(raw)
                held = is_among(ids, listing.ids) | self._are_elsewhere(ids, listing)
                for one, there in zip(stamped, held, strict=True):
                    if not there:
                        writer.create(text_id(one.digest), one.document)
                nodes += b"".join(key[:ID_BYTES] for key in batch.frame.index)
                documents += raw
        self._report.created = writer.counts.created
        self._report.refitted = writer.refitted
        self._report.retried = writer.counts.retried
        self._report.bytes = writer.counts.bytes
        add_drift(self._report.drift, writer.drift)
        made = make_entries(bytes(nodes), bytes(documents))
        return made if receipt is None else superseding(receipt.entries, made)

    def _delete_superfluous(self, listing: Listing, entries: Entries) -> int:
        """Deletes what the partition doesn't hold any more and further copies; returns how many documents went."""
        superfluous = ~is_among(listing.ids, document_ids(entries)) | listing.copies()
        return self._delete([*listing.whereabouts(superfluous), *listing.foreign])

    def _delete(self, doomed: Sequence[tuple[str, str]]) -> int:
        """Deletes documents, given as index and id; returns how many."""
        if not doomed:
            return 0
        with BulkWriter(self._to.client, self._stream, _refuse_delete, backoff=self._to.backoff) as writer:
            for index, document_id in doomed:
                writer.delete(index, document_id)
        self._report.deleted = writer.counts.deleted
        self._report.bytes += writer.counts.bytes
        return len(doomed)

    def _remember(self, receipt: Receipt | None, entries: Entries) -> None:
        self._writer.keep_dead_letters()
        generation = self._partition.landed.generation
        if receipt is None or receipt.generation != generation:
            stored = without(entries, self._writer.rejections.ids())
            write_receipt(*self._place, Receipt(generation, self._fingerprint, stored, self._report.drift))

    def _count(self, entries: Entries) -> None:
        """The figures that need no look at Elasticsearch."""
        report, rejections = self._report, self._writer.rejections
        report.nodes = self._partition.landed.nodes
        report.documents = len(entries)
        report.rejected = len(rejections)
        report.reasons = rejections.reasons()

    def _figures(self, listing: Listing, entries: Entries) -> WriteReport:
        self._count(entries)
        report, wanted = self._report, document_ids(entries)
        report.elsewhere = int(np.count_nonzero(self._are_elsewhere(wanted, listing)))
        report.unchanged = len(wanted) - report.created - report.rejected - report.elsewhere
        report.documents_in_elasticsearch = len(listing.ids) + len(listing.foreign)
        present = int(np.count_nonzero(is_among(wanted, listing.ids)))
        report.duplicates = report.documents_in_elasticsearch - present
        return report


def _refuse_delete(rejection: Rejection) -> None:
    raise PermanentError(
        f"Elasticsearch refused to delete a stale document ({rejection.kind}, HTTP {rejection.status}): "
        "check the role's privileges and the index's blocks."
    )
