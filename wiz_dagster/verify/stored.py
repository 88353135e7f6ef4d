"""What Elasticsearch holds of a partition, contents included, and which partitions it holds anything of.

A scan takes 36 bytes a document and the pages in flight. What should be there isn't known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from elasticsearch import Elasticsearch, NotFoundError

from wiz_dagster.elasticsearch.digests import Digests, digests, raw_id
from wiz_dagster.elasticsearch.listing import Listing
from wiz_dagster.elasticsearch.scan import PARTITION_FIELD, in_slices, of_partition, pages
from wiz_dagster.verify.contents import content_of

PAGE = 1000
SETTINGS = ("index.mapping.source.mode", "index.final_pipeline")


@dataclass(frozen=True)
class Stored(Listing):
    """A listing that knows the content of each document as well, as 16 bytes."""

    contents: Digests


def stored_documents(client: Elasticsearch, stream: str, day: str) -> Stored:
    """Reads a partition as it stands, as far as it was refreshed; no stream holds nothing.

    Raises TransientError when Elasticsearch can't answer for all of its shards.
    """
    return _joined(in_slices(client, stream, lambda point, part: _read_slice(client, point, day, part)))


def without_day(client: Elasticsearch, stream: str) -> int:
    """How many documents of the stream belong to no partition, hence weren't written here."""
    query = {"bool": {"must_not": {"exists": {"field": PARTITION_FIELD}}}}
    try:
        return int(client.count(index=stream, query=query)["count"])
    except NotFoundError:
        return 0


class Treatment(NamedTuple):
    """What a stream does to documents.

    `synthetic`: they come back put together anew, so contents can't be compared. `piped`: a final pipeline of somebody
    else's changes them.
    """

    synthetic: bool
    piped: bool


def treatment(client: Elasticsearch, stream: str) -> Treatment:
    """How the stream's backing indices are set; as ours are when there is no stream."""
    try:
        found: Mapping[str, Any] = client.indices.get_settings(
            index=stream, include_defaults=True, flat_settings=True, filter_path=[f"*.*.{name}" for name in SETTINGS]
        ).body
    except NotFoundError:
        return Treatment(False, False)
    of_indices = [{**index.get("defaults", {}), **index.get("settings", {})} for index in found.values()]
    sources, pipelines = ({str(one[name]).lower() for one in of_indices if name in one} for name in SETTINGS)
    return Treatment("synthetic" in sources, bool(pipelines - {"_none"}))


@dataclass
class _Slice:
    ids: bytearray = field(default_factory=bytearray)
    contents: bytearray = field(default_factory=bytearray)
    indices: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)

    def add(self, hit: dict[str, Any]) -> None:
        raw = raw_id(hit["_id"])
        if raw is None:
            self.foreign.append((hit["_index"], hit["_id"]))
            return
        if hit["_index"] not in self.indices:
            self.indices.append(hit["_index"])
        self.ids += raw
        self.contents += content_of(hit["_source"])
        self.places.append(self.indices.index(hit["_index"]))


def _read_slice(client: Elasticsearch, point: str, day: str, part: dict[str, int]) -> _Slice:
    found = _Slice()
    for hits in pages(client, point, of_partition(day), PAGE, source=True, part=part):
        for hit in hits:
            found.add(hit)
    return found


def _joined(slices: list[_Slice]) -> Stored:
    names = tuple(sorted({name for part in slices for name in part.indices}))
    place = np.array([names.index(part.indices[at]) for part in slices for at in part.places], dtype=np.int32)
    ids = digests(b"".join(part.ids for part in slices))
    contents = digests(b"".join(part.contents for part in slices))
    by_id = np.lexsort((place, ids))
    foreign = tuple(pair for part in slices for pair in part.foreign)
    return Stored(ids[by_id], place[by_id], names, foreign, contents[by_id])
