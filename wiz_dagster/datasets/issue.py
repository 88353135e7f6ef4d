"""Dataset `issue`: Wiz's issues, each as it is now, filed under the day of its last status change.

The targets are those of Elastic's integration; beside them stands what it drops: description, the tenant's own link,
why and by whom it was resolved, assignee, environments, cloud accounts, container and Kubernetes fields.
How the lists inside an issue (rules, notes, projects, tickets) are renamed stands in `issue_lists.py`, its resource in
`issue_entity.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from wiz_dagster.datasets.base import Dataset, Node, Walk
from wiz_dagster.datasets.issue_entity import put_entities
from wiz_dagster.datasets.issue_lists import (
    ACCOUNTS,
    PROJECTS,
    RULES,
    no_null_text,
    note,
    people,
    renamed_items,
    ticket,
)
from wiz_dagster.ecs.columns import Columns, Values, copy_to, pluck
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.ecs.values import as_text, is_empty

OLDER_KEYS = {
    "sourceRules": ("sourceRule", "control"),
    "entitySnapshot": ("entity",),
    "projects": ("project",),
    "notes": ("note",),
    "serviceTickets": ("serviceTicket",),
}
"""What earlier versions of Wiz's API have in the place of a key; read where the key itself says nothing."""

STATUSES = frozenset({"IN_PROGRESS", "OPEN", "REJECTED", "RESOLVED"})
SEVERITIES = frozenset({"CRITICAL", "HIGH", "INFORMATIONAL", "LOW", "MEDIUM"})
TYPES = frozenset(
    {"ATTACK_SURFACE", "CLOUD_CONFIGURATION", "RISK_TOXIC_COMBINATION", "THREAT_DETECTION", "TOXIC_COMBINATION"}
)
DATES = {
    "updatedAt": "updated_at",
    "dueAt": "due_at",
    "resolvedAt": "resolved_at",
    "reopenedAt": "reopened_at",
    "rejectionExpiredAt": "rejection_expired_at",
    "firstEventAt": "first_event_at",
    "lastEventAt": "last_event_at",
}
KEYWORDS = {
    "status": "wiz.issue.status.value",
    "type": "wiz.issue.type",
    "severity": "wiz.issue.severity",
    "description": "wiz.issue.description",
    "url": "event.reference",
    "openReason": "wiz.issue.open_reason",
    "resolutionReason": "wiz.issue.resolution_reason",
    "resolutionNote": "wiz.issue.resolution_note",
    "environments": "wiz.issue.environments",
    "groupingType": "wiz.issue.grouping_type",
}
BOOLEANS = {
    "hasCodeRemediation": "wiz.issue.has_code_remediation",
    "validatedAsExploitable": "wiz.issue.validated_as_exploitable",
}
RESOLVER = frozenset({"type", "user", "serviceAccount"})
USER = frozenset({"id", "name", "email"})
ACCOUNT = frozenset({"id", "name"})
ASSIGNEE = frozenset({"id", "name", "primaryEmail"})
KEYS = frozenset(
    {
        "id",
        *KEYWORDS,
        *DATES,
        *BOOLEANS,
        "createdAt",
        "statusChangedAt",
        "resolvedBy",
        "assignee",
        "cloudAccounts",
        *OLDER_KEYS,
        *chain.from_iterable(OLDER_KEYS.values()),
    }
)
"""The top-level keys that have a place, those of older versions included."""


def transform(nodes: Sequence[Node], options: EcsOptions) -> Columns:
    """The ECS columns of issues."""
    columns = Columns("wiz.issue", nodes, KEYS)
    copies = options.preserve_duplicate_custom_fields
    columns.constant("event", "event.kind")
    columns.constant(["configuration"], "event.category")
    columns.constant(["info"], "event.type")
    ids = columns.keyword(columns.nodes["id"], "id", "event.id", *copy_to(copies, "wiz.issue.id"))
    columns.put([_url(item) for item in ids], "event.url")
    _times(columns, options)
    keywords = {key: columns.keyword(columns.nodes[key], key, path) for key, path in KEYWORDS.items()}
    for key, known in (("status", STATUSES), ("severity", SEVERITIES), ("type", TYPES)):
        columns.expect(keywords[key], key, known)
    for key, path in BOOLEANS.items():
        columns.boolean(columns.nodes[key], key, path)
    put_entities(columns, _newest(columns, "entitySnapshot"), copies)
    _lists(columns)
    _resolvers(columns)
    return columns


