"""What a generated issue looks like once its times, status, severity, type and projects are known.

Most are as Wiz's schema says; some have the odd shapes of published samples, see `issue_oddities`.
"""

from typing import Any, NamedTuple

from wiz_dagster.sandbox.wiz.hashing import node_id
from wiz_dagster.sandbox.wiz.issue_oddities import ODDITIES
from wiz_dagster.sandbox.wiz.pools import REGIONS, Record, draw
from wiz_dagster.sandbox.wiz.source import Node

_ENTITIES = (
    ("BUCKET", "bucket", "backup"),
    ("VIRTUAL_MACHINE", "virtualMachine", "worker"),
    ("SERVICE_ACCOUNT", "serviceAccount", "deployer"),
    ("CONTAINER", "Container", "api"),
    ("DB_SERVER", "rds", "orders"),
    ("ACCESS_ROLE", "Role", "system:orders-reader"),
)
_TAGS: tuple[Any, ...] = (
    {},
    None,
    {"team": "payments", "env/stage": "prod", "aws:autoscaling:groupName": "workers"},
    {"kubernetes.io/managed-by": "helm:3", "app.kubernetes.io/name": "größe", "größe": "ja", "empty": ""},
)
_NOTES = (
    "Being looked at.",
    "Owner informed – wartet auf Freigabe.",
    "修正済み 🎉\nsee ticket",
    "a\tb  c\u200f\u202e ",
)
_REASONS = {
    "RESOLVED": ("ISSUE_FIXED", "OBJECT_DELETED", "CONTROL_DISABLED", "FIXED_BY_MAGIC"),
    "REJECTED": ("WONT_FIX", "FALSE_POSITIVE", "EXCEPTION"),
}


class IssueFacts(NamedTuple):
    """All that an issue is made of."""

    ordinal: int
    value: int
    more: int
    created: str | None
    changed: str | None
    updated: str | None
    status: str
    severity: str
    kind: str
    project_choice: int


class IssueShapes:
    """Makes the issues of one tenant."""

    def __init__(self, key: int) -> None:
        """`key` is the stream key of the dataset."""
        self._key = key
        self._pools = draw(key)
        count = len(self._pools.projects)
        self._project_lists = [
            self._pools.projects[start : start + length] for start in range(count) for length in (1, 1, 2, 3, 0)
        ]
        self.project_choices = len(self._project_lists)

    def project_names(self) -> list[tuple[Any, ...]]:
        """Ids and slugs that each choice of projects answers to."""
        return [tuple(text for one in some for text in (one["id"], one["slug"])) for some in self._project_lists]

    def node(self, facts: IssueFacts) -> Node:
        """The whole issue."""
        pools, value, more = self._pools, facts.value, facts.more
        rules = [pools.rules[more % 90]] if more & 7 else [pools.rules[more % 90], pools.rules[(more >> 9) % 90]]
        closed = facts.status in _REASONS
        projects = self._project_lists[facts.project_choice]
        account = pools.accounts[(value >> 12) % 40]
        identifier = node_id(self._key, facts.ordinal)
        node: Node = {
            "id": identifier,
            "type": facts.kind,
            "status": facts.status,
            "severity": facts.severity,
            "createdAt": facts.created,
            "updatedAt": facts.updated,
            "statusChangedAt": facts.changed,
            "dueAt": "2031-01-31T21:00:00Z" if value & 3 == 0 else None,
            "resolvedAt": facts.changed if facts.status == "RESOLVED" else None,
            "rejectionExpiredAt": None,
            "reopenedAt": None,
            "firstEventAt": None,
            "lastEventAt": None,
            "description": rules[0]["description"],
            "url": f"https://app.wiz.example/issues#~(issue~'{identifier})",
            "openReason": ("ISSUE_DISCOVERED", "OBJECT_CREATED", "ISSUE_RESURFACED", None)[value >> 2 & 3],
            "resolutionReason": _REASONS[facts.status][(value >> 4) % len(_REASONS[facts.status])] if closed else None,
            "resolutionNote": _NOTES[value >> 6 & 3] if closed and value & 8 else None,
            "resolvedBy": self._resolver(value) if closed else None,
            "assignee": _assignee(pools.users[(value >> 20) % 60]) if value & 48 == 0 else None,
            "environments": [("PRODUCTION", "STAGING", "DEVELOPMENT")[value % 3]] if value & 64 else None,
            "hasCodeRemediation": False,
            "validatedAsExploitable": value & 255 == 255,
            "groupingType": "NONE",
            "suggestions": None,
            "sourceRules": rules,
            "sourceRule": rules[0],
            "entitySnapshot": _entity(value, more, account),
            "projects": projects,
            "notes": self._notes(facts),
            "serviceTickets": _tickets(value),
            "cloudAccounts": [account] if value & 128 else None,
            "cloudOrganizations": None,
            "applicationServices": None,
            "threatCenterActors": None,
            "threatDetectionDetails": None,
        }
        if facts.kind == "THREAT_DETECTION":
            self._add_threat(node, facts)
        if facts.changed is None and value & 256:
            del node["statusChangedAt"]
        odd = (more >> 40) % 100
        if odd < len(ODDITIES):
            ODDITIES[odd](node)
        return node

    def _resolver(self, value: int) -> Record:
        if value & 16:
            return {"type": "USER", "user": self._pools.users[(value >> 24) % 60], "serviceAccount": None}
        machine = self._pools.service_accounts[(value >> 24) % 15] if value & 32 else None
        return {"type": "SERVICE_ACCOUNT" if machine else "WIZ", "user": None, "serviceAccount": machine}

    def _notes(self, facts: IssueFacts) -> list[Record]:
        value = facts.value
        return [
            {
                "id": f"note-{facts.ordinal}-{number}",
                "createdAt": facts.created,
                "updatedAt": facts.updated,
                "text": _NOTES[(value >> 8) + number & 3],
                "user": self._pools.users[(value >> 28) % 60] if number == 0 else None,
                "serviceAccount": None if number == 0 else self._pools.service_accounts[(value >> 28) % 15],
            }
            for number in range((0, 0, 0, 1, 2)[value % 5])
        ]

    def _add_threat(self, node: Node, facts: IssueFacts) -> None:
        who = self._pools.users[facts.value % 60]
        actor = {"id": who["id"], "name": who["name"], "email": who["email"], "type": "USER_ACCOUNT", "MFA": None}
        node |= {"firstEventAt": facts.created, "lastEventAt": facts.updated, "openReason": "ISSUE_DISCOVERED"}
        node["description"] = "" if facts.value & 512 else node["description"]
        node["threatDetectionDetails"] = {
            "id": f"tdd-{facts.ordinal}",
            "actors": None if facts.value & 1024 else [actor],
            "resources": [{"id": node["entitySnapshot"]["id"], "name": node["entitySnapshot"]["name"]}],
            "eventOrigin": ["AWS_CLOUDTRAIL", "WIZ_SENSOR"],
            "updatedAt": facts.updated,
        }


