"""Dataset `audit`: who did what in Wiz. Entries never change and come in no order.

The targets are those of Elastic's integration; beside them stands what it drops: the performer, the kind of action and
client, the duration, and every action parameter that has no field of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from wiz_dagster.datasets.base import Dataset, Node, Walk
from wiz_dagster.ecs.columns import Columns, Values, copy_to, pluck
from wiz_dagster.ecs.geoip import place
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.ecs.pruning import pruned
from wiz_dagster.ecs.tables import Table
from wiz_dagster.ecs.user_agent import NOTHING, PATHS, parse_user_agent
from wiz_dagster.ecs.values import distinct_texts

KEYS = frozenset(
    {
        "id",
        "action",
        "actionType",
        "actionParameters",
        "aiAgentType",
        "aiEngines",
        "clientType",
        "duration",
        "performer",
        "requestId",
        "serviceAccount",
        "sourceIP",
        "sourceIPCountryCode",
        "status",
        "timestamp",
        "user",
        "userAgent",
    }
)
STATUSES = frozenset({"ACCESS_DENIED", "FAILED", "INVALID", "SUCCESS"})
ACTION_TYPES = frozenset({"AI_AGENT_ACTIVITY", "AUTHENTICATION", "MUTATION", "QUERY", "SCIM", "SUBSCRIPTION"})
CLIENT_TYPES = frozenset({"A2A", "AI_AGENT", "MCP", "SLACK", "UNKNOWN", "WIZ_CHROME_EXTEND", "WIZ_PORTAL"})
PERFORMER = frozenset({"id", "name", "user", "serviceAccount"})
ACTOR = {"user": frozenset({"id", "name", "email"}), "serviceAccount": frozenset({"id", "name"})}
"""The keys of who acted, as the performer's and as the deprecated key's object."""

PARAMETERS = {
    "clientID": "client_id",
    "groups": "groups",
    "name": "name",
    "products": "products",
    "role": "role",
    "scopes": "scopes",
    "userEmail": "user.email",
    "userID": "user.id",
    "userpoolID": "userpool_id",
}


def transform(nodes: Sequence[Node], options: EcsOptions) -> Columns:
    """The ECS columns of audit log entries."""
    columns = Columns("wiz.audit", nodes, KEYS)
    copies = options.preserve_duplicate_custom_fields
    columns.constant("event", "event.kind")
    moments = columns.date(columns.nodes["timestamp"], "timestamp", *copy_to(copies, "wiz.audit.timestamp"))
    columns.main_date([("timestamp", moments)], options.fetched_timestamp)
    columns.keyword(columns.nodes["id"], "id", "event.id", *copy_to(copies, "wiz.audit.id"))
    columns.keyword(
        columns.nodes["requestId"], "requestId", "http.request.id", *copy_to(copies, "wiz.audit.request_id")
    )
    _actions(columns)
    _outcomes(columns)
    _origins(columns, options)
    users = _actors(columns, copies)
    parameters = _parameters(columns)
    people = zip(*users, *(parameters[key] for key in ("userEmail", "userID", "userpoolID")), strict=True)
    columns.put([distinct_texts(row) for row in people], "related.user", settled=True)
    return columns


def _actions(columns: Columns) -> None:
    actions = columns.keyword(columns.nodes["action"], "action", "wiz.audit.action")
    columns.put(["-".join(item.lower().split()) if type(item) is str else None for item in actions], "event.action")
    columns.put([_category(item) for item in actions], "event.category", settled=True)
    columns.put([None if item is None or item == "" else ["info"] for item in actions], "event.type", settled=True)
    kinds = columns.keyword(columns.nodes["actionType"], "actionType", "wiz.audit.action_type")
    columns.expect(kinds, "actionType", ACTION_TYPES)
    clients = columns.keyword(columns.nodes["clientType"], "clientType", "wiz.audit.client_type")
    columns.expect(clients, "clientType", CLIENT_TYPES)
    columns.keyword(columns.nodes["aiAgentType"], "aiAgentType", "wiz.audit.ai_agent_type")
    columns.keyword(columns.nodes["aiEngines"], "aiEngines", "wiz.audit.ai_engines")
    columns.long(columns.nodes["duration"], "duration", "wiz.audit.duration")


def _category(action: Any) -> list[str] | None:
    if type(action) is not str:
        return None
    return ["authentication"] if "Login" in action else ["file"] if "Report" in action else None


def _outcomes(columns: Columns) -> None:
    statuses = columns.keyword(columns.nodes["status"], "status", "wiz.audit.status")
    columns.expect(statuses, "status", STATUSES)
    columns.put([_outcome(item) for item in statuses], "event.outcome")


def _outcome(status: Any) -> str | None:
    if type(status) is not str or not status:
        return None
    lower = status.lower()
    return "failure" if "fail" in lower else "success" if "success" in lower else "unknown"


def _origins(columns: Columns, options: EcsOptions) -> None:
    copies = options.preserve_duplicate_custom_fields
    addresses = columns.ip(columns.nodes["sourceIP"], "sourceIP", "source.ip", *copy_to(copies, "wiz.audit.source_ip"))
    columns.put([None if item is None else [item] for item in addresses], "related.ip", settled=True)
    database = options.geoip_database
    if database is not None:
        columns.put([None if item is None else place(database, item) for item in addresses], "source.geo")
    columns.keyword(columns.nodes["sourceIPCountryCode"], "sourceIPCountryCode", "wiz.audit.source_ip_country_code")
    agents = columns.keyword(columns.nodes["userAgent"], "userAgent", *copy_to(copies, "wiz.audit.user_agent"))
    parsed = [parse_user_agent(item) if type(item) is str and item else NOTHING for item in agents]
    for path, values in zip(PATHS, _turned(parsed, len(PATHS)), strict=True):
        columns.put(values, path, settled=True)


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[Values]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def _actors(columns: Columns, copies: bool) -> tuple[Values, ...]:
    """Fills the acting user and service account; returns what of the user belongs to `related.user`."""
    performers = columns.objects(columns.nodes["performer"], "performer", PERFORMER)
    columns.keyword(pluck(performers, "__typename"), "performer.__typename", "wiz.audit.performer.type")
    columns.keyword(pluck(performers, "id"), "performer.id", "wiz.audit.performer.id")
    columns.keyword(pluck(performers, "name"), "performer.name", "wiz.audit.performer.name")
    users = _acting(columns, performers, "UserSnapshot", "user")
    accounts = _acting(columns, performers, "ServiceAccountSnapshot", "serviceAccount")
    columns.keyword(pluck(accounts, "id"), "serviceAccount.id", "wiz.audit.service_account.id")
    columns.keyword(pluck(accounts, "name"), "serviceAccount.name", "wiz.audit.service_account.name")
    return (
        columns.keyword(pluck(users, "id"), "user.id", "user.id", *copy_to(copies, "wiz.audit.user.id")),
        columns.keyword(pluck(users, "name"), "user.name", "user.name", *copy_to(copies, "wiz.audit.user.name")),
        columns.keyword(pluck(users, "email"), "user.email", "user.email"),
    )


def _acting(columns: Columns, performers: Sequence[Node], kind: str, key: str) -> list[Node]:
    """The acting user (or service account): what the performer says of it, then what the deprecated key says."""
    deprecated = columns.objects(columns.nodes[key], key, ACTOR[key])
    acting = [item if item.get("__typename") == kind else {} for item in performers]
    accounts = columns.objects(pluck(acting, key), f"performer.{key}", ACTOR[key])
    if not any(acting):
        return deprecated
    return [
        {**old, **_said(snapshot, ("id", "name")), **_said(account, ("id", "name", "email"))} if snapshot else old
        for old, snapshot, account in zip(deprecated, acting, accounts, strict=True)
    ]


def _other(parameters: Node) -> Node:
    others: Node = pruned({key: value for key, value in parameters.items() if key not in PARAMETERS})
    return others


def _said(item: Node, keys: tuple[str, ...]) -> Node:
    return {key: item[key] for key in keys if item.get(key)}


def _parameters(columns: Columns) -> dict[str, Values]:
    """Fills the action parameters; returns the columns by Wiz's name."""
    given = columns.objects(columns.nodes["actionParameters"], "actionParameters")
    table = Table(given)
    taken = {key: table[key] for key in PARAMETERS}
    for key, target in PARAMETERS.items():
        columns.put(taken[key], f"wiz.audit.action_parameters.{target}")
    others = [_other(item) if not PARAMETERS.keys() >= item.keys() else None for item in given]
    columns.put(others, "wiz.audit.action_parameters.other", settled=True)
    return taken


AUDIT = Dataset(
    name="audit",
    stream="audit",
    root="auditLogEntries",
    scope="admin:audit",
    description="Wiz's audit log: logins, queries and changes in Wiz, who made them and whether they succeeded.",
    walks=(Walk("timestamp"),),
    window_fields=("timestamp",),
    version_field=None,
    reach_days=180,
    filters=MappingProxyType({"status": "status"}),
    default_tags=("forwarded", "wiz-audit"),
    transform=transform,
)
