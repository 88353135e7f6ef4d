"""The root fields that the emulator answers, one record each: what generates it, which filters it has, its order.

A new dataset is a module that generates it and a record here (and its types in `schema.graphql`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wiz_dagster.sandbox.wiz.audit_nodes import AuditSource
from wiz_dagster.sandbox.wiz.issue_nodes import IssueSource
from wiz_dagster.sandbox.wiz.source import Source


@dataclass(frozen=True)
class Root:
    """One root field of the GraphQL API."""

    dataset: str
    field: str
    scope: str
    generate: Callable[[int, int, int], Source]
    """From a stream key, the first midnight in microseconds, and the nodes a day."""
    times: tuple[str, ...]
    """Filters of the `{after, before}` kind; each has its own name as a node's key."""
    categories: Mapping[str, tuple[str, str]]
    """Filter's name to the category's name and the dotted path of its value in a node."""
    version_order: str | None
    """Filtering by this time orders by it, ascending."""
    orders: Mapping[str, str]
    """`orderBy.field` to a time's name."""
    day_fields: tuple[str, ...]
    """Node keys that say which day a node belongs to: the first that isn't null."""


ROOTS: tuple[Root, ...] = (
    Root(
        dataset="audit",
        field="auditLogEntries",
        scope="admin:audit",
        generate=AuditSource,
        times=("timestamp",),
        categories={
            "status": ("status", "status"),
            "actionV2": ("action", "action"),
            "actionType": ("actionType", "actionType"),
            "user": ("user", "user.id"),
            "serviceAccount": ("serviceAccount", "serviceAccount.id"),
        },
        version_order=None,
        orders={},
        day_fields=("timestamp",),
    ),
    Root(
        dataset="issue",
        field="issuesV2",
        scope="read:issues",
        generate=IssueSource,
        times=("statusChangedAt", "createdAt", "resolvedAt"),
        categories={
            "status": ("status", "status"),
            "severity": ("severity", "severity"),
            "type": ("type", "type"),
            "project": ("project", "projects.id"),
        },
        version_order="statusChangedAt",
        orders={"CREATED_AT": "createdAt", "STATUS_CHANGED_AT": "statusChangedAt", "RESOLVED_AT": "resolvedAt"},
        day_fields=("statusChangedAt", "createdAt"),
    ),
)

BY_FIELD: Mapping[str, Root] = {root.field: root for root in ROOTS}
BY_DATASET: Mapping[str, Root] = {root.dataset: root for root in ROOTS}
GIVEN_COLUMNS: Mapping[str, Mapping[str, Any]] = {root.dataset: dict(root.categories.values()) for root in ROOTS}
"""Per dataset: category's name to the path of its value, for nodes that were handed in."""
