"""One bulk request from its operations to the last word about each of them.

Retries, splitting and the reading of answers live here. The stock client would send a refused request again at once,
never retry a single item, and compress with gzip's slowest level; so it is given finished bytes and no retries.
Error classes: Elasticsearch's bulk API documentation and the behaviour of Beats and Logstash.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from typing import Any, NamedTuple

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch
from isal import igzip

from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.client import translate
from wiz_dagster.errors import PermanentError, TransientError

REQUEST_SECONDS = 120
ANSWER_PARTS = "errors,items.*.error,items.*.status,items.*.failure_store"
FAILURE_STORE = "failure_store"
HEADERS = {"accept": "application/json", "content-type": "application/x-ndjson", "content-encoding": "gzip"}


class Operation(NamedTuple):
    """The id of a document and the lines of a bulk body that create, index or delete it."""

    id: str
    body: bytes


class Rejection(NamedTuple):
    """An operation that Elasticsearch refuses for good. `reason` may quote the document: for dead letters only."""

    operation: Operation
    status: int
    kind: str
    reason: str

    @property
    def document(self) -> bytes:
        """The document as it was sent."""
        return self.operation.body.split(b"\n", 2)[1]

    @property
    def for_content(self) -> bool:
        """Whether it may be what the document says that Elasticsearch doesn't take."""
        return self.status == HTTPStatus.BAD_REQUEST or self.kind == FAILURE_STORE


@dataclass
class BulkCounts:
    """What became of the operations so far; `bytes` as sent, compressed, retries included.

    `indexed` and `superseded`: documents with a version that were stored, or met one with a higher version.
    """

    created: int = 0
    indexed: int = 0
    superseded: int = 0
    already_there: int = 0
    deleted: int = 0
    already_gone: int = 0
    rejected: int = 0
    redirected: int = 0
    retried: int = 0
    requests: int = 0
    bytes: int = 0

    def add(self, other: "BulkCounts") -> None:
        """Adds each figure of `other`."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass
class Outcome:
    """The result of one batch; `refused_bytes` is the size of the smallest body that was too large, or 0."""

    counts: BulkCounts = field(default_factory=BulkCounts)
    rejections: list[Rejection] = field(default_factory=list)
    refused_bytes: int = 0


class BatchSender:
    """Sends batches to one index or data stream; may be used from several threads at once."""

    def __init__(self, client: Elasticsearch, index: str, *, stream_only: bool, backoff: Backoff) -> None:
        self._client = client.options(max_retries=0, retry_on_status=(), request_timeout=REQUEST_SECONDS)
        self._index = index
        self._query = {"filter_path": ANSWER_PARTS, "pipeline": "_none"}
        if stream_only:
            self._query["require_data_stream"] = "true"
        self._backoff = backoff
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Wakes and ends the batches that wait for a retry."""
        self._stopped.set()

    def send(self, operations: Sequence[Operation]) -> Outcome:
        """Sends a batch until each operation is done, found superfluous or rejected.

        Raises PermanentError when Elasticsearch refuses the request as such, TransientError when retrying didn't help.
        """
        outcome = Outcome()
        self._send(operations, outcome)
        return outcome

    def _send(self, operations: Sequence[Operation], outcome: Outcome) -> None:
        pending, body, last = operations, b"", ""
        for attempt in range(self._backoff.attempts):
            if attempt:
                outcome.counts.retried += len(pending)
                self._stopped.wait(self._backoff.pause(attempt))
            if self._stopped.is_set():
                break
            body = body or igzip.compress(b"".join(operation.body for operation in pending), compresslevel=1)
            outcome.counts.requests += 1
            outcome.counts.bytes += len(body)
            try:
                answer = self._client.perform_request(
                    "POST", f"/{self._index}/_bulk", params=self._query, headers=HEADERS, body=body
                ).body
            except (ApiError, TransportError) as error:
                if isinstance(error, ApiError) and error.meta.status in (400, 413):
                    self._split(pending, error, outcome)
                    return
                last = _worth_a_retry(error)
            else:
                pending, body = self._read(pending, answer, outcome), b""
                if not pending:
                    return
                last = "It is overloaded."
        raise TransientError(
            f"Elasticsearch did not take {len(pending)} operations for {self._index} in {self._backoff.attempts} "
            f"attempts. {last} Run the partition again when it is well."
        )

    def _split(self, operations: Sequence[Operation], error: ApiError, outcome: Outcome) -> None:
        """A body that is refused whole, for its size or for one bad document, is halved down to the culprit."""
        if error.meta.status == 413:
            size = sum(len(operation.body) for operation in operations)
            outcome.refused_bytes = min(outcome.refused_bytes or size, size)
        if len(operations) == 1:
            _reject(outcome, operations[0], error.meta.status, _cause(error.body))
            return
        middle = len(operations) // 2
        self._send(operations[:middle], outcome)
        self._send(operations[middle:], outcome)

    def _read(self, operations: Sequence[Operation], answer: Any, outcome: Outcome) -> list[Operation]:
        """Counts what each operation came to and returns those to send again."""
        items = answer.get("items", ()) if isinstance(answer, Mapping) else ()
        if len(items) != len(operations):
            raise TransientError(
                f"Elasticsearch answered {len(items)} of {len(operations)} operations in a bulk request: "
                "look for a proxy that changes answers, then run the partition again."
            )
        again = []
        for operation, item in zip(operations, items, strict=True):
            ((action, result),) = item.items()
            status = result["status"]
            if result.get("failure_store") == "used":
                outcome.counts.redirected += 1
                _reject(
                    outcome, operation, status, {"type": FAILURE_STORE, "reason": "redirected to the failure store"}
                )
            elif status < 300:
                _count(outcome.counts, action)
            elif status == 409 and action == "create":
                outcome.counts.already_there += 1
            elif status == 409 and action == "index":
                outcome.counts.superseded += 1
            elif status == 404 and action == "delete":
                outcome.counts.already_gone += 1
            elif status in (409, 429) or status >= 500:
                again.append(operation)
            elif status in (401, 403, 404):
                raise PermanentError(
                    f"Elasticsearch refused to write to {self._index} (HTTP {status}, {_cause(result)['type']}): see "
                    "that its index templates are installed, no block is on it and the role has its privileges."
                )
            else:
                _reject(outcome, operation, status, _cause(result))
        return again


def _count(counts: BulkCounts, action: str) -> None:
    if action == "create":
        counts.created += 1
    elif action == "index":
        counts.indexed += 1
    else:
        counts.deleted += 1


def _reject(outcome: Outcome, operation: Operation, status: int, cause: Mapping[str, Any]) -> None:
    outcome.counts.rejected += 1
    inner = cause.get("caused_by") or {}
    reason = "; ".join(str(part["reason"]) for part in (cause, inner) if part.get("reason"))
    outcome.rejections.append(Rejection(operation, status, str(cause.get("type", "unknown")), reason))


def _cause(answer: Any) -> Mapping[str, Any]:
    """The error object of an answer or item; servers and proxies in between also answer with text."""
    error = answer.get("error") if isinstance(answer, Mapping) else None
    return error if isinstance(error, Mapping) else {"type": "unknown", "reason": ""}


def _worth_a_retry(error: ApiError | TransportError) -> str:
    """What the error means; raised as PermanentError when sending again can't help."""
    meaning = translate(error)
    if isinstance(meaning, PermanentError):
        raise meaning from None
    return str(meaning)