def _newest(columns: Columns, key: str) -> Values:
    """The key's values; where one says nothing, what older versions of the API have in its place."""
    values = columns.nodes[key]
    for older in OLDER_KEYS[key]:
        if older in columns.nodes.keys:
            pairs = zip(values, columns.nodes[older], strict=True)
            values = [_as_item(old) if is_empty(value) else value for value, old in pairs]
    return values


def _as_item(older: Any) -> Any:
    """The older API's single note is a text."""
    return {"text": older} if type(older) is str else older


def _url(issue_id: Any) -> str | None:
    """The link that Elastic's integration writes: the host is Wiz's general one."""
    if is_empty(issue_id):
        return None
    text = f"[{', '.join(map(as_text, issue_id))}]" if type(issue_id) is list else as_text(issue_id)
    return f"https://app.wiz.io/issues#~(filters~(status~())~issue~'{text})"


def _times(columns: Columns, options: EcsOptions) -> None:
    copies, nodes = options.preserve_duplicate_custom_fields, columns.nodes
    changed = columns.date(nodes["statusChangedAt"], "statusChangedAt", *copy_to(copies, "wiz.issue.status.changed_at"))
    created = columns.date(nodes["createdAt"], "createdAt", "event.created", *copy_to(copies, "wiz.issue.created_at"))
    dates = {key: columns.date(nodes[key], key, f"wiz.issue.{target}") for key, target in DATES.items()}
    candidates = [("statusChangedAt", changed), ("createdAt", created), ("updatedAt", dates["updatedAt"])]
    columns.main_date(candidates, options.fetched_timestamp)


def _lists(columns: Columns) -> None:
    (projects,) = PROJECTS.columns(columns, no_null_text(_newest(columns, "projects")))
    columns.put(projects, "wiz.issue.projects", settled=True)
    tickets = no_null_text(_newest(columns, "serviceTickets"))
    columns.put(renamed_items(columns, tickets, ticket), "wiz.issue.service_tickets")
    notes = renamed_items(columns, no_null_text(_newest(columns, "notes")), note)
    columns.put(notes, "wiz.issue.notes")
    columns.put([None if item is None else people(item) for item in notes], "related.user")
    rules, descriptions = RULES.columns(columns, no_null_text(_newest(columns, "sourceRules")))
    columns.put(rules, "wiz.issue.source_rules", settled=True)
    columns.put(descriptions, "message", settled=True)
    (accounts,) = ACCOUNTS.columns(columns, columns.nodes["cloudAccounts"])
    columns.put(accounts, "wiz.issue.cloud_accounts", settled=True)


def _resolvers(columns: Columns) -> None:
    resolvers = columns.objects(columns.nodes["resolvedBy"], "resolvedBy", RESOLVER)
    columns.keyword(pluck(resolvers, "type"), "resolvedBy.type", "wiz.issue.resolved_by.type")
    users = columns.objects(pluck(resolvers, "user"), "resolvedBy.user", USER)
    accounts = columns.objects(pluck(resolvers, "serviceAccount"), "resolvedBy.serviceAccount", ACCOUNT)
    assignees = columns.objects(columns.nodes["assignee"], "assignee", ASSIGNEE)
    for objects, source, target, key, name in (
        (users, "resolvedBy.user", "resolved_by.user", "id", "id"),
        (users, "resolvedBy.user", "resolved_by.user", "name", "name"),
        (users, "resolvedBy.user", "resolved_by.user", "email", "email"),
        (accounts, "resolvedBy.serviceAccount", "resolved_by.service_account", "id", "id"),
        (accounts, "resolvedBy.serviceAccount", "resolved_by.service_account", "name", "name"),
        (assignees, "assignee", "assignee", "id", "id"),
        (assignees, "assignee", "assignee", "name", "name"),
        (assignees, "assignee", "assignee", "primaryEmail", "email"),
    ):
        columns.keyword(pluck(objects, key), f"{source}.{key}", f"wiz.issue.{target}.{name}")


ISSUE = Dataset(
    name="issue",
    stream="issue",
    root="issuesV2",
    scope="read:issues",
    description="Wiz's issues of all statuses, filed under the day of their last status change.",
    walks=(Walk("statusChangedAt"), Walk("createdAt")),
    window_fields=("statusChangedAt", "createdAt"),
    version_field="updatedAt",
    reach_days=None,
    filters=MappingProxyType(
        {
            "status": "status",
            "severity": "severity",
            "project": "project",
            "cloud_account": "cloudAccountOrCloudOrganizationId",
        }
    ),
    default_tags=("forwarded", "wiz-issue"),
    transform=transform,
)
