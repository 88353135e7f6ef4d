"""The ECS fields of Defend's events, of what `defend_parts.py` has read.

One column a field over the whole batch. The targets are those of Elastic's integration; beside them stand the address
of the actor, cloud accounts and region, processes, containers, Kubernetes places, hosts and the detection's times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wiz_dagster.datasets.defend_parts import PROCESSES, is_number
from wiz_dagster.ecs.columns import Columns, Node, Values, pluck
from wiz_dagster.ecs.geoip import place
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.ecs.values import distinct, distinct_texts, is_empty

Found = dict[str, Values]

EVENT, ACTOR, META = "triggeringEvent", "triggeringEvent.actor", "triggeringEvent.actorIPMeta"
MAIN = "primaryResource"
SAME: dict[str, str] = {
    "cloud.provider": f"{EVENT}.cloudPlatform",
    "cloud.region": f"{MAIN}.region",
    "destination.ip": f"{EVENT}.subjectResourceIp",
    "event.created": "createdAt",
    "event.end": "timeframe.end",
    "event.id": f"{EVENT}.id",
    "event.provider": f"{EVENT}.source",
    "event.reference": "detectionUrl",
    "event.start": "timeframe.start",
    "message": f"{EVENT}.description",
    "orchestrator.cluster.id": f"{MAIN}.kubernetesClusterId",
    "orchestrator.cluster.name": f"{MAIN}.kubernetesClusterName",
    "orchestrator.namespace": f"{MAIN}.kubernetesNamespaceName",
    "rule.id": "trigger.ruleId",
    "rule.name": "trigger.ruleName",
    "source.as.number": f"{META}.autonomousSystemNumber",
    "source.as.organization.name": f"{META}.autonomousSystemOrganization",
    "source.ip": f"{EVENT}.actorIP",
    "threat.indicator.reference": "threatURL",
    "user.effective.id": f"{ACTOR}.actingAs.id",
    "user.effective.name": f"{ACTOR}.actingAs.name",
    "user.id": f"{ACTOR}.id",
    "user.name": f"{ACTOR}.name",
    "wiz.defend.friendly_name": "trigger.ruleName",
}
"""Fields that hold what stands at that path."""
OF_PROCESSES: dict[str, str] = {
    "process.command_line": "command",
    "process.executable": "path",
    "process.start": "execution_time",
    "process.user.id": "user_id",
    "process.user.name": "username",
    "related.hash": "hash",
}
"""Fields that hold a list: what the processes have there, each value once. Which of them did it Wiz doesn't tell."""
OF_LISTS: dict[str, tuple[str, str]] = {
    "cloud.account.name": ("cloudAccounts", "name"),
    "organization.id": ("cloudOrganizations", "externalId"),
    "organization.name": ("cloudOrganizations", "name"),
}
SEVERITIES = {"CRITICAL": 99, "HIGH": 73, "MEDIUM": 47, "LOW": 21, "INFORMATIONAL": 21}
FAILED = ("fail", "unsuccess")
MITRE = "MITRE ATT&CK"
_OF_MITRE = re.compile(r"TA?\d{4}", re.ASCII)
_SUB_TECHNIQUE = re.compile(r"T\d{4}\.\d{3}", re.ASCII)
_SHA1 = re.compile(r"[0-9a-fA-F]{40}", re.ASCII)
_FOLDERS = re.compile(r".*[/\\]", re.DOTALL)


def put_events(columns: Columns, found: Found) -> None:
    """What is said of the event and the detection."""
    for target, path in SAME.items():
        columns.put(found[path], target)
    severities = [item.upper() if type(item) is str else None for item in found["severity"]]
    columns.put([SEVERITIES.get(item) if item else None for item in severities], "event.severity")
    columns.expect(severities, "severity", frozenset(SEVERITIES))
    columns.put(
        ["-".join(item.lower().split()) if type(item) is str else None for item in found["trigger.type"]],
        "event.action",
    )
    columns.put([_outcome(item) for item in found[f"{EVENT}.status"]], "event.outcome")


def _outcome(status: Any) -> str | None:
    if type(status) is not str:
        return None
    status = status.lower()
    if any(word in status for word in FAILED):
        return "failure"
    return "success" if "success" in status else "unknown"


def put_threats(columns: Columns, found: Found) -> None:
    """The threat that Wiz made of the detection, and what the detection names of MITRE's matrix."""
    columns.put([distinct_texts([item]) for item in found["threatId"]], "threat.indicator.id")
    tactics, techniques = (
        [distinct_texts(item) if type(item) is list else None for item in found[key]]
        for key in ("mitreTactics", "mitreTechniques")
    )
    columns.put(tactics, "threat.tactic.id")
    columns.put(techniques, "threat.technique.id")
    columns.put(
        [
            MITRE if any(map(_OF_MITRE.match, [*(of or ()), *(by or ())])) else None
            for of, by in zip(tactics, techniques, strict=True)
        ],
        "threat.framework",
    )
    finer = [[match[0] for item in by or () if (match := _SUB_TECHNIQUE.search(item))] for by in techniques]
    columns.put([distinct(items) for items in finer], "threat.technique.subtechnique.id")


