"""A request's body: read with bounds of size and time, unpacked, and looked at just enough to know that it is JSON."""

from __future__ import annotations

import asyncio
import gc
import zlib

from starlette.requests import Request

from wiz_dagster.defend.refusals import (
    NOT_AN_OBJECT,
    NOT_GZIP,
    NOT_JSON,
    TOO_LARGE,
    TOO_SLOW,
    WRONG_ENCODING,
    Refused,
)
from wiz_dagster.lenient_json import read_json

_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The body without its content encoding, at most `limit` bytes before and after. Raises `Refused`.

    Raises `ClientDisconnect` when the client goes before all is there.
    """
    packed = _is_packed(request)
    # The parser has refused a Content-Length that is no number.
    if int(request.headers.get("content-length", "0")) > limit:
        raise Refused(TOO_LARGE)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise Refused(TOO_LARGE)
    except TimeoutError:
        raise Refused(TOO_SLOW, {"Connection": "close"}) from None
    return _unpacked(body, limit) if packed else bytes(body)


def count_objects(body: bytes) -> int:
    """How many JSON objects: one, or as many as the array has. Raises `Refused` where it is anything else."""
    # A body of a million lists takes eight times as long when they are searched for cycles while they are built.
    gc.disable()
    try:
        value = read_json(body)
    except ValueError:  # nested too deeply, too
        raise Refused(NOT_JSON) from None
    finally:
        gc.enable()
    if isinstance(value, dict):
        return 1
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return len(value)
    raise Refused(NOT_AN_OBJECT)


def _is_packed(request: Request) -> bool:
    encodings = [
        one.strip().lower() for value in request.headers.getlist("content-encoding") for one in value.split(",")
    ]
    applied = [one for one in encodings if one not in {"", "identity"}]
    if applied and applied not in (["gzip"], ["x-gzip"]):
        raise Refused(WRONG_ENCODING, {"Accept-Encoding": "gzip"})
    return bool(applied)


def _unpacked(data: bytearray, limit: int) -> bytes:
    """One gzip member, and nothing behind it: a bomb of very many members would cost the square of their number."""
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(data, limit + 1)
    except zlib.error:
        raise Refused(NOT_GZIP) from None
    if len(body) > limit:
        raise Refused(TOO_LARGE)
    if not unpacking.eof or unpacking.unused_data:
        raise Refused(NOT_GZIP)
    return body
