"""Single values: times, texts of odd values, URL parts.

Everything here is total: any value that JSON can hold gives a result, never an exception. Columns of values are
`columns.py`'s matter, whole documents `documents.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import orjson

MAX_DEPTH = 12
"""Levels of objects and lists kept below one field; deeper ones become JSON text (Elasticsearch allows 20 in all)."""

URL_PARTS = (
    "original",
    "scheme",
    "domain",
    "port",
    "path",
    "query",
    "fragment",
    "extension",
    "username",
    "password",
    "user_info",
)
"""Names below ECS `url.` (`user_info` is what Elasticsearch's URI parser adds)."""

TOO_DEEP = "(nested too deep to be written as JSON)"

LARGEST = 3.4028234e38
"""The largest number that a field of type `float` takes."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_PORT = re.compile(r"(.*?)(?::(\d{0,5}))?", re.DOTALL)


def timestamp(value: Any) -> str | None:
    """The moment as `YYYY-MM-DDTHH:MM:SS.mmmZ` (cut to milliseconds), or None for anything but an ISO 8601 text.

    A date alone is its midnight, a time without an offset is UTC. Unlike `parse_time` of `wiz/windows.py`, which reads
    times to compare them, this keeps the text where it is Wiz's own form: several times faster.
    """
    if type(value) is not str:
        return None
    try:
        if value[4:20:3] == "--T::." and 23 < len(value) < 28 and value[-1] == "Z":  # Wiz's usual form
            datetime.fromisoformat(value)
            return f"{value[:23]}Z"
        if value[4:17:3] == "--T::" and value[-1:] == "Z":
            fraction = value[20:-1]
            if (value[19:20] == "." and fraction.isdecimal() and fraction.isascii()) or len(value) == 20:
                datetime.fromisoformat(value[:19])
                return f"{value[:19]}.{fraction[:3]:0<3}Z"
        return _any_timestamp(value)
    except (ValueError, OverflowError):
        return None


def _any_timestamp(text: str) -> str | None:
    if not _TIME.fullmatch(text):
        return None
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo not in (None, UTC):
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def number(value: Any) -> Any:
    """The number, that of a text, or a list of such; None for what a field of type `float` would refuse."""
    if type(value) is list:
        numbers = [None if type(item) is list else number(item) for item in value]
        return None if None in numbers else numbers
    if type(value) is str:
        value = float(value) if _NUMBER.fullmatch(value) else None
    return value if type(value) in (float, int) and -LARGEST <= value <= LARGEST else None


def boolean(value: Any) -> bool | None:
    """True or false, also by their names in a text; None for anything else."""
    if type(value) is str:
        return _BOOLEANS.get(value.lower())
    return value if type(value) is bool else None


def is_ip(value: Any) -> bool:
    """Whether Elasticsearch takes the value into a field of type `ip` (it knows no zone ids)."""
    return type(value) is str and _is_address(value)


@lru_cache(maxsize=1 << 16)
def _is_address(text: str) -> bool:
    """Remembered, since the same addresses come again and again."""
    if "%" in text:
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def as_text(value: Any) -> str:
    """JSON text of any value, the text itself for a text."""
    if type(value) is str:
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # deeper than 254 levels
        return TOO_DEEP


def related_text(value: Any) -> str:
    """The text that stands in `related.*`: lists as Elastic's pipelines write them (`{0=a, 1=b}`)."""
    if type(value) is list:
        return "{" + ", ".join(f"{number}={as_text(item)}" for number, item in enumerate(value)) + "}"
    return as_text(value)


def texts(values: Iterable[Any]) -> list[str | None]:
    """Each value as text, None where it says nothing."""
    return [value if type(value) is str and value else None if is_empty(value) else as_text(value) for value in values]


def distinct_texts(values: Iterable[Any]) -> list[str] | None:
    """The values that say something, as texts, each once, in order; None when there is none."""
    known = [value for value in values if value is not None]
    if {str}.issuperset(map(type, known)) and "" not in known:
        return list(dict.fromkeys(known)) or None
    return list(dict.fromkeys([related_text(value) for value in known if not is_empty(value)])) or None


def distinct(values: Sequence[Any]) -> list[Any] | None:
    """The texts, numbers and booleans that say something, those of lists too, each once; None when there is none."""
    if values.count(None) == len(values):
        return None
    kept: dict[Any, None] = {}
    for value in values:
        for item in value if type(value) is list else (value,):
            if type(item) is not dict and type(item) is not list and not is_empty(item):
                kept[item] = None
    return list(kept) or None


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: None, an empty text, list or object. 0 and False say something."""
    return not value and (value is None or value != 0)


def url_parts(url: str) -> dict[str, Any]:
    """The parts of a URL by their names below ECS `url.*` (RFC 3986, appendix B; nothing is decoded).

    Of an opaque one (`mailto:…`) only the scheme is a part.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return {"original": url}
    scheme, authority, path, query, fragment = match.groups()
    if scheme and authority is None and not path.startswith("/"):
        return {"original": url, "scheme": scheme, "fragment": fragment}
    parts: dict[str, Any] = {"original": url, "scheme": scheme, "path": path, "query": query, "fragment": fragment}
    if "." in path.rpartition("/")[2]:
        parts["extension"] = path.rpartition(".")[2]
    if authority:
        _add_authority(parts, authority)
    return parts


def _add_authority(parts: dict[str, Any], authority: str) -> None:
    user_info, at, host = authority.rpartition("@")
    if at:
        parts["user_info"] = user_info
        if ":" in user_info:
            parts["username"], _, parts["password"] = user_info.partition(":")
    match = _PORT.fullmatch(host)
    if match is None:
        return
    parts["domain"] = match[1]
    if match[2]:
        parts["port"] = int(match[2])