def put_people(columns: Columns, found: Found) -> None:
    """The actors' and the processes' users."""
    same = zip(
        found[f"{ACTOR}.email"],
        found[f"{ACTOR}.id"],
        found["primaryActor.id"],
        found["primaryActor.email"],
        strict=True,
    )
    columns.put(
        [email or (main_email if who and who == main else None) for email, who, main, main_email in same], "user.email"
    )
    named = [found[f"primaryActor.{key}"] for key in ("email", "id", "name")] + [
        found[f"{ACTOR}.{key}"] for key in ("id", "name")
    ]
    people = zip(*named, strict=True)
    columns.put(
        [
            distinct_texts([*of_actors, *pluck(processes, "user_id"), *pluck(processes, "username")])
            for of_actors, processes in zip(people, found[PROCESSES], strict=True)
        ],
        "related.user",
    )


def put_addresses(columns: Columns, found: Found, options: EcsOptions) -> None:
    """Where the actor is, and the addresses that are concerned."""
    addresses = found[f"{EVENT}.actorIP"]
    columns.put(
        [distinct_texts(pair) for pair in zip(addresses, found[f"{EVENT}.subjectResourceIp"], strict=True)],
        "related.ip",
    )
    countries = found[f"{META}.country"]
    columns.put(
        [_place(options.geoip_database, *pair) for pair in zip(addresses, countries, strict=True)], "source.geo"
    )


def _place(database: Path | None, address: Any, country: Any) -> Node | None:
    """What the database knows of the address; without one, the country that Wiz gives."""
    if database is not None and address and (found := place(database, address)):
        return found
    return {"country_name": country} if type(country) is str and country else None


def put_processes(columns: Columns, found: Found) -> None:
    """The processes that the sensor saw."""
    processes = found[PROCESSES]
    for target, key in OF_PROCESSES.items():
        columns.put([distinct(pluck(items, key)) for items in processes], target)
    numbers = [distinct(pluck(items, "id")) or () for items in processes]
    columns.put([[pid for item in items if (pid := _pid(item)) is not None] for items in numbers], "process.pid")
    paths = [distinct(pluck(items, "path")) or () for items in processes]
    columns.put([distinct([_FOLDERS.sub("", str(item)) for item in items]) for items in paths], "process.name")
    hashes = [distinct(pluck(items, "hash")) or () for items in processes]
    columns.put([[item for item in items if _SHA1.fullmatch(str(item))] for items in hashes], "process.hash.sha1")


def _pid(value: Any) -> int | None:
    return int(value) if type(value) in (str, int) and is_number(str(value)) else None


def put_resources(columns: Columns, found: Found) -> None:
    """The cloud accounts, and the main resource as host or container, in Kubernetes."""
    for target, (path, key) in OF_LISTS.items():
        columns.put([distinct(pluck(items, key)) for items in found[path]], target)
    accounts = [distinct(pluck(items, "external_id")) for items in found["cloudAccounts"]]
    of_main = found[f"{MAIN}.cloudAccount.externalId"]
    columns.put([ids or distinct([own]) for ids, own in zip(accounts, of_main, strict=True)], "cloud.account.id")
    kinds = [str(item).upper() for item in found[f"{MAIN}.type"]]
    ids, names = found[f"{MAIN}.externalId"], found[f"{MAIN}.name"]
    hosts = [str(name).lower() if name else None for name in _where(kinds, "VIRTUAL_MACHINE", names)]
    columns.put(_where(kinds, "VIRTUAL_MACHINE", ids), "host.id")
    columns.put(hosts, "host.name")
    nodes = found[f"{MAIN}.kubernetesNodeName"]
    columns.put([distinct(list(pair)) for pair in zip(hosts, nodes, strict=True)], "related.hosts")
    clusters = zip(found[f"{MAIN}.kubernetesClusterId"], found[f"{MAIN}.kubernetesClusterName"], strict=True)
    columns.put([None if all(map(is_empty, pair)) else "kubernetes" for pair in clusters], "orchestrator.type")
    _put_containers(columns, found, _where(kinds, "CONTAINER", ids), _where(kinds, "CONTAINER", names))


def _where(kinds: Sequence[str], kind: str, values: Values) -> Values:
    return [value if one == kind else None for one, value in zip(kinds, values, strict=True)]


def _put_containers(columns: Columns, found: Found, ids: Values, names: Values) -> None:
    containers = [_objects(pluck(items, "container")) for items in found[PROCESSES]]
    for target, key, of_main in (("container.id", "external_id", ids), ("container.name", "name", names)):
        of_processes = [distinct(pluck(items, key)) for items in containers]
        columns.put([some or distinct([own]) for some, own in zip(of_processes, of_main, strict=True)], target)
    images = [distinct(pluck(items, "image_external_id")) or () for items in containers]
    columns.put(
        [[one for one in items if str(one).startswith("sha256:")] for items in images], "container.image.hash.all"
    )


def _objects(values: Values) -> list[Node]:
    return [item for item in values if type(item) is dict]
