"""How long a tick of `defend_sensor` takes over a large spool, in a real instance with a history of runs.

    python -m benchmarks.sensor_tick --segments 100000 --days 3

Nothing is run: a tick only looks at names, sizes and times of the segments and at Dagster's records.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus

from wiz_dagster.defend.spool import segments
from wiz_dagster.defend.spool_writer import SpoolWriter
from wiz_dagster.definitions import build_definitions

RUNS = 200
"""Finished runs of the instance, as after some hours of events."""
TICKS = 5


async def one_segment(spool: Path) -> Path:
    """A segment that the receiver's writer made."""
    writer = SpoolWriter(spool)
    await writer.append(b'{"id": "d1"}')
    await writer.close()
    return segments(spool)[0].path


def fill(spool: Path, count: int, days: int) -> None:
    """So many segments over the last days, each a copy of a real one under a name of its own."""
    model = asyncio.run(one_segment(spool))
    for number in range(count):
        day = (datetime.now(UTC) - timedelta(days=number % days)).date().isoformat()
        folder = spool / day
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{model.stem}{number:06}{model.suffix}"
        (folder / name).write_bytes(model.read_bytes())
    model.unlink()


@contextmanager
def instance_with_runs(home: Path) -> Iterator[DagsterInstance]:
    """An instance on SQLite, as one machine has it, with finished runs."""
    home.mkdir()
    shutil.copy(Path(__file__).parents[1] / "deploy" / "dagster.yaml", home / "dagster.yaml")
    job = build_definitions({}).resolve_job_def("defend_job")
    today = datetime.now(UTC).date().isoformat()
    with DagsterInstance.from_config(str(home)) as instance:
        for _ in range(RUNS):
            instance.create_run_for_job(job, status=DagsterRunStatus.SUCCESS, tags={"dagster/partition": today})
        yield instance


def tick(instance: DagsterInstance, cursor: str | None) -> tuple[float, float, int, str | None]:
    """The seconds of a tick, by clock and of CPU, the runs that it asks for, the next cursor."""
    definitions = build_definitions(os.environ)
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=definitions.get_repository_def())
    sensor = definitions.resolve_sensor_def("defend_sensor")
    wall, cpu = time.perf_counter(), time.process_time()
    found = sensor.evaluate_tick(context)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, len(found.run_requests or []), found.cursor


def main() -> None:
    """Print a table: a line a tick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder) / "spool"
        fill(spool, chosen.segments, chosen.days)
        start = (datetime.now(UTC) - timedelta(days=chosen.days)).date().isoformat()
        os.environ |= {"WIZ_DEFEND_SPOOL": str(spool), "WIZ_START_DATE": start}
        print(f"{chosen.segments:,} segments over {chosen.days} days, {RUNS} finished runs")
        print("\n| tick | wall s | CPU s | runs asked for |\n| ---: | ---: | ---: | ---: |")
        with instance_with_runs(Path(folder) / "dagster") as instance:
            cursor = None
            for number in range(TICKS):
                wall, cpu, runs, cursor = tick(instance, cursor)
                print(f"| {number + 1} | {wall:.2f} | {cpu:.2f} | {runs} |")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"\nPeak memory {peak:.0f} MB, cursor {len(cursor or '')} bytes.")


if __name__ == "__main__":
    main()
