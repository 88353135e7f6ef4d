"""What documents say, in 16 bytes each, and the documents that a landed day makes.

Two documents with the same id are the same when these bytes are: which run wrote them, and when, is left out. Numpy
arrays hold them, so that half a million documents take 16 MB.
"""

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import orjson

from wiz_dagster.ecs.collector import rare_collections
from wiz_dagster.elasticsearch.digests import ID_BYTES, Digests, digests
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.elasticsearch.stamping import Stamped, Stamper

OF_THE_WRITE = {"event": ("ingested", "agent_id_status"), "labels": ("dagster_run_id",)}
"""What tells of a write and not of the node; `agent_id_status` is added by the final pipeline of Elastic's Fleet."""


class Documents(NamedTuple):
    """Ids, sorted, and what each says, side by side."""

    ids: Digests
    contents: Digests


def content_of(document: dict[str, Any]) -> bytes:
    """16 bytes that tell one document from another, whatever the order of their keys."""
    document = dict(document)
    for parent, names in OF_THE_WRITE.items():
        held = document.get(parent)
        if isinstance(held, dict):
            document[parent] = {name: value for name, value in held.items() if name not in names}
    return blake2b(_canonical(document), digest_size=ID_BYTES).digest()


def made_documents(partition: EcsPartition, namespace: str) -> Iterator[list[Stamped]]:
    """The documents of the day, as the asset makes them, batch by batch."""
    stamper = Stamper(partition.dataset, namespace, partition.day, run_id="")
    with rare_collections():
        for batch in partition.frames():
            yield list(stamper.stamp_frame(batch.frame))


def expected_documents(partition: EcsPartition, namespace: str) -> Documents:
    """What Elasticsearch has to hold of a landed day."""
    ids, contents = bytearray(), bytearray()
    for batch in made_documents(partition, namespace):
        ids += b"".join(one.digest for one in batch)
        contents += b"".join(content_of(orjson.loads(one.document)) for one in batch)
    unsorted = digests(bytes(ids))
    by_id = np.argsort(unsorted)
    return Documents(unsorted[by_id], digests(bytes(contents))[by_id])


def _canonical(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # nested deeper than it writes, though it reads it
        return json.dumps(document, sort_keys=True).encode()
