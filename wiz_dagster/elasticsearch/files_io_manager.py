"""The IO manager for where there is no Elasticsearch: the same documents as NDJSON files below the landing zone.

A receipt tells whether a file is up to date, as it does for Elasticsearch; otherwise the file is written anew, whole.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import dagster as dg
import numpy as np
import orjson
import pandas as pd

from wiz_dagster.datasets import dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.collector import rare_collections
from wiz_dagster.elasticsearch.digests import (
    ID_BYTES,
    Digests,
    Entries,
    digests,
    document_ids,
    make_entries,
)
from wiz_dagster.elasticsearch.metadata import write_metadata
from wiz_dagster.elasticsearch.partition import EcsPartition, WriteReport
from wiz_dagster.elasticsearch.reader import documents_frame, open_fields
from wiz_dagster.elasticsearch.stamping import Stamper
from wiz_dagster.errors import PermanentError
from wiz_dagster.failures import dagster_failures
from wiz_dagster.landing.document_file import DocumentFile
from wiz_dagster.landing.node_index import is_among
from wiz_dagster.landing.receipts import Receipt, read_receipt, write_receipt
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.write_lock import write_lock
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.settings import read_landing_settings, read_pipeline_settings

READ_DOCUMENTS = 1000


class FilesIOManager(dg.ConfigurableIOManager):
    """Writes an `EcsPartition` to its file and reads partitions back as `FileFrames`."""

    def handle_output(self, context: dg.OutputContext, obj: EcsPartition) -> None:
        """Makes the file hold exactly the partition's documents; the figures become the run's metadata."""
        with dagster_failures():
            url = read_landing_settings(os.environ).url
            namespace = read_pipeline_settings(os.environ).namespace
            file = DocumentFile(url, namespace, obj.dataset.name, obj.day)
            report = write_file(obj, LandingZone(open_store(url), None), file, namespace, context.run_id)
        context.add_output_metadata({**write_metadata(report, "files"), "data": dg.MetadataValue.path(file.url)})

    def load_input(self, context: dg.InputContext) -> "FileFrames":
        """The documents of the input's partitions, read while they are iterated over."""
        with dagster_failures():
            url = read_landing_settings(os.environ).url
            namespace = read_pipeline_settings(os.environ).namespace
            dataset = dataset_named(context.asset_key.path[-1])
            days = context.asset_partition_keys
            return FileFrames(dataset, [DocumentFile(url, namespace, dataset.name, day) for day in days])


@dataclass(frozen=True)
class FileFrames:
    """The documents of some partitions in files; each iteration reads them anew, some documents a frame."""

    dataset: Dataset
    files: Sequence[DocumentFile]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Frames with a row a document and a column a path; PermanentError when a partition was never written."""
        closed = open_fields(self.dataset)
        for file in self.files:
            lines = file.lines()
            try:
                while some := [orjson.loads(line) for line in islice(lines, READ_DOCUMENTS)]:
                    yield documents_frame(some, pd.RangeIndex(len(some)), closed)
            except FileNotFoundError:
                raise PermanentError(
                    f"{file.path} was never written: materialize wiz/{self.dataset.name} of that day first."
                ) from None


def write_file(
    partition: EcsPartition, zone: LandingZone, file: DocumentFile, namespace: str, run_id: str
) -> WriteReport:
    """Writes the partition's file unless it is up to date; two writers take turns.

    Raises PermanentError when the disk or store refuses, TransientError when another run landed the day meanwhile.
    """
    started = time.monotonic()
    place = (zone, partition.dataset.name, partition.day, f"files.{namespace}")
    with write_lock(*place):
        partition.check_current(zone)
        receipt = read_receipt(*place) if file.exists() else None
        mark = partition.fingerprint
        report = partition.report = WriteReport()
        if receipt and (receipt.generation, receipt.fingerprint) == (partition.landed.generation, mark):
            entries = receipt.entries
            report.drift = Counter(receipt.drift)
        else:
            nodes, documents = bytearray(), bytearray()
            stamper = Stamper(partition.dataset, namespace, partition.day, run_id)
            with rare_collections():
                report.bytes = file.write(_documents(partition, stamper, report, nodes, documents))
            entries = make_entries(bytes(nodes), bytes(documents))
            write_receipt(*place, Receipt(partition.landed.generation, mark, entries, report.drift))
        report.nodes = partition.landed.nodes
        _count(report, entries, document_ids(receipt.entries) if receipt else digests(b""))
    report.seconds = time.monotonic() - started
    return report


def _documents(
    partition: EcsPartition, stamper: Stamper, report: WriteReport, nodes: bytearray, documents: bytearray
) -> Iterator[bytes]:
    for batch in partition.frames():
        report.look_at(batch, partition.dataset.stream)
        nodes += b"".join(key[:ID_BYTES] for key in batch.frame.index)
        for stamped in stamper.stamp_frame(batch.frame):
            documents += stamped.digest
            yield stamped.document


def _count(report: WriteReport, entries: Entries, before: Digests) -> None:
    now = document_ids(entries)
    report.documents = report.documents_in_elasticsearch = len(entries)
    report.duplicates = len(entries) - len(now)
    report.unchanged = int(np.count_nonzero(is_among(now, before)))
    report.created = len(now) - report.unchanged
    report.deleted = len(before) - report.unchanged
