"""The last touch to a document: its id, and the fields that say where it came from.

A document's id covers its content and its place (namespace, dataset, partition, node, version), but neither the time it
was written nor the run that wrote it, so an unchanged document keeps its id and is not written again. Of a pushed
dataset, the id is the same on any day: it covers neither the partition nor `@timestamp`, whose last resort is when the
node came.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pandas as pd

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.documents import iter_documents


def stamping_fingerprint() -> str:
    """Changes with this module, hence whenever it may finish documents in another way."""
    return blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()


class Stamped(NamedTuple):
    """A finished document: its id as 16 bytes and its JSON."""

    digest: bytes
    document: bytes


class Stamper:
    """Finishes the documents of one partition of a dataset for one run."""

    def __init__(self, dataset: Dataset, namespace: str, day: str, run_id: str) -> None:
        stream = dataset.stream
        self._pushed = dataset.pushed
        self._event = {"dataset": f"wiz.{stream}", "module": "wiz"}
        self._stream = {"type": "logs", "dataset": f"wiz.{stream}", "namespace": namespace}
        self._day = day
        self._run = orjson.dumps(run_id)
        place = (namespace, stream) if self._pushed else (namespace, stream, day)
        self._place = blake2b(b"".join(part.encode() + b"\0" for part in place), digest_size=16)

    def stamp_frame(self, frame: pd.DataFrame) -> Iterator[Stamped]:
        """The documents of a frame, in its order; the frame's index holds the node keys."""
        ingested = orjson.dumps(datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        for key, document in zip(frame.index, iter_documents(frame), strict=True):
            yield self._stamp(key, document, ingested)

    def _stamp(self, key: bytes, document: dict[str, Any], ingested: bytes) -> Stamped:
        event = orjson.dumps({**document.pop("event", {}), **self._event})
        labels = orjson.dumps({**document.pop("labels", {}), "dagster_partition": self._day})
        document["data_stream"] = self._stream
        content = orjson.dumps(document)
        digest = self._place.copy()
        for part in (key, _without_time(document), event) if self._pushed else (key, content, event, labels):
            digest.update(part)
        return Stamped(
            digest.digest(),
            b'%b,"event":%b,"ingested":%b},"labels":%b,"dagster_run_id":%b}}'
            % (content[:-1], event[:-1], ingested, labels[:-1], self._run),
        )


def _without_time(document: dict[str, Any]) -> bytes:
    return orjson.dumps({name: value for name, value in document.items() if name != "@timestamp"})
