"""The webhook's spool: segments with a shared sync against one file an event, and what it takes to list many files.

    python -m benchmarks.spool --folder . --seconds 5 --files 100000

The folder has to be on the disk that is asked about: a memory file system syncs for nothing. One file an event is
written as durably: under a temporary name, synced, renamed, its folder synced, with a thread for each appender.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wiz_dagster.defend.spool import backlog, segments
from wiz_dagster.defend.spool_writer import SpoolWriter
from wiz_dagster.landing.local_store import sync_folder

APPENDERS = (1, 16, 64)
BODY = b'{"id": "' + b"x" * 4000 + b'"}\n'
ROUNDS = 3
LISTINGS = 5

Append = Callable[[bytes], Awaitable[object]]


async def events_a_second(append: Append, appenders: int, seconds: float) -> float:
    """How many bodies so many appenders get acknowledged, each sending its next one after that."""
    started = time.perf_counter()

    async def send() -> int:
        sent = 0
        while time.perf_counter() - started < seconds:
            await append(BODY)
            sent += 1
        return sent

    sent = sum(await asyncio.gather(*(send() for _ in range(appenders))))
    return sent / (time.perf_counter() - started)


async def with_segments(folder: Path, appenders: int, seconds: float) -> float:
    """Events a second into the spool."""
    writer = SpoolWriter(folder)
    rate = await events_a_second(writer.append, appenders, seconds)
    await writer.close()
    return rate


async def with_files(folder: Path, appenders: int, seconds: float) -> float:
    """Events a second into a file each."""
    numbers = itertools.count()

    def write(body: bytes) -> None:
        target = folder / f"{next(numbers):012}.json"
        temporary = target.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, body)
        os.fsync(descriptor)
        os.close(descriptor)
        temporary.rename(target)
        sync_folder(folder)

    with ThreadPoolExecutor(appenders) as pool:
        loop = asyncio.get_running_loop()
        return await events_a_second(lambda body: loop.run_in_executor(pool, write, body), appenders, seconds)


def compare(place: Path, seconds: float) -> None:
    """Print the rates of both ways in turns, the best of some rounds each."""
    print("| appenders | one file an event, events/s | segments, events/s | ratio |")
    print("| ---: | ---: | ---: | ---: |")
    for appenders in APPENDERS:
        best = {with_files: 0.0, with_segments: 0.0}
        for _, way in itertools.product(range(ROUNDS), best):
            with tempfile.TemporaryDirectory(prefix="wiz-bench-", dir=place) as folder:
                best[way] = max(best[way], asyncio.run(way(Path(folder), appenders, seconds)))
        files, shared = best[with_files], best[with_segments]
        print(f"| {appenders} | {files:,.0f} | {shared:,.0f} | {shared / files:.1f} |", flush=True)


def list_many(place: Path, count: int) -> None:
    """Print what it takes to list so many small segments, the best of some times each."""
    with tempfile.TemporaryDirectory(prefix="wiz-bench-", dir=place) as folder:
        day = Path(folder) / "2026-03-10"
        day.mkdir()
        for number in range(count):
            (day / f"20260310T{number:012}Z-{number:08x}.segment").touch()
        print(f"\n| {count:,} segments | seconds |\n| --- | ---: |")
        for look in (segments, backlog):
            took = []
            for _ in range(LISTINGS):
                started = time.perf_counter()
                look(Path(folder))
                took.append(time.perf_counter() - started)
            print(f"| {look.__name__} | {min(took):.2f} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--files", type=int, default=100_000)
    arguments = parser.parse_args()
    compare(arguments.folder, arguments.seconds)
    list_many(arguments.folder, arguments.files)


if __name__ == "__main__":
    main()
