"""What of a partition stands in other partitions of its stream: for datasets of which Wiz may send a node twice.

The same node gives the same document whatever the day, so it is looked up by its id over all of the stream before it is
created. What is found stays in the partition that has it.
"""

import numpy as np
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.digests import Digests, Marks, digests, raw_id
from wiz_dagster.elasticsearch.listing import places_of
from wiz_dagster.landing.node_index import is_among


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
        places = places_of(self._client, self._stream, self._backoff, new)
        found = digests(b"".join(raw_id(document_id) or b"" for _, document_id in places))
        self._found = np.union1d(self._found, found)
        return is_among(ids, self._found)
