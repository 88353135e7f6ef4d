"""What the sinks' contenders are given: generated nodes, and the documents and rows that are made of them.

All hold the same: ours takes frames, the stock helpers nested documents, what is made for DataFrames flat rows.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import pandas as pd

from benchmarks.transform import NOW, node_lines
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch.stamping import Stamper

DAY = "2026-05-31"
RUN = "00000000-0000-4000-8000-000000000000"
DISTINCT = 4_000
"""Nodes that are made; more documents are these again, with other ids."""
NODES, DOCUMENTS, ROWS = "nodes.ndjson", "documents.ndjson", "rows.ndjson"


def options_of(dataset: Dataset) -> EcsOptions:
    """How the benchmarks make documents."""
    return EcsOptions(tags=dataset.default_tags, fetched_at=NOW)


def write_input(dataset: Dataset, namespace: str, folder: Path) -> None:
    """The three files of a dataset, a line a document."""
    lines = node_lines(dataset, DISTINCT)
    frame = make_frame(dataset, lines, options_of(dataset)).frame
    frame.index = pd.Index([number.to_bytes(24, "big") for number in range(len(lines))], dtype=object, name="node")
    documents = [one.document for one in Stamper(dataset, namespace, DAY, RUN).stamp_frame(frame)]
    stamps = orjson.loads(documents[0])
    added = {
        **{f"data_stream.{name}": value for name, value in stamps["data_stream"].items()},
        **{f"labels.{name}": value for name, value in stamps["labels"].items()},
        **{f"event.{name}": stamps["event"][name] for name in ("dataset", "module", "ingested")},
    }
    rows = [orjson.dumps({**row, **added}) for row in frame.to_dict("records")]
    for name, texts in ((NODES, lines), (DOCUMENTS, documents), (ROWS, rows)):
        (folder / name).write_bytes(b"\n".join(texts) + b"\n")


def read_lines(path: Path) -> list[bytes]:
    """The lines of one of the files."""
    return path.read_bytes().splitlines()
