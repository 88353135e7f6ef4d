"""The index that lies beside a part: 40 bytes a node, so that merging and choosing winners never reads the nodes.

An entry is the hash of the Wiz id (16), the version (signed 64 bit, big endian) and the hash of the line (16); the
first 24 bytes are the node's key. The winner of an id is its highest version and, of equal ones, the last fetched.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from wiz_dagster.wiz.windows import parse_time

KEY_BYTES = 24
ENTRY = np.dtype([("node", "S16"), ("version", ">i8"), ("content", "S16")])

IMMUTABLE = 0
UNKNOWN = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Entries = npt.NDArray[np.void]
Contents = npt.NDArray[np.bytes_]


def content_hash(line: bytes) -> bytes:
    """16 bytes that tell one line from another."""
    return blake2b(line, digest_size=16).digest()


def node_key(node: Mapping[str, Any], content: bytes, version_field: str | None) -> bytes:
    """The 24 bytes of id and version; a node without an id is known by its content."""
    node_id = node.get("id")
    identity = blake2b(node_id.encode(), digest_size=16).digest() if isinstance(node_id, str) and node_id else content
    return identity + version_of(node, version_field).to_bytes(8, "big", signed=True)


def content_key(content: bytes) -> bytes:
    """The key of a node that is known by its content alone; it has no versions."""
    return content + IMMUTABLE.to_bytes(8, "big", signed=True)


def version_of(node: Mapping[str, Any], version_field: str | None) -> int:
    """Microseconds since 1970 of the node's version; -1 when it has none, 0 when the dataset's nodes never change."""
    if version_field is None:
        return IMMUTABLE
    moment = parse_time(node.get(version_field))
    return UNKNOWN if moment is None else (moment - _EPOCH) // _MICROSECOND


def read_entries(data: bytes) -> Entries:
    """The entries of an index file (read-only)."""
    return np.frombuffer(data, dtype=ENTRY)


def no_entries() -> Entries:
    """The index of no node."""
    return np.empty(0, dtype=ENTRY)


def winners(entries: Entries) -> npt.NDArray[np.int64]:
    """Positions of the winning entry of each node, ascending; `entries` stand in fetch order."""
    order, last = _groups(entries)
    return np.sort(order[last])


def settled_contents(entries: Entries) -> Contents:
    """Sorted content hashes that needn't be stored again: all but those that lost to an equal version.

    A node that Wiz changes back without a new version must win again, so what it was before is stored once more.
    """
    order, last = _groups(entries)
    if not len(order):
        return no_contents()
    version, content = entries["version"][order], entries["content"][order]
    winner = np.flatnonzero(last)[np.cumsum(last) - last]
    lost_tie = (version == version[winner]) & (content != content[winner])
    return np.unique(content[~lost_tie])


def no_contents() -> Contents:
    """Content hashes of no line."""
    return np.empty(0, dtype="S16")


def union(known: Contents, more: Collection[bytes]) -> Contents:
    """The sorted hashes `known` and `more`, which have none in common, sorted."""
    added = np.sort(np.array(list(more), dtype="S16"))
    return np.insert(known, np.searchsorted(known, added), added)


def is_among(contents: Contents, known: Contents) -> npt.NDArray[np.bool_]:
    """Which of `contents` are in the sorted array `known`."""
    if not len(known):
        return np.zeros(len(contents), dtype=bool)
    places = np.minimum(np.searchsorted(known, contents), len(known) - 1)
    found: npt.NDArray[np.bool_] = known[places] == contents
    return found


def _groups(entries: Entries) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The order by node, version and place, and which of that order is the last of its node."""
    order = np.lexsort((entries["version"].astype("i8"), entries["node"]))
    nodes = entries["node"][order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = nodes[1:] != nodes[:-1]
    return order, last
