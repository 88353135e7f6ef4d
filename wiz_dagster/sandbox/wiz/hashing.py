"""Numbers that depend on nothing but a seed, a dataset and an ordinal.

They make every generated node computable at random access, in bulk with numpy. The mixing function is SplitMix64's
finalizer (Steele, Lea and Flood 2014). Ids are built here too, because they can be turned back into their ordinal.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Ordinals = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_MASK = (1 << 64) - 1
_STRIDE = 0x9E3779B97F4A7C15
_STRIDE_INVERSE = pow(_STRIDE, -1, 1 << 64)


def stream_key(seed: int, dataset: str) -> int:
    """The 64-bit key from which all numbers of one dataset of one tenant follow."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{dataset}".encode(), digest_size=8).digest(), "big")


def mix(key: int, ordinals: Ordinals, salt: int) -> Hashes:
    """One evenly spread 64-bit number an ordinal; another `salt` gives independent numbers."""
    with np.errstate(over="ignore"):
        value = ordinals.astype(np.uint64) * np.uint64(_STRIDE) + np.uint64((key ^ (salt * 0xD1342543DE82EF95)) & _MASK)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


def below(hashes: Hashes, bound: int) -> Ordinals:
    """The hashes brought into `range(bound)`."""
    return (hashes % np.uint64(bound)).astype(np.int64)


def weighted(hashes: Hashes, weights: tuple[int, ...]) -> Ordinals:
    """An index into `weights` a hash, each as frequent as its weight says."""
    edges = np.cumsum(np.array(weights, dtype=np.int64))
    return np.searchsorted(edges, below(hashes, int(edges[-1])), side="right").astype(np.int64)


def node_id(key: int, ordinal: int) -> str:
    """A UUID text that looks random and leads back to its ordinal (see `ordinal_of`)."""
    low = (ordinal * _STRIDE + key) & _MASK
    text = f"{_check(key, low):016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def ordinal_of(key: int, text: str) -> int | None:
    """The ordinal whose id this is, or None when no node of this stream can have it."""
    try:
        number = int(text.replace("-", ""), 16)
    except ValueError:
        return None
    high, low = number >> 64, number & _MASK
    ordinal = ((low - key) * _STRIDE_INVERSE) & _MASK
    return ordinal if high == _check(key, low) and node_id(key, ordinal) == text else None


def _check(key: int, low: int) -> int:
    value = ((low ^ _STRIDE) * 0xBF58476D1CE4E5B9 + key) & _MASK
    return value ^ (value >> 29)
