"""The receiver under load: accepted events a second with every one on disk, latency, memory; beside a bare application.

    python -m benchmarks.receiver --folder . --seconds 10

The load is made by wrk (https://github.com/wg/wrk, a Debian package) with `post.lua`: each connection posts a body of
some 4 kB, waits for the answer, and posts the next. The bare application (`bare_application.py`) runs under uvicorn as
it comes, reads the body and stores nothing. Each pair of figures is taken one after the other, some rounds long; the
table has the middle round. The folder has to be on a disk that syncs: a memory file system doesn't.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psutil

from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.tenant import Tenant

CONNECTIONS = (1, 16, 64)
COLUMNS = (
    "connections",
    *("events/s", "p50 ms", "p99 ms", "RSS MB", "CPU µs"),
    *("bare/s", "p50 ms", "p99 ms", "CPU µs"),
    "ratio of the rates",
)
BODY_BYTES = 4_000
TOKEN = "benchmark"
RULE = AutomationRule(id="0d9b5c1e-4f3a-4a61-9c8e-7b2f6a1d3c58", name="Detections")
RECEIVER = ("-c", "from wiz_dagster.cli import main; main()", "receiver")
BARE = (
    "-m",
    "uvicorn",
    "benchmarks.bare_application:application",
    "--no-access-log",
    "--log-level",
    "warning",
    "--port",
)


@dataclass(frozen=True)
class Load:
    """What wrk and the process told: latencies in ms, memory in MB, microseconds of CPU for a request."""

    a_second: float
    p50: float
    p99: float
    memory: float
    cpu: float


def body() -> bytes:
    """Of the generated tenant's detections, the one that is nearest to the usual size."""
    now = datetime(2026, 3, 14, tzinfo=UTC)
    sent = bodies(Tenant(now=now, seed=4, days=2), now - timedelta(days=1), now, RULE)
    return min((orjson.dumps(one) for one in sent), key=lambda one: abs(len(one) - BODY_BYTES))


@contextmanager
def serving(command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """The program, once it answers."""
    with subprocess.Popen([sys.executable, *command], env={**os.environ, **environment}) as process:
        try:
            while process.poll() is None and not _answers(port):
                time.sleep(0.05)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def load(port: int, connections: int, seconds: int, body_file: Path, process: psutil.Process) -> Load:
    """One run of wrk; anything but accepted events ends the benchmark."""
    script = Path(__file__).with_name("post.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/"]
    own = {"BODY_FILE": str(body_file), "HEADER": f"Authorization: Bearer {TOKEN}"}
    before = _cpu_seconds(process)
    output = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=True).stdout
    requests, duration, p50, p99, wrong = map(int, output.split("RESULT")[1].split())
    if wrong:
        sys.exit(f"{wrong} of {requests} requests failed")
    cpu = (_cpu_seconds(process) - before) / requests * 1e6
    return Load(requests / duration * 1e6, p50 / 1e3, p99 / 1e3, process.memory_info().rss / 1e6, cpu)


def compare(connections: int, seconds: int, body_file: Path, spool: Path) -> tuple[Load, Load]:
    """The receiver, then the bare application."""
    port = _free_port()
    receiver = {
        "WIZ_DEFEND_AUTH": "token",
        "WIZ_DEFEND_TOKEN": TOKEN,
        "WIZ_DEFEND_PORT": str(port),
        "WIZ_DEFEND_SPOOL": str(spool),
    }
    try:
        with serving(RECEIVER, port, receiver) as process:
            kept = load(port, connections, seconds, body_file, process)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    with serving((*BARE, str(port)), port, {}) as process:
        return kept, load(port, connections, seconds, body_file, process)


def row(connections: int, pairs: Sequence[tuple[Load, Load]]) -> str:
    """The middle round by its ratio, and the ratios of all."""
    ordered = sorted(pairs, key=_ratio)
    kept, bare = ordered[len(ordered) // 2]
    figures = (
        str(connections),
        f"{kept.a_second:,.0f}",
        f"{kept.p50:.1f}",
        f"{kept.p99:.1f}",
        f"{kept.memory:.0f}",
        f"{kept.cpu:.0f}",
        f"{bare.a_second:,.0f}",
        f"{bare.p50:.1f}",
        f"{bare.p99:.1f}",
        f"{bare.cpu:.0f}",
        f"{_ratio((kept, bare)):.2f} ({_ratio(ordered[0]):.2f} to {_ratio(ordered[-1]):.2f})",
    )
    return f"| {' | '.join(figures)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk makes the load: install it, on Debian by apt-get install wrk.")
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + " ---: |" * len(COLUMNS))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        body_file = Path(folder) / "body.json"
        body_file.write_bytes(body())
        spool = Path(folder) / "spool"
        for connections in CONNECTIONS:
            rounds = [compare(connections, arguments.seconds, body_file, spool) for _ in range(arguments.rounds)]
            print(row(connections, rounds), flush=True)
        print(f"\nA body has {body_file.stat().st_size:,} bytes.")


def _ratio(pair: tuple[Load, Load]) -> float:
    return pair[0].a_second / pair[1].a_second


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except urllib.error.HTTPError:
        return True  # 405: it takes POST alone
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
