"""The lists inside an issue: source rules, notes, projects, tickets, cloud accounts, with Wiz's keys in snake case.

An item is renamed key by key; keys that nobody renames stay as they are. What Elasticsearch would refuse in a field's
place is set aside in the batch's columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wiz_dagster.ecs.columns import Columns, Node, Shape, Values, fitted, holds_no_object
from wiz_dagster.ecs.projects import project
from wiz_dagster.ecs.pruning import Remembered
from wiz_dagster.ecs.values import distinct_texts, is_empty, timestamp

Rename = Callable[[Columns, int, Node], Any]

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
RULE: Shape = dict.fromkeys(RULE_KEYWORDS.values())
SUB_CATEGORIES: Shape = {"title": None, "category": {"name": None, "framework": {"name": None}}}
NOTE: Shape = {
    "id": None,
    "created_at": None,
    "updated_at": None,
    "text": None,
    "user": {"name": None, "email": None},
    "service_account": {"name": None},
}
TICKET: Shape = dict.fromkeys(("id", "external_id", "name", "url"))
ACCOUNT: Shape = dict.fromkeys(("id", "external_id", "name", "cloud_provider"))
NULL_TEXT = "null"
"""What some tenants' exports have where an object or a list is due."""
DESCRIPTIONS = (
    "description",
    "controlDescription",
    "cloudEventRuleDescription",
    "cloudConfigurationRuleDescription",
)
"""A rule's description, and the names it has in the older shape; the first that says something counts."""
RULE_KEYS = frozenset({*RULE_KEYWORDS, *DESCRIPTIONS, "enabled", "securitySubCategories"})


def no_null_text(values: Values) -> Values:
    """The values, None in the place of the text `null`."""
    return [None if value == NULL_TEXT else value for value in values]


def renamed_items(columns: Columns, values: Values, rename: Rename) -> Values:
    """Each value with the objects in it renamed."""
    return [None if value is None else _renamed(rename, columns, row, value) for row, value in enumerate(values)]


def _renamed(rename: Rename, columns: Columns, row: int, value: Any) -> Any:
    """A list of objects, or a single one, renamed; anything else stays as it is."""
    if type(value) is list:
        return [rename(columns, row, item) if type(item) is dict else item for item in value]
    return rename(columns, row, value) if type(value) is dict else value


def note(columns: Columns, row: int, item: Node) -> Any:
    """A note: its dates in our form, the service account's key in snake case."""
    kept = dict(item)
    _rename(columns, row, "notes", kept, "serviceAccount", "service_account")
    for key, target in (("createdAt", "created_at"), ("updatedAt", "updated_at")):
        _rename(columns, row, "notes", kept, key, target)
        value = kept.pop(target, None)
        moment = timestamp(value)
        if moment is not None:
            kept[target] = moment
        elif value is not None:
            columns.set_aside(row, f"notes.{key}", value)
    return fitted(columns, row, "notes", kept, NOTE)


def ticket(columns: Columns, row: int, item: Node) -> Any:
    """A service ticket: the external id in snake case."""
    kept = dict(item)
    _rename(columns, row, "serviceTickets", kept, "externalId", "external_id")
    return fitted(columns, row, "serviceTickets", kept, TICKET)


def account(columns: Columns, row: int, item: Node) -> Any:
    """A cloud account: its keys in snake case."""
    kept = dict(item)
    _rename(columns, row, "cloudAccounts", kept, "externalId", "external_id")
    _rename(columns, row, "cloudAccounts", kept, "cloudProvider", "cloud_provider")
    return fitted(columns, row, "cloudAccounts", kept, ACCOUNT)


def people(notes: Any) -> list[str] | None:
    """The names, then the e-mail addresses of the users who wrote the (renamed) notes."""
    items = notes if type(notes) is list else [notes]
    users = [item["user"] for item in items if type(item) is dict and type(item.get("user")) is dict]
    return distinct_texts([user.get(key) for key in ("name", "email") for user in users])


def source_rules(columns: Columns, row: int, value: Any) -> tuple[Any, ...]:
    """The rules with the keys that have a place, and their first description that says something.

    A single object is a list of one.
    """
    rules = [_rule(columns, row, item) for item in _rule_items(columns, row, value)]
    return rules, next((rule["description"] for rule in rules if "description" in rule), None)


def _rule_items(columns: Columns, row: int, value: Any) -> list[Node]:
    items = value if type(value) is list else [value]
    for item in items:
        if type(item) is not dict:
            columns.set_aside(row, "sourceRules", item)
    return [item for item in items if type(item) is dict]


def _rule(columns: Columns, row: int, rule: Node) -> Node:
    columns.set_aside_unknown(row, "sourceRules", rule, RULE_KEYS)
    renamed = {target: rule.get(key) for key, target in RULE_KEYWORDS.items()}
    kept: Node = fitted(columns, row, "sourceRules", renamed, RULE)
    enabled = rule.get("enabled")
    if type(enabled) is bool:
        kept["enabled"] = enabled
    else:
        columns.set_aside(row, "sourceRules.enabled", enabled)
    below = rule.get("securitySubCategories")
    if type(below) is dict or type(below) is list:
        below = fitted(columns, row, "sourceRules.securitySubCategories", below, SUB_CATEGORIES)
    kept["security_sub_categories"] = None if below == NULL_TEXT else below
    for key in DESCRIPTIONS:
        value = rule.get(key)
        if not holds_no_object(value):
            columns.set_aside(row, f"sourceRules.{key}", value)
        elif not is_empty(value):
            kept["description"] = value
            break
    return kept


def _rename(columns: Columns, row: int, source: str, item: Node, key: str, target: str) -> None:
    """Rename a key in place; what stood under the new name already is set aside."""
    if key in item:
        columns.set_aside(row, f"{source}.{target}", item.get(target))
        item[target] = item.pop(key)


def _remembered(rename: Rename) -> Remembered:
    return Remembered(lambda columns, row, value: (_renamed(rename, columns, row, value),))


RULES = Remembered(source_rules, width=2)
PROJECTS = _remembered(project)
ACCOUNTS = _remembered(account)
"""What is the same in many issues."""
