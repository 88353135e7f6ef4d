"""The parts of a webhook body: actors, resources, cloud accounts and triggering events, of those of a detection.

Whole actors and resources stand beside the events, which name them by their ids. Only a sensor's events have processes.
"""

from typing import Any
from zlib import crc32

from wiz_dagster.sandbox.wiz.pools import Record

_STATES = ("Active", "Running", "Inactive", None)
_GROUPS: tuple[Any, ...] = ("", "None", "Example Spider, Example Bear", [])
_USERS = (("0", "root"), ("1000", "größe"), ("33", "www-data"))


def some(record: Record, *names: str) -> Record:
    """The record's own values of those names; one that it lacks stays absent."""
    return {name: record[name] for name in names if name in record}


def full_actor(actor: Record) -> Record:
    """An actor as it stands in `actors` and `primaryActor`."""
    full = some(actor, "id", "name", "type", "nativeType", "email", "externalId", "providerUniqueId")
    if acting := actor.get("actingAs"):
        full["actingAs"] = some(acting, "id", "name", "type") | {"nativeType": "role"}
    return full


def actor_or_none(actor: Record | None) -> Record | None:
    """A detection without an actor has one without an id; its body has none."""
    return full_actor(actor) if actor and actor["id"] else None


def full_resource(resource: Record) -> Record:
    """A resource as it stands in `resources` and `primaryResource`."""
    full = some(resource, "id", "externalId", "providerUniqueId", "name", "type", "nativeType", "region")
    if of := resource.get("cloudAccount"):
        full |= {
            "status": _STATES[crc32(resource["id"].encode()) % len(_STATES)],
            "cloudAccount": some(account(of), "cloudPlatform", "externalId", "id"),
            "cloudProviderUrl": f"https://console.example/{of['externalId']}/{resource['id']}",
        }
    for name in ("kubernetesCluster", "kubernetesNamespace"):
        if place := resource.get(name):
            full |= {f"{name}Id": place["id"], f"{name}Name": place["name"]}
    return full


def account(of: Record) -> Record:
    """A cloud account."""
    return {"cloudPlatform": of["cloudProvider"], "externalId": of["externalId"], "id": of["id"], "name": of["name"]}


def event(of: Record) -> Record:
    """A triggering event; of one that Wiz tells little about there is as little."""
    rendered: Record = {
        "id": of["id"],
        **some(of, "externalId", "name", "description", "cloudPlatform", "origin", "source", "category"),
        "eventTime": of.get("timestamp"),
        "status": (of.get("status") or "").capitalize(),
        "cloudProviderUrl": f"https://console.example/events#{of.get('externalId', '')}",
        "resources": [
            some(one, "externalId", "id", "name", "nativeType", "region", "type") for one in of.get("resources", ())
        ],
    }
    if (actor := of.get("actor")) and actor["id"]:
        rendered["actor"] = {"id": actor["id"]}
    if subject := of.get("subjectResource"):
        rendered |= {"subjectResourceId": subject["id"], "subjectResourceIp": None}
    if of.get("actorIP"):
        rendered |= {"actorIP": of["actorIP"], "actorIPMeta": _meta(of)}
    if program := (of.get("runtimeProgram") or {}).get("name"):
        rendered["runtimeDetails"] = {"processTree": _processes(of, program)}
    return rendered


def _meta(of: Record) -> Record:
    meta = of["actorIPMeta"]
    return some(meta, "country", "autonomousSystemNumber", "autonomousSystemOrganization", "reputationSource") | {
        "reputation": (meta["reputation"] or "").capitalize(),
        "reputationDescription": "Seen in attacks" if meta["reputation"] == "MALICIOUS" else None,
        "relatedAttackGroupNames": _GROUPS[crc32(of["id"].encode()) % len(_GROUPS)],
        "isForeign": of["isForeignActorIP"],
        "customIPRanges": [],
    }


def _processes(of: Record, program: str) -> list[Record]:
    """The program that was seen, then the one that had started it."""
    resource = of["subjectResource"]
    number = crc32(of["id"].encode())
    user, name = _USERS[number % len(_USERS)]
    process: dict[str, Any] = {
        "command": of["commandLine"],
        "executionTime": of.get("timestamp"),
        "hash": of["hash"][0],
        "id": f"{number % 30_000 + 300}",
        "path": program,
        "size": number % 2_000_000,
        "userId": user,
        "username": name,
    }
    if resource.get("type") == "CONTAINER":
        process["container"] = {
            "id": resource["id"],
            "externalId": resource["externalId"],
            "name": resource["name"],
            "imageId": f"image-{number % 97}",
            "imageExternalId": f"sha256:{number:064x}",
        }
    parent = {"command": "", "id": "1", "path": of["parentRuntimeProgram"]["name"], "userId": "0", "username": "root"}
    return [process, parent]
