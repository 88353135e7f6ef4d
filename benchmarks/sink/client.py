"""What it costs a client to bring documents to a server that accepts them at once, and to one that waits 300 ms.

    python -m benchmarks.sink.client

Documents of one dataset, in hand as frames (ours) or as objects (the others). The server answers bulk requests as a
real one does and keeps nothing. CPU time is that of the contender's process, memory what it took beyond its input.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.harness import Measured, in_rounds, server, spread, table
from benchmarks.sink.contenders import COMPRESSED, OURS, WRITER, for_frames, helpers, ours
from benchmarks.sink.documents import write_input
from wiz_dagster.datasets import PULLED, dataset_named
from wiz_dagster.datasets.base import Dataset

WAITS = (0.0, 0.3)
HEAD = ("to a server that waits {:.0f} ms", "documents/s", "CPU µs a document", "MB", "CPU / first", "rate / first")


def measure(dataset: Dataset, count: int, rounds: int, wait: float, folder: Path) -> None:
    """Print the table of one server."""
    with server("accepting_server", "--wait", str(wait)) as url:
        others, missing = for_frames(url, folder, "bench", count)
        contenders = [*ours(url, folder, dataset, "bench", count), *helpers(url, folder, "bench", count), *others]
        found, failed = in_rounds(contenders, rounds)
    head = [HEAD[0].format(1000 * wait), *HEAD[1:]]
    print(table(head, [row(name, runs, found) for name, runs in found.items()]))
    for name, why in {**missing, **failed}.items():
        print(f"\n{name} couldn't run: {why}")
    print(f"\n{verdict(found)}\n", flush=True)


def row(name: str, runs: Sequence[Measured], found: Mapping[str, Sequence[Measured]]) -> list[str]:
    """A contender's line."""
    figures = [spread([one.rate for one in runs]), spread([one.cpu_each for one in runs], ".1f")]
    cpu = median(one.cpu for one in runs) / median(one.cpu for one in found[OURS])
    rate = median(one.rate for one in runs) / median(one.rate for one in found[OURS])
    return [name, *figures, spread([one.peak for one in runs]), f"{cpu:.2f}", f"{rate:.2f}"]


def verdict(found: Mapping[str, Sequence[Measured]]) -> str:
    """The ratios that count."""
    rates = {name: median(one.rate for one in runs) for name, runs in found.items()}
    best = max(rate for name, rate in rates.items() if name not in (OURS, WRITER))
    cpu = {name: median(one.cpu for one in found[name]) for name in (COMPRESSED, OURS, WRITER)}
    return "\n".join(
        f"{name}: {COMPRESSED} takes {cpu[COMPRESSED] / cpu[name]:.1f} times the CPU time; "
        f"{rates[name] / best:.2f} times as fast as the best of the others."
        for name in (OURS, WRITER)
    )


def main() -> None:
    """Print a table for each server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dataset", choices=[dataset.name for dataset in PULLED], default="vulnerability")
    given = parser.parse_args()
    dataset = dataset_named(given.dataset)
    with tempfile.TemporaryDirectory(prefix="wiz-bench-") as name:
        write_input(dataset, "bench", Path(name))
        for wait in WAITS:
            measure(dataset, given.count, given.rounds, wait, Path(name))


if __name__ == "__main__":
    main()
