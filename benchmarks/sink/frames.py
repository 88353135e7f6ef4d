"""Contenders that take a DataFrame: `eland.pandas_to_eland`, and the IO manager of `dagster-elasticsearch`.

They run in environments of their own, without this project. Both index by id into a plain index: neither can create
documents in a data stream.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measuring import measured


def read_frame(path: Path, count: int) -> pd.DataFrame:
    """The rows as a frame of objects, repeated until there are `count`; the index holds the ids."""
    rows = pd.DataFrame([json.loads(line) for line in path.read_bytes().splitlines()], dtype=object)
    frame = pd.concat([rows] * -(-count // len(rows)), ignore_index=True).head(count)
    frame = frame.where(frame.notna(), None)
    frame.index = pd.Index([f"{number:022}" for number in range(count)], name="_id")
    return frame


def by_eland(url: str, index: str, frame: pd.DataFrame) -> None:
    """Into an index that the template made; empty cells are left out."""
    import eland
    from elasticsearch import Elasticsearch

    with measured(len(frame)), Elasticsearch(url, request_timeout=120) as client:
        eland.pandas_to_eland(
            frame, client, index, es_if_exists="append", es_dropna=True, es_verify_mapping_compatibility=False
        )


def by_dagster(url: str, index: str, frame: pd.DataFrame) -> None:
    """By its IO manager, which takes ids from a column."""
    import dagster as dg
    from dagster_elasticsearch import ElasticsearchIOManager, HostsConfig

    frame = frame.reset_index()
    manager: Any = ElasticsearchIOManager(connection_config=HostsConfig(hosts=[url]), index=index)
    with measured(len(frame)):
        manager.handle_output(dg.build_output_context(), frame)


def main() -> None:
    """Write the folder's rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--url", "--rows", "--index"):
        parser.add_argument(name, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--by", choices=["eland", "dagster-elasticsearch"], required=True)
    given = parser.parse_args()
    frame = read_frame(Path(given.rows), given.count)
    write = by_eland if given.by == "eland" else by_dagster
    write(given.url, given.index, frame)


if __name__ == "__main__":
    main()
