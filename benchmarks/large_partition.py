"""One partition of many issues, each asset in a process of its own: documents a second, CPU, peak memory.

    python -m benchmarks.large_partition --count 500000

Pages come from `canned_wiz`, so that neither Wiz nor the emulator is what is measured, with the request budget raised;
documents go to a real node, started for this (or the one that ELASTICSEARCH_URL names). The last column is the ratio of
peak memory to that of a partition a tenth of the size, which shows whether memory grows with the day.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode

ASSETS = ("wiz/raw/issue", "wiz/issue")
KILOBYTES = 1024
"""In a megabyte; Linux tells peak memory in kilobytes."""


@dataclass(frozen=True)
class Measured:
    """One asset's run: wall and CPU seconds, peak resident memory in MB."""

    asset: str
    count: int
    wall: float
    cpu: float
    peak: float

    def row(self, smaller: Measured | None) -> str:
        """A line of the table; `smaller` is the same asset's run of a tenth of the size."""
        growth = f"{self.peak / smaller.peak:.2f}" if smaller else ""
        rate = self.count / self.wall
        cpu = self.cpu / self.count * 100_000
        figures = (f"{self.count:,}", f"{self.wall:.0f}", f"{rate:,.0f}", f"{cpu:.1f}", f"{self.peak:.0f}", growth)
        return f"| {self.asset} | {' | '.join(figures)} |"


@contextmanager
def canned(day: str, count: int) -> Iterator[str]:
    """The canned server's address, while it runs."""
    command = [sys.executable, "-m", "benchmarks.canned_wiz", "--day", day, "--count", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


@contextmanager
def elasticsearch() -> Iterator[str]:
    """A cluster's address: the one that ELASTICSEARCH_URL names, or a node of our own."""
    named = os.environ.get("ELASTICSEARCH_URL")
    if named:
        yield named
        return
    with ElasticsearchNode(quick_start=False, heap_mb=1024) as node:
        yield node.url


def run_asset(asset: str, day: str, count: int, environment: Mapping[str, str], log: Path) -> Measured:
    """Materialize one asset's partition in a process of its own; its output goes to `log`."""
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "wiz_dagster.definitions"]
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--select", f'key:"{asset}"', "--partition", day],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status:
        sys.exit(f"{asset} failed:\n{log.read_text()[-4000:]}")
    return Measured(asset, count, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / KILOBYTES)


def measure(count: int, day: str, elasticsearch_url: str) -> list[Measured]:
    """Both assets of a partition of `count` issues, into a landing zone and a namespace of their own."""
    with tempfile.TemporaryDirectory(prefix="wiz-bench-") as home, canned(day, count) as wiz:
        folder = Path(home)
        (folder / "dagster").mkdir()
        environment = {
            "DAGSTER_HOME": str(folder / "dagster"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "ELASTICSEARCH_URL": elasticsearch_url,
            "WIZ_API_URL": wiz,
            "WIZ_CLIENT_ID": "canned",
            "WIZ_CLIENT_SECRET": "canned",
            "WIZ_LANDING_URL": str(folder / "landing"),
            "WIZ_NAMESPACE": f"bench{count}",
            "WIZ_RATE_LIMIT_URL": str(folder / "budget"),
            "WIZ_REQUESTS_PER_SECOND": "1000",
            "WIZ_TOKEN_URL": f"{wiz}/oauth/token",
        }
        return [run_asset(asset, day, count, environment, folder / "log") for asset in ASSETS]


def main() -> None:
    """Print the table, the small partition first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500_000)
    count = parser.parse_args().count
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    print("| asset | issues | wall s | issues/s | CPU s per 100,000 | peak MB | peak / a tenth |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with elasticsearch() as url:
        small = measure(count // 10, day, url)
        for one in small:
            print(one.row(None), flush=True)
        for one, smaller in zip(measure(count, day, url), small, strict=True):
            print(one.row(smaller), flush=True)


if __name__ == "__main__":
    main()
