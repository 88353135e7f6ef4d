"""A landed day as a reader sees it: the manifest of one moment, and from its parts the newest version of each node.

Only the indexes are held in memory (40 bytes a captured line); the lines stream by, part after part. A reader keeps
seeing the day as it was when it opened it, whatever is landed meanwhile: parts never change and never go.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wiz_dagster.landing.manifest import Manifest, PartRecord
from wiz_dagster.landing.node_index import ENTRY, KEY_BYTES, Entries, no_entries, winners
from wiz_dagster.landing.parts import read_index, read_lines
from wiz_dagster.landing.store import Store

_PARALLEL_READS = 8


class LandedBatch(NamedTuple):
    """Lines as landed, the 24-byte key of each, and when the fetch that brought them started."""

    lines: list[bytes]
    keys: list[bytes]
    fetched_at: datetime


class LandedDay:
    """One dataset's day under one manifest."""

    def __init__(self, store: Store, folder: str, manifest: Manifest) -> None:
        self._store = store
        self._folder = folder
        self._parts = manifest.in_fetch_order()
        self.manifest = manifest

    @property
    def generation(self) -> int:
        """The manifest's generation."""
        return self.manifest.generation

    @property
    def parts(self) -> tuple[PartRecord, ...]:
        """The parts that count, the earliest fetched first."""
        return self._parts

    @property
    def captured(self) -> int:
        """Lines in all parts, superseded versions included."""
        return sum(part.nodes for part in self._parts)

    @property
    def nodes(self) -> int:
        """Nodes of the day, each Wiz id once."""
        return len(self._winners)

    @property
    def fetched_at(self) -> datetime:
        """When the latest fetch of the day started."""
        return max(fetch.fetched_at for fetch in self.manifest.fetches)

    @property
    def complete(self) -> bool:
        """Whether the latest fetch brought everything that Wiz announced: no node of it was null."""
        return max(self.manifest.fetches, key=lambda fetch: fetch.fetched_at).null_nodes == 0

    def with_superseded(self) -> "LandedDay":
        """The day and what only its superseded sweeps held, each node as in the last sweep that held it."""
        parts = (*self.manifest.superseded, *self.manifest.parts)
        return LandedDay(self._store, self._folder, self.manifest.model_copy(update={"parts": parts}))

    def batches(self, after_generation: int = 0, size: int = 500) -> Iterator[LandedBatch]:
        """The newest captured version of each node, once, in batches of at most `size` of one part.

        A batch of the default size stays in the processor's cache while documents are made of it: a quarter less CPU.
        With `after_generation`, only nodes whose newest version stands in a part of a later generation. Raises
        PermanentError naming the file when a part or index is damaged.
        """
        start = 0
        for part in self._parts:
            end = start + part.nodes
            low, high = np.searchsorted(self._winners, [start, end])
            if low < high and part.generation > after_generation:
                yield from self._batches_of(part, start, self._winners[low:high] - start, size)
            start = end

    def _batches_of(
        self, part: PartRecord, start: int, wanted: npt.NDArray[np.int64], size: int
    ) -> Iterator[LandedBatch]:
        entries = self.entries[start : start + part.nodes].tobytes()
        is_wanted = np.zeros(part.nodes, dtype=bool)
        is_wanted[wanted] = True
        batch = LandedBatch([], [], part.fetched_at)
        for number, line in enumerate(read_lines(self._store, self._folder, part)):
            if number < part.nodes and is_wanted[number]:
                place = number * ENTRY.itemsize
                batch.lines.append(line)
                batch.keys.append(entries[place : place + KEY_BYTES])
                if len(batch.lines) >= size:
                    yield batch
                    batch = LandedBatch([], [], part.fetched_at)
        if batch.lines:
            yield batch

    @cached_property
    def entries(self) -> Entries:
        """The index of every captured line, in fetch order."""
        return read_indexes(self._store, self._folder, self._parts)

    @cached_property
    def _winners(self) -> npt.NDArray[np.int64]:
        return winners(self.entries)


def read_indexes(store: Store, folder: str, parts: tuple[PartRecord, ...]) -> Entries:
    """The indexes of `parts`, one after the other; read several at a time, for stores that answer slowly."""
    if not parts:
        return no_entries()
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        found = list(pool.map(lambda part: read_index(store, folder, part), parts))
    # Named, since numpy would take the machine's own byte order for the versions.
    return np.concatenate(found, dtype=ENTRY)
