"""A destination's receipt of a partition: the documents it held after the last write, what they were made from, drift.

A receipt is a cache: absent, damaged or of another format it is None, and the destination reconciles in full. It is
per dataset, day and namespace, and says nothing about nodes.
"""

import logging
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import orjson

from wiz_dagster.landing.zone import LandingZone, day_folder

# Raw 16 bytes each; "V" and not "S", which would cut trailing zero bytes when an item is taken out.
RECEIPT_ENTRY = np.dtype([("node", "V16"), ("document", "V16")])

_MAGIC = b"wiz-receipt-2\n"
_CHECKSUM_BYTES = 32
_HEAD = struct.Struct(">QHI")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Receipt:
    """Documents of a partition after a write: `entries` has dtype RECEIPT_ENTRY (hash of the id, document id).

    `drift` is that of the nodes they were made from: sentence -> how often.
    """

    generation: int
    fingerprint: str
    entries: npt.NDArray[np.void]
    drift: Mapping[str, int] = field(default_factory=dict)


def write_receipt(zone: LandingZone, dataset: str, day: str, namespace: str, receipt: Receipt) -> None:
    """Replace the receipt in one atomic step."""
    if receipt.entries.dtype != RECEIPT_ENTRY:
        raise TypeError(f"entries must have dtype {RECEIPT_ENTRY}")
    fingerprint, drift = receipt.fingerprint.encode(), orjson.dumps(receipt.drift)
    head = _HEAD.pack(receipt.generation, len(fingerprint), len(drift))
    body = head + fingerprint + drift + receipt.entries.tobytes()
    zone.store.put(_path(dataset, day, namespace), _MAGIC + sha256(body).digest() + body)


def read_receipt(zone: LandingZone, dataset: str, day: str, namespace: str) -> Receipt | None:
    """The last receipt; None when there is none, or none that can be relied on (which is logged)."""
    path = _path(dataset, day, namespace)
    try:
        data = zone.store.read(path)
    except FileNotFoundError:
        return None
    start = len(_MAGIC) + _CHECKSUM_BYTES
    body = data[start:]
    if not data.startswith(_MAGIC) or sha256(body).digest() != data[len(_MAGIC) : start]:
        _logger.warning("%s in %s is damaged or of another format; it is left aside", path, zone.store.url)
        return None
    generation, *lengths = _HEAD.unpack_from(body)
    middle = _HEAD.size + lengths[0]
    end = middle + lengths[1]
    entries = np.frombuffer(body, dtype=RECEIPT_ENTRY, offset=end)
    return Receipt(generation, body[_HEAD.size : middle].decode(), entries, orjson.loads(body[middle:end]))


def delete_receipt(zone: LandingZone, dataset: str, day: str, namespace: str) -> None:
    """Forget the last write, so that the next one looks at every document."""
    zone.store.delete(_path(dataset, day, namespace))


def _path(dataset: str, day: str, namespace: str) -> str:
    return f"{day_folder(dataset, day)}/receipt.{namespace}.bin"
