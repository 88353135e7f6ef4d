"""What Elasticsearch takes into a field of a type, besides null and lists of it.

Found by asking an 8.19; where it takes odd spellings as well (a date without a day, a text `1e3`), those count
as unreadable here: a value that is wrongly held for readable costs the document its place, the other way costs nothing.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import Any

_MOST_FLOAT = Decimal("3.4028234663852886e38")
_MOST_DOUBLE = Decimal("1.7976931348623157e308")
RANGES = {
    "integer": (Decimal(-(2**31)), Decimal(2**31 - 1)),
    "long": (Decimal(-(2**63)), Decimal(2**63 - 1)),
    "unsigned_long": (Decimal(0), Decimal(2**63 - 1)),
    "float": (-_MOST_FLOAT, _MOST_FLOAT),
    "double": (-_MOST_DOUBLE, _MOST_DOUBLE),
    "scaled_float": (-_MOST_DOUBLE, _MOST_DOUBLE),
}
"""The least and the greatest number of each numeric type; that of unsigned_long holds for its fallback, too."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_MILLIS = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,6})?")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_FURTHEST_OFFSET = timedelta(hours=18)


def is_readable(kind: str, value: Any) -> bool:
    """Whether a field of type `kind` takes a value as JSON has it, no list and not null."""
    if kind == "flattened":
        return isinstance(value, dict)
    if kind == "geo_point":
        return isinstance(value, dict) and _is_point(value)
    if isinstance(value, dict):
        return False
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false", "")
    if kind in RANGES:
        return _is_number(value, *RANGES[kind])
    if kind == "date":
        return _is_date(value) if isinstance(value, str) else _is_moment(value)
    if kind == "ip":
        return isinstance(value, str) and _is_address(value)
    return True


def _is_number(value: Any, least: Decimal, most: Decimal) -> bool:
    if isinstance(value, str):
        if value and not _NUMBER.fullmatch(value):
            return False
        value = value or 0
    return not isinstance(value, bool) and least <= Decimal(value) <= most


def _is_moment(value: float | bool) -> bool:
    """Whether a number stands for milliseconds since 1970; those that JSON has with an exponent don't."""
    if type(value) is int:
        return abs(value) < 2**63
    return bool(_MILLIS.fullmatch(repr(value)))


def _is_date(text: str) -> bool:
    if _MILLIS.fullmatch(text):
        return True
    if not _DATE.fullmatch(text):
        return False
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except ValueError:
        return False
    return offset is None or abs(offset) <= _FURTHEST_OFFSET


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_point(value: dict[str, Any]) -> bool:
    within = (("lat", Decimal(90)), ("lon", Decimal(180)))
    return value.keys() == {"lat", "lon"} and all(
        isinstance(value[name], int | float) and _is_number(value[name], -most, most) for name, most in within
    )
