"""The id and the version of a finding's document in a latest view.

Both follow from the landing zone alone, so any order of writes, and a rebuild, end with the same documents.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

import pandas as pd

from wiz_dagster.elasticsearch.digests import ID_BYTES
from wiz_dagster.wiz.windows import parse_time

DAY_BITS = 16
MOST_MILLIS = (1 << 47) - 1
"""Together they fill the 63 bits that Elasticsearch has for a version; enough for the years 2149 and 6429."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class FindingIds:
    """The ids of findings in an index that all namespaces share: hashes of namespace and node."""

    def __init__(self, namespace: str) -> None:
        self._namespace = blake2b(namespace.encode() + b"\0", digest_size=ID_BYTES)

    def of(self, node: bytes) -> bytes:
        """The 16 bytes of a finding's `_id`, from the 16 that stand for its Wiz id."""
        digest = self._namespace.copy()
        digest.update(node)
        return digest.digest()


def moments(frame: pd.DataFrame, *, snapshot: bool) -> list[int]:
    """When each node of a frame became what it is, in milliseconds since 1970.

    The node's version; for a node without one, and in a snapshot, its document's `@timestamp`. That is the start of the
    sweep, or the first readable of the node's other times, or else the start of the fetch that brought it.
    """
    dates = frame["@timestamp"].tolist()
    if snapshot:
        return [_millis(text) for text in dates]
    versions = [int.from_bytes(key[ID_BYTES:], "big", signed=True) // 1000 for key in frame.index]
    return [
        min(version, MOST_MILLIS) if version > 0 else _millis(text)
        for version, text in zip(versions, dates, strict=True)
    ]


def version_of(moment: int, day: str) -> int:
    """The document's version. The day comes last, so that of equal moments in two days the same one always wins."""
    return moment << DAY_BITS | (date.fromisoformat(day) - _EPOCH.date()).days


def millis(moment: datetime) -> int:
    """Whole milliseconds since 1970, as Elasticsearch keeps dates; 0 for what was before."""
    return min(max((moment - _EPOCH) // _MILLISECOND, 0), MOST_MILLIS)


@lru_cache(maxsize=4096)
def _millis(text: str) -> int:
    moment = parse_time(text)
    return 0 if moment is None else millis(moment)
