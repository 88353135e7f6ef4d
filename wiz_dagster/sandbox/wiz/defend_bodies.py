"""Webhook bodies of the tenant's detections, as automation rules with Wiz's usual template send them.

`wiz/detection` and the webhook so tell of the same detections. A body says what was known at its moment: "Created" when
the detection appeared, "Updated" what it has become. Its parts are made in `defend_parts`, odd ones in
`defend_oddities`.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from wiz_dagster.sandbox.wiz.defend_oddities import ODDITIES
from wiz_dagster.sandbox.wiz.defend_parts import account, actor_or_none, event, full_actor, full_resource, some
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import NEVER, micros, micros_of_text
from wiz_dagster.sandbox.wiz.truth import nodes_of_window

CREATED, UPDATED = "Created", "Updated"
MOST_EVENTS = 10
"""Triggering events of a body, however many the detection has."""

_SHAPES = 16
_SINGLE = (0, 1)
_NEITHER = 2
_MITRE = "MITRE"


class AutomationRule(NamedTuple):
    """The rule in Wiz that sends the bodies."""

    id: str
    name: str


def bodies(tenant: Tenant, since: datetime, until: datetime, rule: AutomationRule) -> list[Node]:
    """What the rule sends of [since, until), oldest first; `until` is at most the tenant's present moment.

    Each is one JSON object. The same tenant, times and rule give the same bodies.
    """
    sent = [
        (micros_of_text(node["updatedAt" if kind == UPDATED else "createdAt"]), node["id"], body(node, kind, rule))
        for node, kind in _moments(tenant, since, until)
    ]
    return [one for *_, one in sorted(sent, key=lambda row: row[:2])]


def _moments(tenant: Tenant, since: datetime, until: datetime) -> Iterator[tuple[Node, str]]:
    """Detections as they were when they appeared, and those that changed as they are now."""
    source = tenant.source("detection")
    for node in nodes_of_window(tenant, "detection", since, until):
        created, updated = micros_of_text(node["createdAt"]), micros_of_text(node["updatedAt"])
        if created != NEVER and created >= micros(since):
            yield source.nodes(source.named([node["id"]], created), created)[0], CREATED
        if updated != created:
            yield node, UPDATED


def body(node: Node, kind: str, rule: AutomationRule) -> Node:
    """One detection as the template renders it; its shape follows from its id and `kind`."""
    value = int.from_bytes(blake2b(f"{node['id']}/{kind}".encode(), digest_size=8).digest(), "big")
    found = (node.get("ruleMatch") or {}).get("rule") or {}
    issue = (node.get("issue") or {}).get("id")
    rendered = {
        "trigger": {"source": "DETECTIONS", "type": kind, "ruleId": rule.id, "ruleName": rule.name},
        "id": node["id"],
        "source": "DETECTIONS",
        "threatId": issue,
        "threatURL": issue and f"https://app.wiz.example/issues#~(issue~'{issue})",
        "detectionUrl": f"https://app.wiz.example/detections#~(detection~'{node['id']})",
        "title": found.get("name", ""),
        "description": node["description"],
        "severity": node["severity"],
        "createdAt": _nanoseconds(node["createdAt"], value),
        "tdrId": found.get("id"),
        "tdrSource": found.get("sourceType"),
        **_mitre(found, value),
        "cloudAccounts": [account(one) for one in node["cloudAccounts"]],
        "cloudOrganizations": [
            some(one, "cloudProvider", "externalId", "name") for one in node.get("cloudOrganizations") or []
        ],
        "timeframe": {"start": node["startedAt"], "end": node["endedAt"]},
        "actors": [full_actor(one) for one in node["actors"] or []],
        "resources": [full_resource(one) for one in node["resources"] or []],
        "primaryActor": actor_or_none(node.get("primaryActor")),
        "primaryResource": full_resource(node["primaryResource"]),
        "triggeringEventsCount": node["triggeringEvents"]["totalCountV2"],
        **_events(node, value % _SHAPES),
    }
    if kind == UPDATED:
        rendered["trigger"]["updatedFields"] = "endedAt, triggeringEvents"
    odd = (value >> 8) % 100
    if odd < len(ODDITIES):
        ODDITIES[odd](rendered)
    return rendered


def _events(node: Node, shape: int) -> dict[str, Any]:
    """Under one of the two keys that templates have, or under neither."""
    events = [event(one) for one in node["triggeringEvents"]["nodes"][:MOST_EVENTS]]
    if shape == _NEITHER:
        return {}
    if shape in _SINGLE and events:
        known: Node = {"resources": [full_resource(one) for one in node["resources"] or []]}
        if actor := actor_or_none(node.get("primaryActor")):
            known["actor"] = actor
        return {"triggeringEvent": events[0] | known}
    return {"triggeringEvents": events}


def _mitre(rule: Node, value: int) -> dict[str, list[str]]:
    """Tactics and techniques that the rule is filed under, repeated as often as it is."""
    filed = [
        (one["category"]["externalId"], one["externalId"])
        for one in rule.get("securitySubCategories") or []
        if _MITRE in (one["category"]["framework"].get("name") or "")
    ]
    both = value & 7 == 0
    return {
        "mitreTactics": [tactic for tactic, _ in filed],
        "mitreTechniques": [f"{tactic}-{technique}" if both else technique for tactic, technique in filed],
    }


def _nanoseconds(text: str, value: int) -> str:
    """The time with nine digits; those that its text doesn't have are made up."""
    seconds, _, digits = text.removesuffix("Z").partition(".")
    return f"{seconds}.{(digits + f'{value % 10**9:09d}')[:9]}Z" if len(digits) >= 6 else text
