"""Reads documents out of a data stream or index, page by page, as they stood at one moment.

A partition's are found by `labels.dagster_partition` and never by `@timestamp`, which may be of another day. A read
that isn't complete is an error, never a shorter answer.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from elasticsearch import Elasticsearch, NotFoundError

from wiz_dagster.errors import TransientError

KEEP_ALIVE = "2m"
SLICES = 2
PARTITION_FIELD = "labels.dagster_partition"
HIT_PARTS = ("_id", "_index", "_version", "sort")
ANSWER_PARTS = ("pit_id", "timed_out", "_shards.failed")
_Read = TypeVar("_Read")


def of_partition(day: str) -> dict[str, Any]:
    """The query for the documents of one partition."""
    return {"term": {PARTITION_FIELD: day}}


@contextmanager
def point_in_time(client: Elasticsearch, stream: str) -> Iterator[str | None]:
    """The id of a point in time of the stream; None when there is no such stream."""
    try:
        point = client.open_point_in_time(index=stream, keep_alive=KEEP_ALIVE)["id"]
    except NotFoundError:
        yield None
        return
    try:
        yield point
    finally:
        client.options(ignore_status=404).close_point_in_time(id=point)


def in_slices(client: Elasticsearch, stream: str, read: Callable[[str, dict[str, int]], _Read]) -> list[_Read]:
    """What `read` makes of each slice of one point in time, all slices at once; empty when there is no such stream.

    `read` takes the point and the slice, as `pages` does.
    """
    with point_in_time(client, stream) as point:
        if point is None:
            return []
        with ThreadPoolExecutor(SLICES, thread_name_prefix="scan") as pool:
            return list(pool.map(lambda number: read(point, {"id": number, "max": SLICES}), range(SLICES)))


def pages(
    client: Elasticsearch,
    point: str,
    query: dict[str, Any],
    size: int,
    *,
    source: bool,
    version: bool = False,
    part: dict[str, int] | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """The hits of a query, `size` a page, with or without `_source` and `_version`; `part` is one slice of all.

    Raises TransientError when Elasticsearch can't answer for all of its shards.
    """
    wanted = [*ANSWER_PARTS, *(f"hits.hits.{name}" for name in (*HIT_PARTS, *(["_source"] if source else [])))]
    after: Any = None
    while True:
        answer = client.search(
            pit={"id": point, "keep_alive": KEEP_ALIVE},
            slice=part,
            query=query,
            sort=["_shard_doc"],
            search_after=after,
            size=size,
            source=source,
            version=version,
            track_total_hits=False,
            filter_path=wanted,
        ).body
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise TransientError(
                "Elasticsearch could not read the documents on all shards: see that the stream's indices are healthy, "
                "then run the partition again."
            )
        hits: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
        if not hits:
            return
        yield hits
        after = hits[-1]["sort"]
        point = answer.get("pit_id", point)
