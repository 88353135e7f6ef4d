"""Odd shapes of detections that published samples show: each function gives one of them to a generated detection.

They change the node in place, and copy what nodes share before they change it. `updatedAt` stays: a window of Wiz's
finds no detection without it.
"""

from collections.abc import Callable

from wiz_dagster.sandbox.wiz.source import Node


def _no_actors(node: Node) -> None:
    node["actors"] = None
    del node["primaryActor"]


def _only_ids(node: Node) -> None:
    for key in ("primaryActor", "primaryResource"):
        node[key] = {"id": node[key]["id"]}


def _keys_missing(node: Node) -> None:
    for key in ("type", "origins", "issue", "cloudOrganizations"):
        del node[key]


def _no_rule(node: Node) -> None:
    del node["ruleMatch"]


def _issue_with_its_page(node: Node) -> None:
    node["issue"] = {"id": f"{node['id']}-issue", "url": "https://app.wiz.example/issues#~(issue~'1')"}


def _no_events(node: Node) -> None:
    node["triggeringEvents"] |= {"nodes": [], "totalCount": 0, "totalCountV2": 0}


def _reduced_events(node: Node) -> None:
    events = node["triggeringEvents"]["nodes"]
    node["triggeringEvents"]["nodes"] = [
        {key: one[key] for key in ("__typename", "id", "description")} for one in events
    ]


def _events_of_untold_kind(node: Node) -> None:
    for event in node["triggeringEvents"]["nodes"]:
        del event["__typename"], event["actorIP"], event["rawAuditLogRecord"]


def _number_as_text(node: Node) -> None:
    for event in node["triggeringEvents"]["nodes"]:
        event["actorIPMeta"] = event["actorIPMeta"] | {"autonomousSystemNumber": "64500"}


def _address_that_is_none(node: Node) -> None:
    for event, text in zip(
        node["triggeringEvents"]["nodes"], ("console.example", "", "-", "AWS Internal"), strict=False
    ):
        event["actorIP"] = text


def _frameworks_half_known(node: Node) -> None:
    rule = node["ruleMatch"]["rule"]
    halves = [
        one | {"category": one["category"] | {"framework": {key: one["category"]["framework"][key]}}}
        for one, key in zip(rule["securitySubCategories"], ("id", "name") * 3, strict=False)
    ]
    node["ruleMatch"] = {"rule": rule | {"securitySubCategories": halves}, "version": 1}


def _other_resources(node: Node) -> None:
    endpoint = node["primaryResource"] | {"type": "ENDPOINT", "externalId": "://db.corp.example:27017/", "region": ""}
    surface = {"id": f"{node['id']}-surface", "name": None, "type": "ATTACK_SURFACE_FINDING", "externalId": ""}
    node |= {"primaryResource": endpoint, "resources": [endpoint, surface]}


def _no_description(node: Node) -> None:
    node["description"] = None


def _unknown_values(node: Node) -> None:
    node["origins"] = [*node["origins"], "MOONBASE_LOGS"]
    node["primaryActor"] = node["primaryActor"] | {"type": "ASTRONAUT"}


def _deep_record(node: Node) -> None:
    record: object = ["end", {"n": None}, 1.5]
    for level in range(30):
        record = {f"level{level}": record, "list": [[], [1, "one"]], "a.b": {"": "empty"}}
    for event in node["triggeringEvents"]["nodes"][:2]:
        event["rawAuditLogRecord"] = record


def _long_texts(node: Node) -> None:
    node["description"] = "Ein langer Text mit “Zeichen”, \u2028 Zeilen\r\nund 🙂 – 漢字. " * 400
    for event in node["triggeringEvents"]["nodes"][:2]:
        event["commandLine"] = "base64 -d <<< " + "QUJD" * 2500


ODDITIES: tuple[Callable[[Node], None], ...] = (
    _no_actors,
    _only_ids,
    _keys_missing,
    _no_rule,
    _issue_with_its_page,
    _no_events,
    _reduced_events,
    _events_of_untold_kind,
    _number_as_text,
    _address_that_is_none,
    _frameworks_half_known,
    _other_resources,
    _no_description,
    _unknown_values,
    _deep_record,
    _long_texts,
)
