"""A contender: frames by `write_partition`, as the IO manager calls it, but for making the frames.

Stamping, the listings before and after, the receipt and the refresh belong to it. The landing zone is an empty folder.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd

from benchmarks.measuring import measured
from benchmarks.sink.documents import DAY, NODES, RUN, options_of, read_lines
from wiz_dagster.datasets import dataset_named
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.elasticsearch.partition import EcsPartition, FrameBatch
from wiz_dagster.elasticsearch.reconcile import Destination, write_partition
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone, day_folder
from wiz_dagster.settings import read_elasticsearch_settings

BATCH = 500
"""Rows of a frame, as the assets make them."""


class FramesInHand(EcsPartition):
    """A partition whose frames are there already, repeated under new keys until there are `count` rows."""

    made: tuple[FrameBatch, ...]
    count: int

    def frames(self, after_generation: int = 0) -> Iterator[FrameBatch]:
        """The frames; there is one generation."""
        assert not after_generation
        batches = -(-self.count // BATCH)
        for number, batch in enumerate(islice(cycle(self.made), batches)):
            first = number * BATCH
            rows = min(BATCH, self.count - first)
            frame = batch.frame if rows == BATCH else batch.frame.head(rows)
            keys = [key.to_bytes(24, "little") for key in range(first, first + rows)]
            frame.index = pd.Index(keys, dtype=object, name="node")
            yield FrameBatch(frame, batch.drift)


class NothingLanded(LandingZone):
    """A zone without a manifest."""

    def generation(self, dataset: str, day: str) -> int:  # noqa: ARG002
        """Always the same, as no other run lands anything."""
        return 1


def main() -> None:
    """Write the frames of the folder's nodes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--url", "--folder", "--dataset", "--namespace"):
        parser.add_argument(name, required=True)
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    dataset = dataset_named(given.dataset)
    options = options_of(dataset)
    lines = read_lines(Path(given.folder) / NODES)
    landed = cast(LandedDay, SimpleNamespace(generation=1, nodes=given.count))
    partition = FramesInHand(dataset, DAY, options, landed)
    partition.count = given.count
    partition.made = tuple(
        FrameBatch(*make_frame(dataset, lines[start : start + BATCH], options)) for start in range(0, len(lines), BATCH)
    )
    settings: Any = read_elasticsearch_settings({"ELASTICSEARCH_URL": given.url})
    with tempfile.TemporaryDirectory() as root, measured(given.count):
        (Path(root) / day_folder(dataset.name, DAY)).mkdir(parents=True)
        zone = NothingLanded(open_store(root), None)
        with connect(settings) as client:
            report = write_partition(partition, zone, Destination(client, given.namespace, RUN))
    assert report.created == given.count, report


if __name__ == "__main__":
    main()
