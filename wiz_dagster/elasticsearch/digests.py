"""Document ids in bulk: 16 bytes each in numpy arrays, so that half a million take 8 MB, and their text form.

Also the entries of a receipt, node and document side by side. The arrays are for sorting and comparing; whole ids are
taken out by `raw_ids` only, because an item of dtype S loses its trailing zero bytes.
"""

import base64
import binascii

import numpy as np
import numpy.typing as npt

from wiz_dagster.landing.node_index import is_among
from wiz_dagster.landing.receipts import RECEIPT_ENTRY

ID_BYTES = 16
TEXT_LENGTH = 22
LAST_CHARACTERS = "AQgw"
"""What 16 bytes in base64 can end in: the last character holds two bits only."""

Digests = npt.NDArray[np.bytes_]
"""One-dimensional, dtype S16."""
Entries = npt.NDArray[np.void]
"""One-dimensional, dtype RECEIPT_ENTRY."""
Marks = npt.NDArray[np.bool_]


def text_id(raw: bytes) -> str:
    """The `_id` of a document: base64url of its 16 bytes, without padding."""
    return base64.urlsafe_b64encode(raw)[:TEXT_LENGTH].decode()


def raw_id(document_id: str) -> bytes | None:
    """The 16 bytes of an `_id`, or None when it isn't one of ours."""
    if len(document_id) != TEXT_LENGTH or document_id[-1] not in LAST_CHARACTERS:
        return None
    try:
        raw = base64.b64decode(document_id + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == ID_BYTES else None


def digests(raw: bytes) -> Digests:
    """An array over concatenated ids."""
    return np.frombuffer(raw, dtype=f"S{ID_BYTES}")


def raw_ids(ids: Digests) -> list[bytes]:
    """Each id of an array, whole."""
    raw = ids.tobytes()
    return [raw[start : start + ID_BYTES] for start in range(0, len(raw), ID_BYTES)]


def make_entries(nodes: bytes, documents: bytes) -> Entries:
    """Entries of concatenated node hashes and document ids (16 bytes each, in the same order)."""
    entries = np.empty(len(nodes) // ID_BYTES, dtype=RECEIPT_ENTRY)
    entries["node"] = np.frombuffer(nodes, dtype="V16")
    entries["document"] = np.frombuffer(documents, dtype="V16")
    return entries


def document_ids(entries: Entries) -> Digests:
    """The distinct document ids of entries, sorted."""
    return np.unique(_column(entries, "document"))


def superseding(old: Entries, new: Entries) -> Entries:
    """All entries of `new`, and those of `old` whose node isn't in `new`."""
    if not len(old) or not len(new):
        return new if len(new) else old
    kept = ~is_among(_column(old, "node"), np.unique(_column(new, "node")))
    return np.concatenate([old[kept], new])


def without(entries: Entries, documents: Digests) -> Entries:
    """The entries whose document isn't among the given (sorted) ids."""
    return entries[~is_among(_column(entries, "document"), documents)]


def _column(entries: Entries, name: str) -> Digests:
    return np.ascontiguousarray(entries[name]).view(f"S{ID_BYTES}")
