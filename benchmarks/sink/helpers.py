"""Contenders: the helpers that the Elasticsearch client comes with, as it comes, over documents that have their ids."""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk, streaming_bulk

from benchmarks.measuring import measured


def actions(documents: list[dict[str, Any]], count: int, index: str) -> Iterator[dict[str, Any]]:
    """A create action for each document."""
    for number, document in enumerate(islice(cycle(documents), count)):
        yield {"_op_type": "create", "_index": index, "_id": f"{number:022}", "_source": document}


def main() -> None:
    """Write the folder's documents, with `--threads` by parallel_bulk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--url", "--documents", "--index"):
        parser.add_argument(name, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--gzip", action="store_true")
    given = parser.parse_args()
    documents = [json.loads(line) for line in Path(given.documents).read_bytes().splitlines()]
    wanted = actions(documents, given.count, given.index)
    with measured(given.count), Elasticsearch(given.url, http_compress=given.gzip, request_timeout=120) as client:
        if given.threads:
            deque(parallel_bulk(client, wanted, thread_count=given.threads), maxlen=0)
        else:
            deque(streaming_bulk(client, wanted), maxlen=0)


if __name__ == "__main__":
    main()
