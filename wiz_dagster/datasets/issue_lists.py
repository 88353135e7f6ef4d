"""The lists inside an issue: source rules, notes, projects, tickets, cloud accounts, with Wiz's keys in snake case.

An item is renamed key by key; keys that nobody renames stay as they are. What Elasticsearch would refuse in a field's
place is set aside in the batch's columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wiz_dagster.ecs.columns import Columns, Node, Values
from wiz_dagster.ecs.values import distinct_texts, is_empty, timestamp

Rename = Callable[[Columns, int, Node], Node]

RULE_KEYWORDS = {
    "__typename": "__typename",
    "id": "id",
    "name": "name",
    "type": "type",
    "severity": "severity",
    "shortId": "short_id",
    "resolutionRecommendation": "resolution_recommendation",
    "remediationInstructions": "remediation_instructions",
    "risks": "risks",
    "threats": "threats",
    "serviceType": "service_type",
    "sourceType": "source_type",
}
DESCRIPTIONS = (
    "description",
    "controlDescription",
    "cloudEventRuleDescription",
    "cloudConfigurationRuleDescription",
)
"""A rule's description, and the names it has in the older shape; the first that says something counts."""


def renamed_items(columns: Columns, values: Values, rename: Rename) -> Values:
    """Each value with the objects in it renamed: a list of objects, a single one; anything else stays as it is."""
    renamed: Values = []
    for row, value in enumerate(values):
        if type(value) is list:
            renamed.append([rename(columns, row, item) if type(item) is dict else item for item in value])
        elif type(value) is dict:
            renamed.append(rename(columns, row, value))
        else:
            renamed.append(value)
    return renamed


def note(columns: Columns, row: int, item: Node) -> Node:
    """A note: its dates in our form, the service account's key in snake case."""
    kept = _with_key(columns, row, "notes", item, "serviceAccount", "service_account")
    for key, target in (("createdAt", "created_at"), ("updatedAt", "updated_at")):
        kept = _with_key(columns, row, "notes", kept, key, target)
        value = kept.pop(target, None)
        moment = timestamp(value)
        if moment is not None:
            kept[target] = moment
        elif value is not None:
            columns.set_aside(row, f"notes.{key}", value)
    return kept


def project(columns: Columns, row: int, item: Node) -> Node:
    """A project: business unit and impact in snake case; other keys of the risk profile stay where they were."""
    kept = _with_key(columns, row, "projects", item, "businessUnit", "business_unit")
    profile = kept.get("riskProfile")
    if type(profile) is dict and "businessImpact" in profile:
        kept["riskProfile"] = {key: value for key, value in profile.items() if key != "businessImpact"}
        kept["risk_profile"] = {"business_impact": profile["businessImpact"]}
    return kept


def ticket(columns: Columns, row: int, item: Node) -> Node:
    """A service ticket: the external id in snake case."""
    return _with_key(columns, row, "serviceTickets", item, "externalId", "external_id")


def account(columns: Columns, row: int, item: Node) -> Node:
    """A cloud account: its keys in snake case."""
    kept = _with_key(columns, row, "cloudAccounts", item, "externalId", "external_id")
    return _with_key(columns, row, "cloudAccounts", kept, "cloudProvider", "cloud_provider")


def people(notes: Any) -> list[str] | None:
    """The names, then the e-mail addresses of the users who wrote the (renamed) notes."""
    items = notes if type(notes) is list else [notes]
    users = [item["user"] for item in items if type(item) is dict and type(item.get("user")) is dict]
    return distinct_texts([user.get(key) for key in ("name", "email") for user in users])


def rules(columns: Columns, values: Values) -> Values:
    """The source rules of each node, with the keys that have a place; a single object is a list of one."""
    return [
        [_rule(columns, row, item) for item in _rule_items(columns, row, value)] or None
        for row, value in enumerate(values)
    ]


def first_description(source_rules: list[Node] | None) -> Any:
    """The first description of the (renamed) rules that says something."""
    return next((rule["description"] for rule in source_rules or () if "description" in rule), None)


def _rule_items(columns: Columns, row: int, value: Any) -> list[Node]:
    items = value if type(value) is list else [value]
    for item in items:
        if type(item) is not dict:
            columns.set_aside(row, "sourceRules", item)
    return [item for item in items if type(item) is dict]


def _rule(columns: Columns, row: int, rule: Node) -> Node:
    kept: Node = {}
    for key, target in RULE_KEYWORDS.items():
        value = rule.get(key)
        if type(value) is dict:
            columns.set_aside(row, f"sourceRules.{key}", value)
        elif value is not None:
            kept[target] = value
    if type(rule.get("enabled")) is bool:
        kept["enabled"] = rule["enabled"]
    kept["security_sub_categories"] = rule.get("securitySubCategories")
    for key in DESCRIPTIONS:
        value = rule.get(key)
        if not is_empty(value) and type(value) is not dict:
            kept["description"] = value
            break
    return kept


def _with_key(columns: Columns, row: int, source: str, item: Node, key: str, target: str) -> Node:
    """A copy with one key renamed; what stood under the new name already is set aside."""
    kept = dict(item)
    if key in kept:
        earlier = kept.pop(target, None)
        if earlier is not None:
            columns.set_aside(row, f"{source}.{target}", earlier)
        kept[target] = kept.pop(key)
    return kept
