"""The contenders of both sink benchmarks: ours, the client's helpers, and what others made for DataFrames."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness import Contender, UnavailableError, module, own_environment
from benchmarks.sink.documents import DOCUMENTS, ROWS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.reconcile import stream_name

OURS = "wiz_dagster, frames"
WRITER = "wiz_dagster, documents"
"""The bulk writer alone, given what the helpers are given; the one above makes documents and ids, lists and checks."""
COMPRESSED = "streaming_bulk, gzip"
"""The one whose CPU time the writer's is held against."""
THREADS = (4, 8)
FOR_FRAMES = {
    "eland": ("eland==9.2.0", "elasticsearch>=9,<10"),
    "dagster-elasticsearch": ("dagster-elasticsearch==0.0.2", "dagster-shared", "pandas>=2.2,<4"),
}
"""What else a DataFrame can be given to, and what its environment holds."""


def ours(url: str, folder: Path, dataset: Dataset, namespace: str, count: int) -> list[Contender]:
    """This project's, as a whole and the writer alone; that one writes to the stream of another namespace."""
    where = ("--url", url, "--folder", str(folder), "--count", str(count))
    whole = module("sink.ours", *where, "--dataset", dataset.name, "--namespace", namespace)
    writer = module("sink.writer", *where, "--index", stream_name(dataset, f"{namespace}writer"))
    return [Contender(OURS, whole), Contender(WRITER, writer)]


def helpers(url: str, folder: Path, index: str, count: int) -> list[Contender]:
    """The client's helpers, each with and without compression; each writes to `index` and its own name behind it."""
    found = []
    for compressed in (False, True):
        for threads in (None, *THREADS):
            name = f"parallel_bulk {threads} threads" if threads else "streaming_bulk"
            extra = [*(["--threads", str(threads)] if threads else []), *(["--gzip"] if compressed else [])]
            own = f"{index}{threads or 1}{'gzip' if compressed else ''}"
            where = ("--url", url, "--documents", str(folder / DOCUMENTS), "--index", own, "--count", str(count))
            found.append(Contender(name + ", gzip" * compressed, module("sink.helpers", *where, *extra)))
    return found


def for_frames(url: str, folder: Path, index: str, count: int) -> tuple[list[Contender], dict[str, str]]:
    """What takes a DataFrame, and why some of it can't be had."""
    found, failed = [], {}
    for name, requirements in FOR_FRAMES.items():
        try:
            python = own_environment(name, *requirements)
        except UnavailableError as error:
            failed[name] = str(error)
            continue
        where = ("--url", url, "--rows", str(folder / ROWS), "--index", f"{index}{name}", "--count", str(count))
        found.append(Contender(name, module("sink.frames", "--by", name, *where, python=python)))
    return found, failed
