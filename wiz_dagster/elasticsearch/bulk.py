"""A stream of single operations becomes bulk requests, several in flight, in bounded memory.

Operations are cut into batches by bytes and count here and counted here; how one batch is sent, retried, split and
judged is in `bulk_batch.py`. What to write or delete is decided elsewhere (`reconcile.py`, `latest_writer.py`).
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.bulk_batch import BatchSender, BulkCounts, Operation, Outcome, Rejection

BATCH_BYTES = 2_500_000
BATCH_OPERATIONS = 2_000
IN_FLIGHT = 8
"""Requests at once. Many of this size hide a server's latency as well as fewer large ones, in the same memory."""


class BulkWriter:
    """Writes operations to one index or data stream; use it as a context manager, which waits for the last answer.

    `on_rejected` is called, in the thread that feeds, for each operation that Elasticsearch refuses for good.
    Feeding and leaving raise PermanentError (refused altogether) and TransientError (gave up retrying).
    """

    def __init__(
        self,
        client: Elasticsearch,
        index: str,
        on_rejected: Callable[[Rejection], None],
        *,
        stream_only: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        self.counts = BulkCounts()
        self._sender = BatchSender(client, index, stream_only=stream_only, backoff=backoff or Backoff())
        self._on_rejected = on_rejected
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="bulk")
        self._flying: set[Future[Outcome]] = set()
        self._batch: list[Operation] = []
        self._batch_bytes = 0
        self._most_bytes = BATCH_BYTES

    def create(self, document_id: str, document: bytes) -> None:
        """Stores a document unless its id is there already."""
        self.add(Operation(document_id, b'{"create":{"_id":"%b"}}\n%b\n' % (document_id.encode(), document)))

    def index(self, document_id: str, document: bytes, version: int) -> None:
        """Stores a document in the place of any with its id, unless that one's version is higher."""
        action = b'{"index":{"_id":"%b","version":%d,"version_type":"external_gte"}}\n%b\n'
        self.add(Operation(document_id, action % (document_id.encode(), version, document)))

    def delete(self, index: str, document_id: str) -> None:
        """Removes one document from the (backing) index that holds it."""
        self.add(
            Operation(document_id, b'{"delete":{"_index":"%b","_id":"%b"}}\n' % (index.encode(), document_id.encode()))
        )

    def add(self, operation: Operation) -> None:
        """Sends an operation as it is, with the next batch."""
        size = len(operation.body)
        if self._batch and (self._batch_bytes + size > self._most_bytes or len(self._batch) >= BATCH_OPERATIONS):
            self._dispatch()
        self._batch.append(operation)
        self._batch_bytes += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._dispatch()
                while self._flying:
                    self._collect()
        finally:
            self._sender.stop()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _dispatch(self) -> None:
        while len(self._flying) >= IN_FLIGHT:
            self._collect()
        if self._batch:
            self._flying.add(self._pool.submit(self._sender.send, self._batch))
        self._batch, self._batch_bytes = [], 0

    def _collect(self) -> None:
        done, self._flying = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in done:
            outcome = future.result()
            self.counts.add(outcome.counts)
            if outcome.refused_bytes:
                self._most_bytes = min(self._most_bytes, max(outcome.refused_bytes // 2, 1))
            for rejection in outcome.rejections:
                self._on_rejected(rejection)
