"""Times of generated nodes: microseconds since 1970 in UTC, and their RFC 3339 text in 0 to 9 fractional digits."""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from wiz_dagster.sandbox.wiz.hashing import Hashes, Ordinals, below, weighted

Micros = NDArray[np.int64]

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 86_400 * SECOND
NEVER = int(np.iinfo(np.int64).min)
"""Stands for null in an array of times."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = (6, 0, 1, 3, 5, 7, 8, 9)
_DIGIT_WEIGHTS = (160, 4, 4, 8, 8, 4, 4, 8)
_UNITS = np.array([10 ** max(0, 6 - digits) for digits in _DIGITS], dtype=np.int64)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime; one without a zone counts as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = aware - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def micros_of_text(text: object) -> int:
    """Microseconds of an RFC 3339 text (further digits cut off), `NEVER` for anything that isn't one."""
    if not isinstance(text, str):
        return NEVER
    try:
        return micros(datetime.fromisoformat(text))
    except ValueError:
        return NEVER


def precisions(hashes: Hashes) -> Ordinals:
    """How exact each node's times are: an index for `cut` and `texts`; most have microseconds, as Wiz's have."""
    return weighted(hashes, _DIGIT_WEIGHTS)


def cut(times: Micros, precision: Ordinals) -> Micros:
    """The times without the digits that their text won't have."""
    return times - times % _UNITS[precision]


def texts(times: Micros, precision: Ordinals, hashes: Hashes) -> list[str | None]:
    """RFC 3339 text of each time, None for `NEVER`; digits beyond the sixth come from the hashes."""
    plain = np.datetime_as_string(times.astype("datetime64[us]")).tolist()
    beyond = below(hashes, 1000).tolist()
    result: list[str | None] = []
    for text, moment, index, extra in zip(plain, times.tolist(), precision.tolist(), beyond, strict=True):
        digits = _DIGITS[index]
        if moment == NEVER:
            result.append(None)
        elif digits == 0:
            result.append(text[:19] + "Z")
        elif digits <= 6:
            result.append(text[: 20 + digits] + "Z")
        else:
            result.append(f"{text}{extra:03d}"[: 20 + digits] + "Z")
    return result
