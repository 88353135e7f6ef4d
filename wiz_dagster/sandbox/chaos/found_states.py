"""What is found of nodes at the end: in Elasticsearch by a scan of all backing indices, in the landing zone by reading.

Read without the pipeline's own code: with the client library's scan, and with nothing but JSON and zstd.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import zstandard
from elasticsearch import Elasticsearch, NotFoundError
from elasticsearch.helpers import scan

from wiz_dagster.sandbox.chaos.states import Compared, State

PAGE = 5_000
_NO_VERSION = -1


@dataclass
class Found:
    """States by day and Wiz id, one a document or node; `damaged` names what couldn't be read, with its nodes."""

    states: dict[str, dict[str, list[State]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    copies: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Further lines of the same node in the same words, by day and id."""
    damaged: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(states) for ids in self.states.values() for states in ids.values())


def in_stream(client: Elasticsearch, dataset: Compared, namespace: str) -> Found:
    """The documents of the dataset's data stream; none when there is no such stream."""
    found = Found()
    stream = f"logs-wiz.{dataset.stream}-{namespace}"
    for document in documents(client, stream, {"match_all": {}}, dataset.facts.values()):
        day = (document.get("labels") or {}).get("dagster_partition")
        found.states[str(day)][str((document.get("event") or {}).get("id"))].append(dataset.of_document(document))
    return found


def in_view(client: Elasticsearch, index: str, dataset: Compared, namespace: str) -> dict[str, list[State]]:
    """The states by Wiz id of what an index or alias shows of the namespace."""
    states: dict[str, list[State]] = defaultdict(list)
    query = {"term": {"data_stream.namespace": namespace}}
    for document in documents(client, index, query, dataset.facts.values()):
        states[str((document.get("event") or {}).get("id"))].append(dataset.of_document(document))
    return states


def documents(client: Elasticsearch, index: str, query: Mapping[str, Any], paths: Any) -> Iterator[dict[str, Any]]:
    """The named fields of each document that answers the query, after a refresh."""
    try:
        client.indices.refresh(index=index)
    except NotFoundError:
        return
    source = ["event.id", "labels.dagster_partition", *paths]
    for hit in scan(client, index=index, query={"query": query, "_source": source}, size=PAGE, scroll="5m"):
        yield hit["_source"]


def in_landing(root: Path, dataset: Compared) -> Found:
    """The newest landed version of each node of each day."""
    found = Found()
    for manifest in sorted(root.glob(f"{dataset.name}/*/manifest.json")):
        _read_day(found, manifest, dataset)
    return found


def _read_day(found: Found, manifest: Path, dataset: Compared) -> None:
    day = manifest.parent.name
    newest: dict[str, tuple[int, State]] = {}
    lines: set[bytes] = set()
    parts = orjson.loads(manifest.read_bytes())["parts"]
    for part in sorted(parts, key=lambda one: one["fetched_at"]):
        try:
            nodes = list(nodes_of_part(manifest.parent / part["name"]))
        except (OSError, zstandard.ZstdError, orjson.JSONDecodeError):
            nodes = []
        if len(nodes) != part["nodes"]:
            found.damaged[f"{dataset.name}/{day}/{part['name']}"] = part["nodes"]
        for line, node in nodes:
            state = dataset.of_node(node)
            version = _NO_VERSION if state[0] is None else int(state[0])
            if node["id"] not in newest or version >= newest[node["id"]][0]:
                newest[node["id"]] = (version, state)
            content = blake2b(line, digest_size=16).digest()
            found.copies[day, node["id"]] += content in lines
            lines.add(content)
    for node_id, (_, state) in newest.items():
        found.states[day][node_id].append(state)


def nodes_of_part(path: Path) -> Iterator[tuple[bytes, Any]]:
    """Each line of a landed part, and what it says. Raises OSError, zstd's and JSON's errors."""
    with path.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file)
        for line in io.BufferedReader(text):
            yield line, orjson.loads(line)
