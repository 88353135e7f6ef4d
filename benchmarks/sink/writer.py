"""A contender: the bulk writer alone, given what the client's helpers are given, documents that have their ids."""

from __future__ import annotations

import argparse
from itertools import cycle, islice
from pathlib import Path

import orjson

from benchmarks.measuring import measured
from benchmarks.sink.documents import DOCUMENTS, read_lines
from wiz_dagster.ecs.collector import rare_collections
from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.bulk_batch import Rejection
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.settings import read_elasticsearch_settings


def refuse(rejection: Rejection) -> None:
    """No document is to be rejected."""
    raise ValueError(f"{rejection.kind} (HTTP {rejection.status})")


def main() -> None:
    """Write the folder's documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--url", "--folder", "--index"):
        parser.add_argument(name, required=True)
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    documents = [orjson.loads(line) for line in read_lines(Path(given.folder) / DOCUMENTS)]
    settings = read_elasticsearch_settings({"ELASTICSEARCH_URL": given.url})
    with (
        measured(given.count),
        connect(settings) as client,
        rare_collections(),
        BulkWriter(client, given.index, refuse) as writer,
    ):
        for number, document in enumerate(islice(cycle(documents), given.count)):
            writer.create(f"{number:022}", orjson.dumps(document))
    assert writer.counts.created == given.count, writer.counts


if __name__ == "__main__":
    main()
