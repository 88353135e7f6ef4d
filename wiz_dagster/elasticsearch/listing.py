"""Which documents a data stream holds for one partition: their ids and the backing indices they stand in.

Half a million ids take some 10 MB. What follows from a listing is decided in `reconcile.py`.
"""

import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from elasticsearch import AuthorizationException, Elasticsearch, NotFoundError

from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.digests import Digests, Marks, digests, raw_id, raw_ids, text_id
from wiz_dagster.elasticsearch.scan import PARTITION_FIELD, in_slices, of_partition, pages, point_in_time
from wiz_dagster.errors import PermanentError

PAGE = 10_000
IDS_AT_ONCE = 5_000
"""Ids a request; one has 22 bytes."""
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Listing:
    """The documents of one partition, sorted by id, copies of one id by backing index.

    `places` holds positions in `indices`; `foreign` are documents of the partition whose id isn't one of ours, as index
    and id.
    """

    ids: Digests
    places: npt.NDArray[np.int32]
    indices: tuple[str, ...]
    foreign: tuple[tuple[str, str], ...]

    def copies(self) -> Marks:
        """Marks each further copy of an id that stands in a lexically lower backing index as well."""
        marks = np.zeros(len(self.ids), dtype=np.bool_)
        marks[1:] = self.ids[1:] == self.ids[:-1]
        return marks

    def whereabouts(self, marks: Marks) -> list[tuple[str, str]]:
        """Backing index and `_id` of the marked ones."""
        names = [self.indices[place] for place in self.places[marks]]
        return list(zip(names, map(text_id, raw_ids(self.ids[marks])), strict=True))


def list_partition(client: Elasticsearch, stream: str, day: str) -> Listing:
    """Lists the documents of one partition; no stream means none.

    Raises TransientError when Elasticsearch can't answer for all of its shards.
    """
    return _joined(in_slices(client, stream, lambda point, part: _read_slice(client, point, day, part)))


def stored_days(client: Elasticsearch, stream: str, first: str, last: str) -> dict[str, int]:
    """The partitions between two days that the stream holds documents of, and how many."""
    query = {"range": {PARTITION_FIELD: {"gte": first, "lte": last}}}
    groups = {"days": {"terms": {"field": PARTITION_FIELD, "size": 10_000}}}
    try:
        answer = client.search(index=stream, query=query, size=0, aggs=groups)
    except NotFoundError:
        return {}
    return {group["key"]: group["doc_count"] for group in answer["aggregations"]["days"]["buckets"]}


def places_of(
    client: Elasticsearch, stream: str, backoff: Backoff, ids: Digests, within: dict[str, Any] | None = None
) -> list[tuple[str, str]]:
    """Backing index and `_id` of each document of the stream that has one of the ids, as far as it was refreshed.

    `within` is a query that they answer as well; one id may stand in several indices; no stream holds nothing. Raises
    TransientError when Elasticsearch can't answer for all of its shards.
    """
    found: list[tuple[str, str]] = []
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = [text_id(raw) for raw in raw_ids(ids[start : start + IDS_AT_ONCE])]
        wanted = [{"ids": {"values": some}}, *([within] if within else [])]
        found += backoff.patiently(partial(_places, client, stream, {"bool": {"filter": wanted}}))
    return found


def refresh(client: Elasticsearch, stream: str) -> str | None:
    """Makes all that was written visible to searches; a stream that doesn't exist yet is fine.

    Without the privilege `maintenance` it waits for Elasticsearch to do so, and returns a sentence that says so.
    """
    try:
        client.indices.refresh(index=stream)
    except NotFoundError:
        return None
    except AuthorizationException:
        seconds = _refresh_seconds(client, stream)
        time.sleep(seconds)
        return f"No privilege to refresh {stream}: waited {seconds:.1f} s instead. Add `maintenance` to the role."
    return None


@dataclass
class _Slice:
    raw: bytearray = field(default_factory=bytearray)
    places: list[npt.NDArray[np.int32]] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    foreign: list[tuple[str, str]] = field(default_factory=list)

    def add(self, hits: list[dict[str, Any]]) -> None:
        places = []
        for hit in hits:
            raw = raw_id(hit["_id"])
            if raw is None:
                self.foreign.append((hit["_index"], hit["_id"]))
            else:
                self.raw += raw
                places.append(self.names.setdefault(hit["_index"], len(self.names)))
        self.places.append(np.array(places, dtype=np.int32))


def _places(client: Elasticsearch, stream: str, query: dict[str, Any]) -> list[tuple[str, str]]:
    with point_in_time(client, stream) as point:
        if point is None:
            return []
        found = pages(client, point, query, PAGE, source=False)
        return [(hit["_index"], hit["_id"]) for hits in found for hit in hits]


def _read_slice(client: Elasticsearch, point: str, day: str, part: dict[str, int]) -> _Slice:
    found = _Slice()
    for hits in pages(client, point, of_partition(day), PAGE, source=False, part=part):
        found.add(hits)
    return found


def _joined(slices: list[_Slice]) -> Listing:
    names = tuple(sorted({name for part in slices for name in part.names}))
    places = [np.zeros(0, dtype=np.int32)]
    for part in slices:
        renumbered = np.array([names.index(name) for name in part.names], dtype=np.int32)
        places += [renumbered[page] for page in part.places if len(page)]
    place = np.concatenate(places)
    ids = digests(b"".join(part.raw for part in slices))
    by_id = np.lexsort((place, ids))
    return Listing(ids[by_id], place[by_id], names, tuple(pair for part in slices for pair in part.foreign))


def _refresh_seconds(client: Elasticsearch, stream: str) -> float:
    """A little more than the longest refresh interval of the stream's indices (Elasticsearch's default is 1 s)."""
    answer = client.indices.get_settings(index=stream, name="index.refresh_interval", flat_settings=True).body
    texts = [index["settings"].get("index.refresh_interval", "1s") for index in answer.values()] or ["1s"]
    return 0.5 + max(_seconds(text, stream) for text in texts)


def _seconds(text: str, stream: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not found:
        raise PermanentError(
            f"{stream} never refreshes by itself (refresh_interval {text}): give the role the privilege `maintenance`."
        )
    return float(found[1]) * _SECONDS[found[2]]
