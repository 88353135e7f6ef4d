"""Raw nodes to ECS documents, NDJSON to NDJSON: what the command `transform` does, without Dagster or Elasticsearch.

The same code makes the documents as in the asset. Lines are handled in batches and come out in order. A line of what
Wiz sends by itself may hold a whole body, which gives a document for each of its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import BinaryIO, TextIO

from wiz_dagster.datasets import dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.collector import rare_collections
from wiz_dagster.ecs.columns import Node
from wiz_dagster.ecs.documents import frame_documents
from wiz_dagster.ecs.frames import frame_nodes
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.ecs.values import as_text
from wiz_dagster.lenient_json import read_json

BATCH = 250
"""Lines at once: such a batch stays in the processor's cache, which makes a third of the time."""
PRESERVE_ORIGINAL = "preserve_original_event"
PRESERVE_DUPLICATES = "preserve_duplicate_custom_fields"


def options_of_tags(dataset: Dataset, tags: tuple[str, ...] | None, fetched_at: datetime) -> EcsOptions:
    """The options that tags stand for: the two preserve tags are switches too; None means the default tags."""
    return EcsOptions(
        tags=dataset.default_tags if tags is None else tags,
        fetched_at=fetched_at,
        preserve_original_event=PRESERVE_ORIGINAL in (tags or ()),
        preserve_duplicate_custom_fields=PRESERVE_DUPLICATES in (tags or ()),
    )


def transform_lines(
    dataset_name: str, source: BinaryIO, target: BinaryIO, errors: TextIO, tags: tuple[str, ...] | None
) -> int:
    """Write the documents of each line that holds a JSON object; report the others on `errors` by number.

    Returns:
        The exit status: 0, or 1 when a line was reported.

    Raises:
        PermanentError: there is no such dataset.
    """
    dataset = dataset_named(dataset_name)
    options = options_of_tags(dataset, tags, datetime.now(UTC))
    status = 0
    numbered = enumerate(source, start=1)
    with rare_collections():
        while batch := list(islice(numbered, BATCH)):
            nodes, lines = _objects(batch, errors)
            status |= len(nodes) < len(batch)
            if dataset.split is not None:
                nodes, lines = _split(dataset.split, nodes, lines)
            frame, _ = frame_nodes(dataset, nodes, lines, options)
            target.writelines(_ended(frame_documents(frame)))
    target.flush()
    return status


def _objects(batch: list[tuple[int, bytes]], errors: TextIO) -> tuple[list[Node], list[bytes]]:
    """The objects in numbered lines with their texts; the other lines are reported."""
    nodes: list[Node] = []
    lines: list[bytes] = []
    for number, line in batch:
        try:
            node = read_json(line)
        except ValueError:
            errors.write(f"line {number}: not JSON\n")
            continue
        if isinstance(node, dict):
            nodes.append(node)
            lines.append(line.strip())
        else:
            errors.write(f"line {number}: not a JSON object\n")
    return nodes, lines


def _split(
    split: Callable[[Node], list[Node]], bodies: list[Node], lines: list[bytes]
) -> tuple[list[Node], list[bytes]]:
    """The nodes of bodies with their texts; a body that is a node keeps its own."""
    nodes = [
        (node, line if node is body else as_text(node).encode())
        for body, line in zip(bodies, lines, strict=True)
        for node in split(body)
    ]
    return [node for node, _ in nodes], [line for _, line in nodes]


def _ended(documents: Iterator[bytes]) -> Iterator[bytes]:
    for document in documents:
        yield document
        yield b"\n"
