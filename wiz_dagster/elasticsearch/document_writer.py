"""Writing the documents of one partition, so that one which Elasticsearch refuses for its content lands all the same.

It is made to fit (`fitting.py`) and sent once more under the same id. What is refused even then, or can't be made to
fit, becomes a dead letter. Which documents are written, and what else happens to them, is decided by the callers.
"""

from collections import Counter
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from elasticsearch import Elasticsearch

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.drift import add_drift
from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.bulk_batch import BulkCounts, Operation, Rejection
from wiz_dagster.elasticsearch.fitting import Fitting
from wiz_dagster.elasticsearch.rejections import Rejections
from wiz_dagster.errors import PermanentError
from wiz_dagster.landing.dead_letters import write_dead_letters
from wiz_dagster.landing.zone import LandingZone

Place = tuple[LandingZone, str, str, str]
"""What the receipt, the dead letters and the lock of a partition are filed under: zone, dataset, day, namespace."""


class DocumentWriter:
    """Writes to one index or data stream; a context manager as `BulkWriter` is, with its errors.

    Afterwards `counts` has the figures of all that was sent, `refitted` how many documents landed only after something
    in them was moved, `drift` what that was; `rejections` are the documents that are nowhere but in the dead letters.
    """

    def __init__(
        self,
        client: Elasticsearch,
        index: str,
        dataset: Dataset,
        place: Place,
        *,
        backoff: Backoff,
        stream_only: bool = False,
    ) -> None:
        self.counts = BulkCounts()
        self.refitted = 0
        self.drift: Counter[str] = Counter()
        self.rejections = Rejections()
        self._place = place
        self._fitting = Fitting(dataset.fields(), dataset.stream)
        self._first = BulkWriter(client, index, self._refused, stream_only=stream_only, backoff=backoff)
        self._second = BulkWriter(client, index, self.rejections.add, stream_only=stream_only, backoff=backoff)
        self._open = ExitStack()

    def create(self, document_id: str, document: bytes) -> None:
        """As `BulkWriter.create`."""
        self._first.create(document_id, document)

    def index(self, document_id: str, document: bytes, version: int) -> None:
        """As `BulkWriter.index`."""
        self._first.index(document_id, document, version)

    def keep_dead_letters(self) -> None:
        """Puts what was refused in the place of the dead letters of the write before."""
        write_dead_letters(*self._place, self.rejections.letters())

    def __enter__(self) -> Self:
        self._open.enter_context(self._second)
        self._open.enter_context(self._first)  # left first, since its last answers feed the second
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._open.__exit__(kind, error, trace)
        except PermanentError:
            self._keep_what_there_is()
            raise
        if isinstance(error, PermanentError):
            self._keep_what_there_is()
        again = self._second.counts
        self.refitted = again.created + again.indexed
        self.counts.add(self._first.counts)
        self.counts.add(again)

    def _keep_what_there_is(self) -> None:
        """Of a write that ends in an error; those of the write before stay when it met none."""
        if self.rejections:
            self.keep_dead_letters()

    def _refused(self, rejection: Rejection) -> None:
        fitted = self._fitting.fit(rejection.document) if rejection.for_content else None
        if fitted is None:
            self.rejections.add(rejection)
            return
        add_drift(self.drift, fitted.drift)
        action, _ = rejection.operation.body.split(b"\n", 1)
        self._second.add(Operation(rejection.operation.id, b"%b\n%b\n" % (action, fitted.document)))
