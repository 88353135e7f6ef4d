"""One landing in progress: its lines filtered against what the day holds already, its parts, its figures.

The zone decides when a landing counts (the manifest); here is what has to be written for it, and what has to be
written again when another landing of the same day was first.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson

from wiz_dagster.errors import TransientError, WizDagsterError
from wiz_dagster.landing.landed_day import read_indexes
from wiz_dagster.landing.manifest import FetchInfo, FetchRecord, PartRecord, part_files
from wiz_dagster.landing.node_index import (
    content_hash,
    content_key,
    is_among,
    no_contents,
    node_key,
    settled_contents,
    union,
)
from wiz_dagster.landing.parts import PartBuilder, delete_part, read_index, rewrite
from wiz_dagster.landing.store import Store

_PACKED_AT = 20_000

Nodes = Iterable[Sequence[Mapping[str, Any]]]


class FetchFigures(Protocol):
    """What a fetch counted, final once its nodes are exhausted."""

    pages: int
    requests: int
    bytes_received: int
    wiz_count: int | None
    warnings: list[str]
    null_nodes: int
    missing: int


@dataclass(frozen=True)
class LandReport:
    """A landing in figures: nodes = new + unchanged (stored before) + repeated (more than once in this fetch)."""

    nodes: int
    new: int
    unchanged: int
    repeated: int
    parts: int
    stored_bytes: int
    generation: int


class LandingRun:
    """The parts and figures of one fetch of a day, whose earlier parts, in fetch order, are `landed`."""

    def __init__(
        self,
        store: Store,
        folder: str,
        landed: tuple[PartRecord, ...],
        fetch: FetchInfo,
        version_field: str | None,
        *,
        by_content: bool,
    ) -> None:
        self.parts: tuple[PartRecord, ...] = ()
        self._store = store
        self._folder = folder
        self._fetch = fetch
        self._version_field = version_field
        self._by_content = by_content
        self._settled = settled_contents(read_indexes(store, folder, landed))
        self._seen: set[bytes] = set()
        self._seen_before = no_contents()
        self._nodes = self._unchanged = self._repeated = 0

    def write(self, nodes: Nodes) -> None:
        """Draw the nodes and put the lines that are new, part by part."""
        builder = PartBuilder()
        for batch in nodes:
            for line, entry in self._new_lines(batch):
                builder.add(line, entry)
                if builder.full:
                    self._put(builder)
                    builder = PartBuilder()
        if builder.nodes:
            self._put(builder)

    def merge_again(self, landed: tuple[PartRecord, ...]) -> None:
        """Another landing was first: drop the lines that it stored from the parts written here."""
        settled = settled_contents(read_indexes(self._store, self._folder, landed))
        parts = []
        for part in self.parts:
            repeated = is_among(read_index(self._store, self._folder, part)["content"], settled)
            self._unchanged += int(np.count_nonzero(repeated))
            kept = rewrite(self._store, self._folder, part, ~repeated) if repeated.any() else part
            parts += [kept] if kept else []
        self.parts = tuple(parts)

    def check_parts(self) -> None:
        """A run that was suspended for longer than the sweep waits may have lost its parts to another run."""
        if not part_files(self.parts) <= set(self._store.list(self._folder)):
            raise TransientError(f"Parts of this run were swept from {self._folder} before it ended: run it again.")

    def discard(self) -> None:
        """Delete the parts written so far, as far as the store lets; the rest is swept later."""
        with suppress(WizDagsterError):
            for part in self.parts:
                delete_part(self._store, self._folder, part)

    def record(self, landing_id: str, figures: FetchFigures) -> FetchRecord:
        """The fetch as the manifest keeps it."""
        return FetchRecord(
            **self._fetch.model_dump(),
            landing_id=landing_id,
            nodes=self._nodes,
            new_nodes=self._new,
            pages=figures.pages,
            requests=figures.requests,
            bytes_received=figures.bytes_received,
            wiz_count=figures.wiz_count,
            warnings=tuple(figures.warnings),
            null_nodes=figures.null_nodes,
            missing=figures.missing,
        )

    def report(self, generation: int) -> LandReport:
        """The landing in figures, once its manifest stands at `generation`."""
        return LandReport(
            nodes=self._nodes,
            new=self._new,
            unchanged=self._unchanged,
            repeated=self._repeated,
            parts=len(self.parts),
            stored_bytes=sum(part.size for part in self.parts),
            generation=generation,
        )

    @property
    def _new(self) -> int:
        return sum(part.nodes for part in self.parts)

    def _put(self, builder: PartBuilder) -> None:
        self.parts = (*self.parts, builder.put(self._store, self._folder, self._fetch))

    def _pack_seen(self) -> None:
        """Keep the set of this fetch's lines small: 16 bytes a line in an array instead of a hundred in the set."""
        if len(self._seen) >= _PACKED_AT:
            self._seen_before = union(self._seen_before, self._seen)
            self._seen = set()

    def _new_lines(self, batch: Sequence[Mapping[str, Any]]) -> Iterable[tuple[bytes, bytes]]:
        """Lines and index entries of the batch's nodes that aren't stored yet."""
        lines = [_line(node) for node in batch]
        contents = [content_hash(line) for line in lines]
        self._pack_seen()
        hashes = np.array(contents, dtype="S16")
        unchanged, repeated = is_among(hashes, self._settled), is_among(hashes, self._seen_before)
        self._nodes += len(lines)
        for node, line, content, was_landed, was_seen in zip(batch, lines, contents, unchanged, repeated, strict=True):
            if was_landed:
                self._unchanged += 1
            elif was_seen or content in self._seen:
                self._repeated += 1
            else:
                self._seen.add(content)
                key = content_key(content) if self._by_content else node_key(node, content, self._version_field)
                yield line, key + content


def _line(node: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(node)
    except orjson.JSONEncodeError:  # nested deeper than its 254 levels, or half a surrogate pair
        return json.dumps(node, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
