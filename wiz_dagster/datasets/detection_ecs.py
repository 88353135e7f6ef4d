"""The ECS fields of detections, taken from their objects as `detection_shape.py` leaves them.

One column a field over the whole batch. The targets are those of Elastic's integration; beside them stand the rule's
MITRE tactics and techniques, hashes, the networks of the actors' addresses, Kubernetes cluster and namespace, the link
to the issue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from wiz_dagster.datasets.detection_rows import of_shared
from wiz_dagster.datasets.detection_rule import as_object, at, objects_in
from wiz_dagster.ecs.columns import Columns, Node, Values, pluck
from wiz_dagster.ecs.geoip import place
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.ecs.values import distinct

SEVERITIES = {"CRITICAL": 99, "HIGH": 73, "MEDIUM": 47, "LOW": 21, "INFORMATIONAL": 0}
RECORD = "raw_audit_log_record"
OF_EVENTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("process.command_line",): ("command_line",),
    ("process.executable", "process.name"): ("runtime_program", "name"),
    ("process.parent.name",): ("parent_runtime_program", "name"),
    ("source.ip", "related.ip"): ("actor_ip",),
    ("source.as.number",): ("actor_ip_meta", "autonomous_system_number"),
    ("source.as.organization.name",): ("actor_ip_meta", "autonomous_system_organization"),
    ("cloud.instance.id",): (RECORD, "common", "vm_external_id"),
    ("host.name", "related.hosts"): (RECORD, "common", "host_info", "hostname"),
    ("file.path",): (RECORD, "alert", "file_event_details", "name"),
    ("event.action",): (RECORD, "alert", "event", "kind"),
}
"""ECS fields that hold a list: what the triggering events have at that path, each value once."""
_NOTHING_SAID: list[tuple[Any, ...]] = [()] * len(OF_EVENTS)
OF_LISTS: dict[str, tuple[str, str]] = {
    "cloud.account.id": ("cloud_accounts", "external_id"),
    "cloud.account.name": ("cloud_accounts", "name"),
    "cloud.provider": ("cloud_accounts", "cloud_provider"),
    "organization.id": ("cloud_organizations", "id"),
    "organization.name": ("cloud_organizations", "name"),
}
OF_RESOURCE: dict[str, tuple[str, ...]] = {
    "orchestrator.cluster.id": ("kubernetes_cluster", "id"),
    "orchestrator.cluster.name": ("kubernetes_cluster", "name"),
    "orchestrator.namespace": ("kubernetes_namespace", "name"),
}
SYSTEMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("windows", re.compile("windows")),
    ("macos", re.compile("mac|darwin")),
    ("linux", re.compile("linux|amazon|ubuntu|debian|centos|rhel|unix")),
    ("android", re.compile("android")),
    ("ios", re.compile("ios")),
)
"""ECS's names of operating systems; the first that fits counts."""
ACCOUNTS = frozenset({"USER_ACCOUNT", "SERVICE_ACCOUNT"})


def put_severities(columns: Columns, severities: Values) -> None:
    """`event.severity`, the number that stands for Wiz's word."""
    columns.put([SEVERITIES.get(item.upper()) if type(item) is str else None for item in severities], "event.severity")


def put_lists(columns: Columns, rows: Sequence[Node]) -> None:
    """Cloud accounts and organizations."""
    for path, (key, below) in OF_LISTS.items():
        columns.put(of_shared(pluck(rows, key), partial(_listed, below)), path, settled=True)


def _listed(key: str, value: Any) -> list[Any] | None:
    return distinct(pluck(objects_in(value), key))


def put_actors(columns: Columns, rows: Sequence[Node]) -> None:
    """The main actor as ECS user."""
    actors = [as_object(row.get("primary_actor")) for row in rows]
    emails = pluck(actors, "email")
    columns.put(emails, "user.email")
    columns.put([distinct([item]) for item in emails], "related.user", settled=True)
    columns.put(pluck(actors, "user_agent"), "user_agent.original")
    accounts = [actor if str(actor.get("type")) in ACCOUNTS else {} for actor in actors]
    columns.put(pluck(accounts, "id"), "user.id")
    columns.put(pluck(accounts, "name"), "user.name")


def put_resources(columns: Columns, rows: Sequence[Node]) -> None:
    """The main resource, which gives its region away, as container, and where Kubernetes runs it."""
    resources = [as_object(row.get("primary_resource")) for row in rows]
    columns.put([item.pop("region", None) for item in resources], "cloud.region")
    containers = [item if str(item.get("type")).upper() == "CONTAINER" else {} for item in resources]
    columns.put(pluck(containers, "external_id"), "container.id")
    columns.put(pluck(containers, "name"), "container.name")
    for path, keys in OF_RESOURCE.items():
        columns.put([at(item, keys) for item in resources], path)
    clustered = [any(as_object(item.get("kubernetes_cluster")).values()) for item in resources]
    columns.put(["kubernetes" if item else None for item in clustered], "orchestrator.type")


def put_events(columns: Columns, rows: Sequence[Node], options: EcsOptions) -> None:
    """What the triggering events say, together."""
    events = [objects_in(as_object(row.get("triggering_events")).get("nodes")) for row in rows]
    said = [list(zip(*map(_of_event, items), strict=True)) or _NOTHING_SAID for items in events]
    for paths, values in zip(OF_EVENTS, zip(*said, strict=True) if said else _NOTHING_SAID, strict=True):
        columns.put(list(map(distinct, values)), *paths, settled=True)
    systems = [distinct([_system(event) for event in items]) or [] for items in events]
    columns.put([items[0] if len(items) == 1 else items for items in systems], "host.os.type", settled=True)
    hashes = [
        [at(row, ("runtime_details", "hash")), *pluck(items, "hash")] for row, items in zip(rows, events, strict=True)
    ]
    columns.put([distinct(items) for items in hashes], "related.hash", settled=True)
    database = options.geoip_database
    columns.put([_place(database, items) for items in events], "source.geo", settled=database is None)


def _of_event(event: Node) -> list[Any]:
    """What an event has at the paths of `OF_EVENTS`."""
    return [at(event, keys) if keys[0] in event else None for keys in OF_EVENTS.values()]


def _system(event: Node) -> str | None:
    name = at(event, (RECORD, "common", "host_info", "os_type")) if RECORD in event else None
    if type(name) is not str:
        return None
    return next((system for system, words in SYSTEMS if words.search(name.lower())), None)


def _place(database: Path | None, events: Iterable[Node]) -> Node | None:
    """The first address that the database knows; without one, the country that Wiz gives."""
    if database is not None:
        for address in distinct(pluck(list(events), "actor_ip")) or ():
            if found := place(database, address):
                return found
    codes = distinct([at(event, ("actor_ip_meta", "country_code")) for event in events])
    return {"country_iso_code": codes[0]} if codes else None
