"""What is known about fields: the vendored ECS release and a dataset's own field table.

`ecs-9.4.0.json` holds facts of Elastic's npm package `@elastic/ecs` (Apache-2.0); `scripts/renew_ecs_fields.py`
regenerates it. A dataset's table is a CSV beside its module; where its type column is empty, the type is ECS's.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson

ECS_VERSION = "9.4.0"


@dataclass(frozen=True)
class EcsField:
    """One field of ECS: Elasticsearch type, whether it is always a list, its allowed values (empty: any)."""

    name: str
    type: str
    array: bool = False
    allowed: tuple[str, ...] = ()
    searchable: bool = True


@dataclass(frozen=True)
class Field:
    """One field of a dataset's documents.

    `source` is the Wiz key or keys that it comes from, `extra` whether Elastic's integration lacks it.
    """

    name: str
    type: str
    description: str
    source: str
    extra: bool = False

    @property
    def is_ecs(self) -> bool:
        """Whether the name is ECS's."""
        return self.name in ecs_fields()


@cache
def ecs_fields() -> dict[str, EcsField]:
    """The fields of the vendored ECS release by name."""
    text = resources.files(__package__).joinpath(f"ecs-{ECS_VERSION}.json").read_bytes()
    facts: dict[str, dict[str, Any]] = orjson.loads(text)["fields"]
    return {
        name: EcsField(
            name=name,
            type=fact["type"],
            array=fact.get("array", False),
            allowed=tuple(fact.get("allowed", ())),
            searchable=fact.get("searchable", True),
        )
        for name, fact in facts.items()
    }


def read_fields(table: str) -> tuple[Field, ...]:
    """The rows of a dataset's field table (CSV text: name, type, description, source, extra), ECS types filled in.

    Raises:
        KeyError: a row without a type has a name that ECS doesn't know.
    """
    rows = csv.DictReader(io.StringIO(table))
    return tuple(
        Field(
            name=row["name"],
            type=row["type"] or ecs_fields()[row["name"]].type,
            description=row["description"],
            source=row["source"],
            extra=row["extra"] == "yes",
        )
        for row in rows
    )
