"""The mapping of a dataset's fields: every field explicit, in the type that ECS or the dataset's field table gives it.

A field that no table names is kept in the document (`_source`) and not indexed: drift neither blows up the mapping nor
loses data. Which index they go to is in `templates.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from wiz_dagster.ecs.fields import Field, ecs_fields

IGNORE_ABOVE = 8191
"""Characters. Lucene takes terms of 32,766 bytes, a character has up to four; longer texts are kept but not indexed."""
NEVER_IGNORED = 2**31 - 1
"""For types that take longer texts. Left out, it would be 8191 in logsdb mode, which a 9.x gives new log streams."""
FLATTENED_IGNORE_ABOVE = 4096
"""Less, since a flattened term holds the key as well. Longer texts are kept, and don't count as ignored."""
FLATTENED_DEPTH = 100
"""The default of 20 would reject documents whose open key-value sets are nested deeper."""

FALLBACKS: Mapping[str, Mapping[str, Any]] = {
    "constant_keyword": {"type": "keyword", "ignore_above": IGNORE_ABOVE},
    "wildcard": {"type": "text"},
    "version": {"type": "keyword", "ignore_above": IGNORE_ABOVE},
    "match_only_text": {"type": "text"},
    "scaled_float": {"type": "double"},
    "unsigned_long": {"type": "long"},
}
"""Types that some builds of Elasticsearch lack, and what takes their place there.

For wildcard it is no keyword, although only that can be grouped on: it would leave out the long ones.
"""

LINEAGE = (
    Field("labels.dagster_partition", "keyword", "the partition that the document belongs to", ""),
    Field("labels.dagster_run_id", "keyword", "the run that first wrote the document", ""),
)


def mapping(
    fields: Iterable[Field], constants: Mapping[str, str], lacking: Collection[str] = frozenset()
) -> dict[str, Any]:
    """The mapping of the fields, with the fallback for each type that the server lacks.

    `constants`: fields that hold the same value in every document of the index, and that value; an empty one is set by
    the first document.
    """
    properties: dict[str, Any] = {}
    for field in sorted({field.name: field for field in (*fields, *LINEAGE)}.values(), key=lambda field: field.name):
        definition = _definition(field, constants)
        if definition["type"] in lacking:
            definition = dict(FALLBACKS[definition["type"]])
        _place(properties, field.name.split("."), definition)
    return {"dynamic": False, "date_detection": False, "properties": properties}


def types(body: Mapping[str, Any]) -> set[str]:
    """All types in a mapping."""
    found = {str(body["type"])} if "type" in body else set()
    for inner in body.get("properties", {}).values():
        found |= types(inner)
    return found


def _definition(field: Field, constants: Mapping[str, str]) -> dict[str, Any]:
    if field.name in constants:
        value = constants[field.name]
        return {"type": "constant_keyword", "value": value} if value else {"type": "constant_keyword"}
    known = ecs_fields().get(field.name)
    if known and not known.searchable:
        return {"type": field.type, "index": False, "doc_values": False}
    return _bounded(field.type)


def _bounded(kind: str) -> dict[str, Any]:
    """A type with the limits that keep an overlong value from having its document rejected."""
    if kind == "keyword":
        return {"type": kind, "ignore_above": IGNORE_ABOVE}
    if kind == "wildcard":
        return {"type": kind, "ignore_above": NEVER_IGNORED}
    if kind == "flattened":
        return {"type": kind, "ignore_above": FLATTENED_IGNORE_ABOVE, "depth_limit": FLATTENED_DEPTH}
    return {"type": kind}


def _place(properties: dict[str, Any], path: list[str], definition: dict[str, Any]) -> None:
    """Put a definition at its path, below the objects or nested fields that its name goes through."""
    for name in path[:-1]:
        properties = properties.setdefault(name, {}).setdefault("properties", {})
    properties.setdefault(path[-1], {}).update(definition)
