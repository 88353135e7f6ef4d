"""Four datasets fetched at once, each in a process of its own, from a tenant that allows 3 requests a second.

    python -m benchmarks.rate_limit --seconds 120

The tenant is the emulator in its own process: a token bucket, and 300 ms before each answer. The processes are
materializations of `wiz/raw/<dataset>` that share the budget by its file, with pages so small that none is ready before
the end. Counts are the tenant's, from when all four ask on; the budget's rate is the tenant's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

from benchmarks.harness import server, table
from wiz_dagster.sandbox.wiz.roots import BY_DATASET
from wiz_dagster.sandbox.wiz.tokens import Client

DATASETS = ("audit", "issue", "vulnerability", "cloud_configuration_finding")
RATE = 3
PAGE = 10
"""Nodes a page."""
UNDER_WAY = 5
"""Requests of each dataset after which counting begins."""
LONGEST_START = 240
"""Seconds."""
HEAD = ("dataset", "requests", "share of the allowed", "answered 429", "share of the requests")

Counts = Counter[tuple[str, bool]]
"""Requests by dataset and whether the tenant refused them."""


def counts(url: str) -> Counts:
    """What the tenant has counted so far."""
    datasets = {BY_DATASET[name].field: name for name in DATASETS}
    found: Counts = Counter()
    with urlopen(f"{url}/control/requests") as answer:
        for row in json.load(answer):
            if row["root"] in datasets:
                found[datasets[row["root"]], row["code"] == "rate_limit"] += row["count"]
    return found


@contextmanager
def fetching(dataset: str, folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The dataset's raw asset while it is materialized; its output is in `<dataset>.log`."""
    home = folder / dataset
    home.mkdir()
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "wiz_dagster.definitions"]
    with (folder / f"{dataset}.log").open("wb") as output:
        process = subprocess.Popen(
            [*command, "--select", f'key:"wiz/raw/{dataset}"', "--partition", day],
            env={**os.environ, **environment, "DAGSTER_HOME": str(home)},
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def measure(seconds: float, burst: int) -> tuple[Counts, float]:
    """The requests of `seconds` in which all four ask, and how many seconds these were."""
    # Enough for one that gets all, and no more: the tenant counts them while others wait for it.
    count = int(PAGE * RATE * (seconds + LONGEST_START))
    limits = ("--rate", str(RATE), "--burst", str(burst), "--count", str(count))
    with ExitStack() as stack:
        url = stack.enter_context(server("limited_wiz", *limits))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wiz-bench-")))
        (folder / "wiz.yaml").write_text(json.dumps({"datasets": {name: {"page_size": PAGE} for name in DATASETS}}))
        environment = {
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "WIZ_API_URL": f"{url}/graphql",
            "WIZ_CLIENT_ID": Client().client_id,
            "WIZ_CLIENT_SECRET": Client().client_secret,
            "WIZ_CONFIG": str(folder / "wiz.yaml"),
            "WIZ_LANDING_URL": str(folder / "landing"),
            "WIZ_RATE_LIMIT_URL": str(folder / "budget"),
            "WIZ_REQUESTS_PER_SECOND": str(RATE),
            "WIZ_TOKEN_URL": f"{url}/oauth/token",
        }
        processes = {name: stack.enter_context(fetching(name, folder, environment)) for name in DATASETS}

        def check() -> None:
            for name, process in processes.items():
                if process.poll() is not None:
                    sys.exit(f"{name} ended:\n{(folder / f'{name}.log').read_text()[-4000:]}")

        latest = time.monotonic() + LONGEST_START
        while min((before := counts(url))[name, False] for name in DATASETS) < UNDER_WAY:
            check()
            if time.monotonic() > latest:
                sys.exit(f"Not all four ask after {LONGEST_START} s: {dict(before)}")
            time.sleep(0.2)
        before, begun = counts(url), time.monotonic()
        time.sleep(seconds)
        after, took = counts(url), time.monotonic() - begun
        check()
        return after - before, took


def row(name: str, served: int, refused: int, allowed: float) -> tuple[str, ...]:
    """A line of the table."""
    asked = served + refused
    return name, f"{asked:,}", f"{served / allowed:.1%}", f"{refused:,}", f"{refused / max(1, asked):.2%}"


def main() -> None:
    """Print the table; a share of the allowed is that of the requests that were served."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--burst", type=int, default=RATE, help="requests that the tenant lets through at once")
    options = parser.parse_args()
    found, took = measure(options.seconds, options.burst)
    allowed = RATE * took
    rows = [row(name, found[name, False], found[name, True], allowed) for name in DATASETS]
    refused = sum(found[name, True] for name in DATASETS)
    rows.append(row("all four", found.total() - refused, refused, allowed))
    print(f"{allowed:,.0f} requests allowed in {took:.0f} s\n")
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
