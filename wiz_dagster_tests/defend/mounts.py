"""A program for `test_spool_failures.py` that mounts, and so runs in a mount namespace of its own; prints what it saw.

unshare --map-root-user --mount python -m wiz_dagster_tests.defend.mounts full /tmp/place
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from wiz_dagster.defend.spool_writer import SpoolWriter
from wiz_dagster_tests.defend.spooling import bodies_in, files_in, refused


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


async def full(place: Path) -> dict[str, object]:
    """A file system of 256 kB that others fill too: full with a segment open, with room again, full from the start."""
    mount("-t", "tmpfs", "-o", "size=256k", "none", place)
    spool, filler = place / "spool", place / "filler"
    filler.write_bytes(b"x" * 100_000)
    kept: list[str] = []
    messages: list[str] = []
    writer = SpoolWriter(spool, segment_bytes=60_000)

    async def append(first: int, count: int) -> None:
        names = [f"{n:04}" * 900 for n in range(first, first + count)]
        answers = await asyncio.gather(*(refused(writer, name.encode()) for name in names))
        kept.extend(name[:4] for name, answer in zip(names, answers, strict=True) if answer is None)
        messages.extend(answer for answer in answers if answer is not None)

    for first in range(0, 120, 4):
        await append(first, 4)
    at_full = len(kept)
    filler.unlink()
    await append(1000, 4)
    await writer.close()
    read = [body.decode() for body in bodies_in(spool)]
    return {
        "spool": str(spool),
        "kept": kept,
        "kept_until_full": at_full,
        "messages": messages,
        "read": [body[:4] for body in read if body == body[:4] * 900],
        "others_read": [body[:4] for body in read if body != body[:4] * 900],
        "files": files_in(spool),
    }


async def full_from_the_start(place: Path) -> dict[str, object]:
    """The file system is full before the first event."""
    mount("-t", "tmpfs", "-o", "size=64k", "none", place)
    (place / "filler").write_bytes(b"x" * 65_536)
    writer = SpoolWriter(place / "spool")
    first = await refused(writer, b"a")
    files = files_in(place / "spool")
    (place / "filler").unlink()
    second = await refused(writer, b"b")
    await writer.close()
    return {"first": first, "files": files, "second": second, "read": [b.decode() for b in bodies_in(place / "spool")]}


async def lost(place: Path) -> dict[str, object]:
    """The spool's mount goes while a segment is open, and comes back."""
    disk, spool = place / "disk", place / "spool"
    disk.mkdir()
    spool.mkdir()
    mount("--bind", disk, spool)
    writer = SpoolWriter(spool, segment_seconds=60)
    first = await refused(writer, b"a")
    subprocess.run(["umount", "--lazy", spool], check=True)
    second = await refused(writer, b"b")
    below = files_in(spool)
    mount("--bind", disk, spool)
    third = await refused(writer, b"c")
    await writer.close()
    return {
        "first": first,
        "second": second,
        "below": below,
        "third": third,
        "read": [body.decode() for body in bodies_in(spool)],
    }


if __name__ == "__main__":
    scenario = {"full": full, "full_from_the_start": full_from_the_start, "lost": lost}[sys.argv[1]]
    print(json.dumps(asyncio.run(scenario(Path(sys.argv[2])))))
