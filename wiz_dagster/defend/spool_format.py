"""A record of the spool as bytes: a line of text that says what follows, the body as received, a line feed.

    spooled 2026-11-24T13:31:04.123456+00:00 commit=8192 bytes=11 crc32=5f3c1a90
    {"id": "d1"}

`commit` is where in the file the write began that the record was part of: what is whole behind a hole tells by it
whether the hole was acknowledged. The checksum covers line and body. Files and folders are in `spool.py` and
`open_segment.py`.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zlib import crc32

OPEN = ".open"
CLOSED = ".segment"

_HEADER = re.compile(rb"(spooled (\S{32}) commit=(\d{1,15}) bytes=(\d{1,15})) crc32=([0-9a-f]{8})\n")


class Framed(NamedTuple):
    """A whole record that was found at `start`; the next one is looked for at `end`."""

    received_at: datetime
    body: bytes
    commit: int
    start: int
    end: int


def framed(received_at: datetime, body: bytes, commit: int) -> bytes:
    """The record's bytes; `received_at` is in UTC."""
    moment = received_at.isoformat(timespec="microseconds")
    header = f"spooled {moment} commit={commit} bytes={len(body)}".encode()
    return b"%b crc32=%08x\n%b\n" % (header, crc32(body, crc32(header)), body)


def record_at(data: bytes, start: int) -> Framed | None:
    """The record that starts there; None if none does, or not a whole one."""
    found = _HEADER.match(data, start)
    if found is None:
        return None
    body_end = found.end() + int(found[4])
    body = data[found.end() : body_end]
    if data[body_end : body_end + 1] != b"\n" or crc32(body, crc32(found[1])) != int(found[5], 16):
        return None
    return Framed(datetime.fromisoformat(found[2].decode()), body, int(found[3]), start, body_end + 1)


def records_behind(data: bytes, hole: int) -> Iterator[Framed]:
    """The whole records behind a place where none is; one may lie in the body of another."""
    for found in _HEADER.finditer(data, hole + 1):
        record = record_at(data, found.start())
        if record is not None:
            yield record
