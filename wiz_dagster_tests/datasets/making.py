"""Making documents of nodes in the tests, each held against the field tables and ECS while it is made."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.documents import frame_documents, iter_documents
from wiz_dagster.ecs.fields import EcsField, ecs_fields
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.ecs.options import EcsOptions

FETCHED_AT = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
OPTIONS = EcsOptions(tags=("forwarded",), fetched_at=FETCHED_AT, preserve_duplicate_custom_fields=True)
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TEXTS = ("keyword", "wildcard", "text", "match_only_text", "constant_keyword")
FREE = {"notes", "projects", "service_tickets", "cloud_accounts", "riskProfile"}
"""Lists whose items keep keys that no field table knows."""


def documents(
    dataset: Dataset, nodes: list[dict[str, Any]], options: EcsOptions = OPTIONS
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The documents of the nodes, each checked, and the drift."""
    frame, drift = make_frame(dataset, [json.dumps(node).encode() for node in nodes], options)
    made = list(iter_documents(frame))
    assert [json.loads(text) for text in frame_documents(frame)] == made
    assert len(made) == len(nodes)
    for document in made:
        assert problems(dataset, document) == []
    return made, drift


def document(dataset: Dataset, node: dict[str, Any], options: EcsOptions = OPTIONS) -> dict[str, Any]:
    """The document of one node, checked."""
    return documents(dataset, [node], options)[0][0]


def problems(dataset: Dataset, document: dict[str, Any]) -> list[str]:
    """What is wrong with a document: unknown fields, values that don't fit their type, empty values."""
    types = {field.name: field.type for field in dataset.fields()}
    return list(_problems(types, document, ""))


def _problems(types: dict[str, str], value: dict[str, Any], prefix: str) -> Any:
    for key, item in value.items():
        path = f"{prefix}{key}"
        if item is None or item == "" or item == [] or item == {}:
            yield f"{path} is empty"
        elif types.get(path) in ("flattened", "geo_point"):
            continue
        elif types.get(path, "nested") in ("nested", "object") and holds_objects(item):
            for each in item if isinstance(item, list) else [item]:
                yield from _problems(types, each, f"{path}.")
        elif path in types:
            yield from _misfits(path, types[path], item)
        elif FREE.isdisjoint(path.split(".")):
            yield f"{path} is no known field"


def holds_objects(value: Any) -> bool:
    """Whether it is an object or a list of objects."""
    return isinstance(value, dict) or (isinstance(value, list) and all(isinstance(item, dict) for item in value))


def _misfits(path: str, kind: str, value: Any) -> Any:
    field = ecs_fields().get(path, EcsField(path, kind))
    if field.array and not isinstance(value, list):
        yield f"{path} is no list"
    for item in _flat(value):
        if not fits(kind, item):
            yield f"{path} is no {kind}: {item!r}"
        elif field.allowed and item not in field.allowed:
            yield f"{path} may not be {item!r}"


def _flat(value: Any) -> Any:
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from _flat(item)


def fits(kind: str, value: Any) -> bool:
    """Whether Elasticsearch takes a single value into a field of that type."""
    if kind in TEXTS:
        return isinstance(value, str | int | float | bool)
    if kind == "date":
        return isinstance(value, str) and bool(DATE.fullmatch(value))
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "long":
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    if kind in ("double", "float"):
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3.41e38
    if kind == "ip":
        return isinstance(value, str) and bool(ip_address(value))
    raise AssertionError(f"the test knows no type {kind}")
