"""What a dataset is: the record that the rest of the program reads, whichever dataset it handles.

The datasets themselves are one module each beside this one; `DATASETS` in the package lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from wiz_dagster.ecs.columns import Node
from wiz_dagster.ecs.fields import Field, read_fields
from wiz_dagster.ecs.frames import Transform

__all__ = ["FINDING_STATUSES", "Dataset", "Node", "Walk"]


@dataclass(frozen=True)
class Walk:
    """One walk through Wiz's pages.

    `filter_field` is the date filter inside `filterBy` that holds the window; None: no window, everything is walked.
    """

    filter_field: str | None


@dataclass(frozen=True)
class Dataset:
    """One kind of Wiz data.

    Attributes:
        name: as users write it.
        stream: its name in Elasticsearch, after `wiz.`: that of the data stream and of its own fields.
        root: the query's root field.
        scope: the Wiz permission that a service account needs.
        description: for people, in the UI.
        walks: how a window is asked for; the nodes of all walks together are the window's.
        window_fields: node keys giving the time that a node is cut by; the first that isn't null counts.
        version_field: node key that grows with each change; None: a node never changes.
        reach_days: how far back Wiz keeps the data; None: no known limit.
        filters: setting name -> dotted path inside `filterBy` that takes a list of values.
        default_tags: `tags` of a document when none are set.
        transform: pure function of nodes and options to ECS columns.
        always: what is inside `filterBy` whatever is asked for.
        statuses: asked for unless the settings choose others; empty: Wiz returns all by itself.
        snapshot: a fetch brings all that there is at its moment, and replaces the fetch before it.
        query_file: where the query stands if another dataset asks the same; empty: `<name>.graphql`.
        split: the nodes of a body that Wiz sends by itself; None: Wiz is asked, and root, scope and walks say how.
    """

    name: str
    stream: str
    root: str
    scope: str
    description: str
    walks: tuple[Walk, ...]
    window_fields: tuple[str, ...]
    version_field: str | None
    reach_days: int | None
    filters: Mapping[str, str]
    default_tags: tuple[str, ...]
    transform: Transform
    always: Mapping[str, Any] = field(default_factory=dict)
    statuses: tuple[str, ...] = ()
    snapshot: bool = False
    query_file: str = ""
    split: Callable[[Node], list[Node]] | None = None

    @property
    def pushed(self) -> bool:
        """Whether Wiz sends the data by itself, perhaps more than once; a node is then known by its content alone."""
        return self.split is not None

    def query(self) -> str:
        """The GraphQL query, literally as its file has it."""
        return _text(self.query_file or f"{self.name}.graphql")

    def selected_keys(self) -> frozenset[str]:
        """The top-level keys of a node that the query selects, whatever the node's type."""
        return frozenset() if self.pushed else _selected_keys(self.query())

    def fields(self) -> tuple[Field, ...]:
        """The fields of the documents."""
        return _fields(self.name)


FINDING_STATUSES = ("OPEN", "IN_PROGRESS", "REJECTED", "RESOLVED")
"""All statuses of findings: Wiz's `FindingCommonStatus`."""


@cache
def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _fields(name: str) -> tuple[Field, ...]:
    return read_fields(_text(f"{name}_fields.csv"))


@cache
def _selected_keys(query: str) -> frozenset[str]:
    """Read without a parser, which would take longer to load than a small transform takes."""
    keys: set[str] = set()
    depth = 0
    words = re.findall(r"\w+|[{}]", re.sub(r"\([^)]*\)|\.\.\.\s*on\s+\w+|#.*", "", query.partition(" nodes {")[2]))
    for word in words:
        depth += {"{": 1, "}": -1}.get(word, 0)
        if depth < 0:
            break
        if depth == 0 and word != "}":
            keys.add(word)
    return frozenset(keys)
