"""A destination's receipt of a partition: which documents it held after the last write, and what they were made from.

A receipt is a cache: absent, damaged or of another format it is None, and the destination reconciles in full. It is
per dataset, day and namespace, and says nothing about nodes.
"""

import logging
import struct
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from wiz_dagster.landing.zone import LandingZone, day_folder

# Raw 16 bytes each; "V" and not "S", which would cut trailing zero bytes when an item is taken out.
RECEIPT_ENTRY = np.dtype([("node", "V16"), ("document", "V16")])

_MAGIC = b"wiz-receipt-1\n"
_CHECKSUM_BYTES = 32
_HEAD = struct.Struct(">QH")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Receipt:
    """Documents of a partition after a write: `entries` has dtype RECEIPT_ENTRY (hash of the id, document id)."""

    generation: int
    fingerprint: str
    entries: npt.NDArray[np.void]


def write_receipt(zone: LandingZone, dataset: str, day: str, namespace: str, receipt: Receipt) -> None:
    """Replace the receipt in one atomic step."""
    if receipt.entries.dtype != RECEIPT_ENTRY:
        raise TypeError(f"entries must have dtype {RECEIPT_ENTRY}")
    fingerprint = receipt.fingerprint.encode()
    body = _HEAD.pack(receipt.generation, len(fingerprint)) + fingerprint + receipt.entries.tobytes()
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
    generation, length = _HEAD.unpack_from(body)
    entries = np.frombuffer(body, dtype=RECEIPT_ENTRY, offset=_HEAD.size + length)
    return Receipt(generation, body[_HEAD.size : _HEAD.size + length].decode(), entries)


def _path(dataset: str, day: str, namespace: str) -> str:
    return f"{day_folder(dataset, day)}/receipt.{namespace}.bin"
