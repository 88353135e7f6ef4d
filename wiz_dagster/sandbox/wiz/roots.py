"""The root fields that the emulator answers, one record each: what generates it, which filters it has, its order.

A new dataset is a module that generates it and a record here (and its types in `schema.graphql`).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wiz_dagster.sandbox.wiz.audit_nodes import AuditSource
from wiz_dagster.sandbox.wiz.configuration_nodes import ConfigurationSource
from wiz_dagster.sandbox.wiz.detection_nodes import DetectionSource
from wiz_dagster.sandbox.wiz.issue_nodes import IssueSource
from wiz_dagster.sandbox.wiz.source import GeneratedSource
from wiz_dagster.sandbox.wiz.vulnerability_nodes import VulnerabilitySource


@dataclasses.dataclass(frozen=True)
class Root:
    """One root field of the GraphQL API."""

    dataset: str
    """What its nodes are generated for; `also` are the other datasets that read them."""
    field: str
    scope: str
    generate: Callable[[int, int, int], GeneratedSource]
    """From a stream key, the first midnight in microseconds, and the nodes a day."""
    times: Mapping[str, str]
    """Filters of the `{after, before}` kind to the node's key that they are about."""
    categories: Mapping[str, tuple[str, str]]
    """Dotted path of a filter's list of values to the category's name and the dotted path of its value in a node."""
    version_order: str | None
    """Filtering by this time orders by it, ascending."""
    orders: Mapping[str, str]
    """`orderBy.field` to a time's name."""
    day_fields: tuple[str, ...]
    """Node keys that say which day a node belongs to: the first that isn't null."""
    also: tuple[str, ...] = ()
    ids: str = "id"
    """Dotted path of the filter by id."""
    defaults: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    """Path of a filter in `categories` to the values that hold when a request leaves it out."""
    includes: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """Switch that lets nodes in to the category's name and the dotted path: without it, those with true stay out."""


ROOTS: tuple[Root, ...] = (
    Root(
        dataset="audit",
        field="auditLogEntries",
        scope="admin:audit",
        generate=AuditSource,
        times={"timestamp": "timestamp"},
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
        times={name: name for name in ("statusChangedAt", "createdAt", "resolvedAt")},
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
    Root(
        dataset="vulnerability",
        field="vulnerabilityFindings",
        scope="read:vulnerabilities",
        generate=VulnerabilitySource,
        times={name: name for name in ("updatedAt", "statusUpdatedAt", "resolvedAt")}
        | {"firstSeenAt": "firstDetectedAt"},
        categories={
            "status": ("status", "status"),
            "severity": ("severity", "severity"),
            "projectIdV2.equals": ("project", "projects.id"),
            "subscriptionExternalId": ("subscription", "vulnerableAsset.subscriptionExternalId"),
            "assetType": ("assetType", "vulnerableAsset.type"),
        },
        version_order=None,
        orders={"CREATED_AT": "firstDetectedAt"},
        day_fields=("updatedAt",),
        defaults={"status": ("OPEN",)},
    ),
    Root(
        dataset="cloud_configuration_finding",
        also=("cloud_configuration_finding_full_posture",),
        field="configurationFindings",
        scope="read:cloud_configuration",
        generate=ConfigurationSource,
        times={name: name for name in ("updatedAt", "statusChangedAt", "analyzedAt", "firstSeenAt")},
        categories={
            "status": ("status", "status"),
            "result": ("result", "result"),
            "severity": ("severity", "severity"),
            "rule.id": ("rule", "rule.id"),
            "resource.projectId": ("project", "resource.projects.id"),
            "resource.subscriptionId": ("subscription", "resource.subscription.id"),
        },
        version_order=None,
        orders={"ANALYZED_AT": "analyzedAt", "FIRST_SEEN_AT": "firstSeenAt"},
        day_fields=("updatedAt",),
        includes={"includeDeleted": ("deleted", "deleted")},
    ),
    Root(
        dataset="detection",
        field="detections",
        scope="read:detections",
        generate=DetectionSource,
        times={name: name for name in ("updatedAt", "createdAt")},
        categories={
            "type.equals": ("type", "type"),
            "severity.equals": ("severity", "severity"),
            "projectId": ("project", "projects.id"),
            "cloudAccountOrCloudOrganizationId.equals": ("account", "cloudAccounts.id"),
        },
        version_order=None,
        orders={"CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt"},
        day_fields=("updatedAt",),
        ids="id.equals",
        defaults={"type.equals": ("GENERATED_THREAT",)},
    ),
)

BY_FIELD: Mapping[str, Root] = {root.field: root for root in ROOTS}
BY_DATASET: Mapping[str, Root] = {name: root for root in ROOTS for name in (root.dataset, *root.also)}
GIVEN_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    root.dataset: dict([*root.categories.values(), *root.includes.values()]) for root in ROOTS
}
"""Per dataset with nodes of its own: category's name to the path of its value, for nodes that were handed in."""
