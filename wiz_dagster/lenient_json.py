"""Reading JSON that others wrote: fast where it is as it should be, patiently where the fast parser gives up."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import orjson


def read_json(text: bytes) -> Any:
    """What the text holds: half surrogate pairs become `?`, numbers beyond a double stay texts.

    Raises:
        ValueError: it isn't JSON, or not in UTF-8, or objects and lists lie too deep in each other.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        value = json.loads(text.decode(), parse_constant=_no_json, parse_float=_finite, parse_int=_whole)
        return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_json(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float | str:
    return float(text) if isfinite(float(text)) else text


def _whole(text: str) -> int | str:
    return int(text) if isfinite(float(text)) else text
