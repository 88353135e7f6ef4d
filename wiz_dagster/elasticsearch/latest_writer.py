"""Writing a landed day into a latest view: each node's document under its version, so that the newest state stays.

Days may be written in any order and any number of times; nothing is ever deleted. Ids and versions are made in
`latest_versions.py`, what left a snapshot is marked in `latest_gone.py`.
"""

import time

import numpy as np
import pandas as pd
from elasticsearch import Elasticsearch

from wiz_dagster.ecs.collector import rare_collections
from wiz_dagster.elasticsearch.client import translated
from wiz_dagster.elasticsearch.digests import ID_BYTES, Entries, digests, make_entries, superseding, text_id, without
from wiz_dagster.elasticsearch.document_writer import DocumentWriter, Place
from wiz_dagster.elasticsearch.latest_day import LatestDay, LatestReport
from wiz_dagster.elasticsearch.latest_gone import mark_gone
from wiz_dagster.elasticsearch.latest_index import ensure_view
from wiz_dagster.elasticsearch.latest_versions import FindingIds, millis, moments, version_of
from wiz_dagster.elasticsearch.latest_views import LatestView
from wiz_dagster.elasticsearch.reconcile import Destination, refreshed
from wiz_dagster.elasticsearch.stamping import Stamper
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.node_index import is_among
from wiz_dagster.landing.receipts import Receipt, read_receipt, write_receipt
from wiz_dagster.landing.sweeps import Sweep, newest_sweep
from wiz_dagster.landing.write_lock import write_lock
from wiz_dagster.landing.zone import LandingZone


def write_latest(day: LatestDay, zone: LandingZone, to: Destination) -> LatestReport:
    """Bring the day's nodes into the view; two writers of a day take turns.

    Raises PermanentError when Elasticsearch refuses (more than `MOST_REJECTIONS` documents, too), TransientError when
    it can't be reached or another run landed the same day meanwhile.
    """
    started = time.monotonic()
    with write_lock(*_place(day, zone, to)):
        report = _Writing(day, zone, to).run()
    report.seconds = time.monotonic() - started
    day.report = report
    return report


def _place(day: LatestDay, zone: LandingZone, to: Destination) -> Place:
    """That of a day in its view."""
    return zone, day.partition.dataset.name, day.partition.day, f"latest.{to.namespace}"


