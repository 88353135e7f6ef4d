"""What of a partition stands in other partitions of its stream: for datasets of which Wiz may send a node twice.

The same node gives the same document whatever the day, so it is looked up by its id over all of the stream before it is
created. What is found stays in the partition that has it.
"""

from functools import partial

import numpy as np
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.digests import Digests, Marks, digests, raw_id, raw_ids, text_id
from wiz_dagster.elasticsearch.scan import pages, point_in_time
from wiz_dagster.landing.node_index import is_among

AT_ONCE = 5000
"""Ids a request; one has 22 bytes."""
PAGE = 10_000


class Elsewhere:
    """Looks up documents that a partition's listing lacks; what was found once is not asked for again."""

    def __init__(self, client: Elasticsearch, stream: str, backoff: Backoff) -> None:
        self._client = client
        self._stream = stream
        self._backoff = backoff
        self._found = digests(b"")

    def has(self, ids: Digests) -> Marks:
        """Marks those of `ids` that the stream holds, as far as it was refreshed; no stream holds nothing.

        Raises TransientError when Elasticsearch can't answer for all of its shards.
        """
        new = ids[~is_among(ids, self._found)]
        for start in range(0, len(new), AT_ONCE):
            some = [text_id(raw) for raw in raw_ids(new[start : start + AT_ONCE])]
            found = self._backoff.patiently(partial(self._search, some))
            self._found = np.union1d(self._found, found)
        return is_among(ids, self._found)

    def _search(self, ids: list[str]) -> Digests:
        """Which of the ids there are; one may stand in several backing indices."""
        raw = set()
        with point_in_time(self._client, self._stream) as point:
            for hits in pages(self._client, point, {"ids": {"values": ids}}, PAGE, source=False) if point else ():
                raw |= {raw_id(hit["_id"]) or b"" for hit in hits}
        return digests(b"".join(raw))
