"""Opaque cursors: where a walk stands, sealed so that a client can neither read nor change it, nor use it elsewhere.

A cursor belongs to one query with one filter and one order. It holds the number of nodes already served, the moment
whose state the walk sees, and a number that makes cursors of the same place differ.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

_PLACE = struct.Struct(">QqI")
_SEAL = 8


@dataclass(frozen=True)
class Place:
    """Where a walk stands."""

    served: int
    now: int
    variant: int = 0


def seal(place: Place, *, key: bytes, walk: bytes) -> str:
    """The cursor's text for a walk, `walk` being whatever identifies it."""
    plain = _PLACE.pack(place.served, place.now, place.variant)
    tag = hashlib.blake2b(plain + walk, key=key, digest_size=_SEAL).digest()
    return base64.urlsafe_b64encode(tag + _veil(plain, tag, key)).decode().rstrip("=")


def unseal(text: str, *, key: bytes, walk: bytes) -> Place | None:
    """The place, or None when this isn't a cursor of that walk."""
    try:
        raw = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _SEAL + _PLACE.size:
        return None
    plain = _veil(raw[_SEAL:], raw[:_SEAL], key)
    if hashlib.blake2b(plain + walk, key=key, digest_size=_SEAL).digest() != raw[:_SEAL]:
        return None
    return Place(*_PLACE.unpack(plain))


def _veil(data: bytes, tag: bytes, key: bytes) -> bytes:
    stream = hashlib.blake2b(tag, key=key, digest_size=len(data), person=b"veil").digest()
    return bytes(one ^ other for one, other in zip(data, stream, strict=True))
