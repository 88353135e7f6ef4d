"""What the tests of the spool share: bodies in, bodies out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from wiz_dagster.defend.spool import records, segments
from wiz_dagster.defend.spool_writer import SpoolError, SpoolWriter


def store(spool: Path, *groups: Sequence[bytes], **options: float) -> None:
    """Each group at once, one group after the other, by one writer that is then closed."""

    async def write() -> None:
        writer = SpoolWriter(spool, **options)
        for group in groups:
            await append_all(writer, group)
        await writer.close()

    asyncio.run(write())


async def append_all(writer: SpoolWriter, bodies: Iterable[bytes]) -> None:
    await asyncio.gather(*(writer.append(body) for body in bodies))


async def refused(writer: SpoolWriter, body: bytes) -> str | None:
    """The message with which the body was refused; None if it was kept."""
    try:
        await writer.append(body)
    except SpoolError as error:
        return str(error)
    return None


def bodies_in(spool: Path) -> list[bytes]:
    return [record.body for segment in segments(spool) for record in records(segment)]


def files_in(spool: Path) -> list[str]:
    """The names of all files, those of writers at work included."""
    return sorted(path.name for path in spool.rglob("*") if path.is_file())


async def until_closed(spool: Path) -> None:
    """Until no writer has a file open."""
    while any(name.endswith((".open", ".new")) for name in files_in(spool)):
        await asyncio.sleep(0.01)