def _assignee(who: Record) -> Record:
    return {"id": who["id"], "name": who["name"], "primaryEmail": who["email"], "emails": [who["email"]]}


def _entity(value: int, more: int, account: Record) -> Record:
    kind, native, stem = _ENTITIES[(value >> 16) % len(_ENTITIES)]
    name = f"{stem}-{more >> 44:x}"
    in_cluster = kind in ("CONTAINER", "ACCESS_ROLE")
    region = REGIONS[(value >> 40) % len(REGIONS)]
    provider_id = f"{account['externalId']}/{region}/{native}/{name}"
    return {
        "id": f"{more:016x}-entity",
        "type": kind,
        "nativeType": native,
        "name": name,
        "status": ("Active", "Active", "Inactive", "Error")[value >> 44 & 3],
        "cloudPlatform": account["cloudProvider"],
        "cloudProviderURL": f"https://console.cloud.example/{native}/home?region={region}#resource={name}",
        "providerId": provider_id,
        "externalId": provider_id,
        "fullResourceName": provider_id,
        "region": region,
        "resourceGroupExternalId": f"/groups/rg-{value >> 50:x}" if account["cloudProvider"] == "Azure" else None,
        "resourceGroupId": None,
        "subscriptionId": account["id"],
        "subscriptionExternalId": account["externalId"],
        "subscriptionName": account["name"],
        "subscriptionTags": account["tags"],
        "tags": _TAGS[value >> 46 & 3],
        "createdAt": "2025-05-05T05:05:05.050505Z",
        "containerServiceId": f"svc-{value >> 52:x}" if kind == "CONTAINER" else None,
        "containerServiceName": f"{stem}-service" if kind == "CONTAINER" else None,
        "kubernetesClusterId": f"cluster-{value >> 56:x}" if in_cluster else None,
        "kubernetesClusterName": f"cluster-{value >> 56 & 7}" if in_cluster else None,
        "kubernetesNamespaceName": ("default", "kube-system", "shop")[value % 3] if in_cluster else None,
    }


def _tickets(value: int) -> list[Record]:
    if value >> 32 & 7:
        return []
    number = value >> 48
    url = f"https://tickets.corp.example/browse/SEC-{number}?view=full&x=%2F"
    return [{"id": f"t-{number}", "externalId": f"{number}", "name": f"SEC-{number}", "url": url}]