class _Writing:
    def __init__(self, day: LatestDay, zone: LandingZone, to: Destination) -> None:
        self._view = day.view
        self._partition = day.partition
        self._zone = zone
        self._to = to
        self._place = _place(day, zone, to)
        self._report = LatestReport()
        self._writer = DocumentWriter(to.client, day.view.index, day.partition.dataset, self._place, backoff=to.backoff)

    def run(self) -> LatestReport:
        self._partition.check_current(self._zone)
        client, patiently = self._to.client, self._to.backoff.patiently
        present, warnings = patiently(lambda: ensure_view(client, self._view, self._partition.dataset))
        self._report.warnings += warnings
        sweep = self._newest_sweep()
        fingerprint = "-".join(
            (self._partition.fingerprint, present.fingerprint, present.uuid, self._sweeps_fingerprint(sweep))
        )
        receipt = self._trusted_receipt(fingerprint)
        entries = self._send(receipt, sweep)
        self._partition.check_current(self._zone)
        if self._report.written or self._view.gone_field:
            self._refresh()
        self._mark_gone()
        self._remember(receipt, fingerprint, entries)
        self._report.shown = patiently(lambda: count_shown(client, self._view, self._to.namespace))
        return self._report

    def _newest_sweep(self) -> Sweep | None:
        return newest_sweep(self._zone, self._partition.dataset.name) if self._view.gone_field else None

    def _sweeps_fingerprint(self, newest: Sweep | None) -> str:
        """What else decides about the documents of a snapshot's day."""
        if not self._view.gone_field:
            return ""
        started = newest.started.isoformat() if newest else "none"
        return f"{started}-{len(self._partition.landed.parts)}"

    def _trusted_receipt(self, fingerprint: str) -> Receipt | None:
        """The last receipt, if it was written for the same index and documents would be made the same way today."""
        receipt = read_receipt(*self._place)
        trusted = (
            receipt is not None
            and receipt.fingerprint == fingerprint
            and (
                receipt.generation == self._partition.landed.generation
                or (receipt.generation < self._partition.landed.generation and not self._partition.dataset.snapshot)
            )
            and not any(read_dead_letters(*self._place))
        )
        return receipt if trusted else None

    def _send(self, receipt: Receipt | None, sweep: Sweep | None) -> Entries:
        """Sends what the receipt doesn't cover; returns an entry for each node that the view has been given."""
        dataset, day, namespace = self._partition.dataset, self._partition.day, self._to.namespace
        stamper, ids = Stamper(dataset, namespace, day, self._to.run_id), FindingIds(namespace)
        nodes, documents = bytearray(), bytearray()
        with rare_collections(), self._writer as writer:
            for batch in self._partition.new_frames(receipt):
                frame = batch.frame
                since = moments(frame, snapshot=dataset.snapshot)
                if sweep is not None:
                    frame[self._view.gone_field] = _gone(frame, since, sweep)
                for key, moment, stamped in zip(frame.index, since, stamper.stamp_frame(frame), strict=True):
                    digest = ids.of(key[:ID_BYTES])
                    writer.index(text_id(digest), stamped.document, version_of(moment, day))
                    nodes += key[:ID_BYTES]
                    documents += digest
        made = make_entries(bytes(nodes), bytes(documents))
        entries = made if receipt is None else superseding(receipt.entries, made)
        self._count(unchanged=len(entries) - len(made))
        return entries

    def _count(self, unchanged: int) -> None:
        report, counts, rejections = self._report, self._writer.counts, self._writer.rejections
        report.nodes = self._partition.landed.nodes
        report.written, report.superseded, report.unchanged = counts.indexed, counts.superseded, unchanged
        report.retried, report.bytes = counts.retried, counts.bytes
        report.refitted = self._writer.refitted
        report.rejected, report.reasons = len(rejections), rejections.reasons()

    def _mark_gone(self) -> None:
        """By the newest sweep of this moment: one that landed since is not known to what was just written."""
        sweep = self._newest_sweep()
        if sweep is not None:
            self._report.gone_marked = mark_gone(
                self._to.client, self._view, self._to.namespace, sweep, self._to.backoff
            )
            if self._report.gone_marked:
                self._refresh()

    def _refresh(self) -> None:
        refreshed(self._to, self._view.index, self._report.warnings)

    def _remember(self, receipt: Receipt | None, fingerprint: str, entries: Entries) -> None:
        self._writer.keep_dead_letters()
        generation = self._partition.landed.generation
        if receipt is None or receipt.generation != generation:
            stored = without(entries, self._writer.rejections.ids())
            write_receipt(*self._place, Receipt(generation, fingerprint, stored))


def count_shown(client: Elasticsearch, view: LatestView, namespace: str) -> int:
    """How many findings of the namespace readers see; raises TransientError when not all shards answered."""
    with translated():
        answer = client.count(index=view.alias, query={"term": {"data_stream.namespace": namespace}})
    if answer["_shards"]["failed"]:
        raise TransientError(f"Elasticsearch could not count {view.alias} on all shards: run the partition again.")
    return int(answer["count"])


def _gone(frame: pd.DataFrame, since: list[int], sweep: Sweep) -> pd.Series:
    """True for the findings that the newest sweep no longer has, None for the others."""
    there = is_among(digests(b"".join(key[:ID_BYTES] for key in frame.index)), sweep.nodes)
    gone = (np.array(since) < millis(sweep.started)) & ~there
    return pd.Series([True if one else None for one in gone], index=frame.index, dtype=object)
