"""Node bytes to ECS document bytes, each dataset, beside the floor: parsing the nodes and writing the documents alone.

    python -m benchmarks.transform --count 20000

Nodes are those of the emulator's tenant, as the dataset's query selects them, all different. The path is that of the
assets: a frame of a batch of lines, the documents of that frame. What is timed is the process's CPU time; a floor and a
transform of the same nodes follow each other batch by batch, with the garbage collector as the assets have it, so
that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd

from wiz_dagster.datasets import PULLED, dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.collector import rare_collections
from wiz_dagster.ecs.documents import frame_documents, iter_documents
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.stamping import Stamped, Stamper
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.sandbox.wiz.queries import read_query
from wiz_dagster.sandbox.wiz.roots import BY_DATASET
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros

NOW = datetime(2026, 5, 31, 12, tzinfo=UTC)
DAYS = 30
ROUNDS = 3
FLOOR_BATCH = 2_000
BATCH: int = inspect.signature(LandedDay.batches).parameters["size"].default
"""Nodes at once, as the assets read them from a landed day."""


class Measured(NamedTuple):
    """CPU microseconds a node of one round: the floor, the transform, and the transform with the stamping behind it."""

    floor: float
    transform: float
    stamped: float


def node_lines(dataset: Dataset, count: int) -> list[bytes]:
    """Generated nodes as Wiz would send them, a line each."""
    name = BY_DATASET[dataset.name].dataset
    tenant = Tenant(now=NOW, seed=7, days=DAYS, volumes={name: max(1, count // (DAYS - 5))})
    variables = {"first": 500, "after": None, "filterBy": {}, "withCount": False}
    selection = read_query(dataset.query()).select(variables)[0]
    nodes = tenant.source(dataset.name).nodes(np.arange(count, dtype=np.int64), micros(tenant.now))
    page = {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}
    return [orjson.dumps(node) for node in selection.connection(page)["nodes"] if node]


def measure(dataset: Dataset, lines: Sequence[bytes], batch: int) -> Measured:
    """One round over all lines, in pieces of the floor's size."""
    options = EcsOptions(tags=dataset.default_tags, fetched_at=NOW)
    stamper = Stamper(dataset, "default", "2026-05-31", "00000000-0000-4000-8000-000000000000")
    keys = pd.Index([number.to_bytes(24, "big") for number in range(batch)], dtype=object, name="node")

    def transform() -> list[bytes]:
        frames = (make_frame(dataset, one, options).frame for one in _pieces(piece, batch))
        return [document for frame in frames for document in frame_documents(frame)]

    def stamp() -> list[Stamped]:
        frames = (make_frame(dataset, one, options).frame for one in _pieces(piece, batch))
        return [stamped for frame in frames for stamped in stamper.stamp_frame(frame.set_index(keys[: len(frame)]))]

    seconds = [0.0, 0.0, 0.0]
    with rare_collections():
        for piece in _pieces(lines, FLOOR_BATCH):
            documents = list(iter_documents(make_frame(dataset, piece, options).frame))
            floor = partial(_floor, piece, documents)
            seconds = [total + _cpu(work) for total, work in zip(seconds, (floor, transform, stamp), strict=True)]
    return Measured(*(1e6 * total / len(lines) for total in seconds))


def _floor(lines: Sequence[bytes], documents: Sequence[dict[str, Any]]) -> object:
    return [orjson.loads(line) for line in lines], [orjson.dumps(document) for document in documents]


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of the work, what it made not yet thrown away."""
    started = time.process_time()
    made = work()
    seconds = time.process_time() - started
    del made
    return seconds


def _pieces(lines: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (lines[start : start + size] for start in range(0, len(lines), size))


def row(dataset: Dataset, lines: Sequence[bytes], rounds: Sequence[Measured]) -> str:
    """A line of the table: medians, the spread of the ratio, and the size of a node in kB."""
    floor, transform, stamped = (median(column) for column in zip(*rounds, strict=True))
    ratios = sorted(one.transform / one.floor for one in rounds)
    size = sum(map(len, lines)) / len(lines) / 1000
    figures = (f"{size:.1f}", f"{floor:.1f}", f"{transform:.1f}", f"{median(ratios):.2f}")
    return f"| {dataset.name} | {' | '.join(figures)} | {ratios[0]:.2f}-{ratios[-1]:.2f} | {stamped:.1f} |"


def main() -> None:
    """Print the table, a dataset a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="nodes of each dataset")
    parser.add_argument("--dataset", action="append", choices=[dataset.name for dataset in PULLED])
    parser.add_argument("--batch", type=int, default=BATCH, help="nodes at once; the assets' own number by default")
    given = parser.parse_args()
    print("| dataset | kB a node | floor µs | transform µs | ratio | spread | with stamping µs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for dataset in map(dataset_named, given.dataset or [one.name for one in PULLED]):
        lines = node_lines(dataset, given.count)
        rounds = [measure(dataset, lines, given.batch) for _ in range(ROUNDS)]
        print(row(dataset, lines, rounds), flush=True)


if __name__ == "__main__":
    main()
