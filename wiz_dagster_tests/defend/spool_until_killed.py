"""A program for `test_spool_kill.py`: appends numbered bodies, several at a time, and prints each number it was kept.

python -m wiz_dagster_tests.defend.spool_until_killed /tmp/spool writer-1
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from wiz_dagster.defend.spool_writer import SpoolWriter

AT_A_TIME = 8


def body(name: str, number: int) -> bytes:
    """Of different lengths, some over several pages, some with line feeds."""
    return f"{name} {number}\n".encode() * (1 + number * 37 % 500)


async def append_for_ever(spool: Path, name: str) -> None:
    writer = SpoolWriter(spool, segment_seconds=0.01)
    numbers = count()

    async def append() -> None:
        for number in numbers:
            await writer.append(body(name, number))
            os.write(1, f"{number}\n".encode())

    await asyncio.gather(*(append() for _ in range(AT_A_TIME)))


if __name__ == "__main__":
    asyncio.run(append_for_ever(Path(sys.argv[1]), sys.argv[2]))
