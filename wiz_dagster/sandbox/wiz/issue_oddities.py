"""Odd shapes of issues that published samples show: each function gives one of them to a generated issue.

They change the node in place, and copy what nodes share before they change it.
"""

from collections.abc import Callable

from wiz_dagster.sandbox.wiz.source import Node


def _rules_with_only_a_name(node: Node) -> None:
    node["sourceRules"] = [{"name": rule["name"]} for rule in node["sourceRules"]]


def _texts_that_say_null(node: Node) -> None:
    node["dueAt"] = "null"
    node["entitySnapshot"] |= {"region": "null", "subscriptionTags": "null", "tags": "null", "externalId": "null"}
    node["sourceRules"] = [rule | {"securitySubCategories": "null"} for rule in node["sourceRules"]]


def _only_the_old_rule(node: Node) -> None:
    node["sourceRules"] = None


def _empty_texts(node: Node) -> None:
    node["entitySnapshot"] |= {"region": "", "nativeType": "", "cloudProviderURL": "", "providerId": ""}


def _keys_missing(node: Node) -> None:
    for key in ("notes", "serviceTickets", "resolvedAt", "dueAt", "environments", "assignee"):
        del node[key]


def _nulls_for_lists(node: Node) -> None:
    node |= {"notes": None, "serviceTickets": None, "cloudAccounts": None}
    node["sourceRules"] = [rule | {"risks": None, "securitySubCategories": None} for rule in node["sourceRules"]]


def _no_update_time(node: Node) -> None:
    del node["updatedAt"]


def _little_known_entity(node: Node) -> None:
    node["entitySnapshot"] |= {"status": None, "cloudPlatform": None, "tags": None, "providerId": None}


def _unknown_values(node: Node) -> None:
    node["entitySnapshot"] |= {"cloudPlatform": "Moonbase", "type": "LUNAR_LANDER", "status": "Orbiting"}


def _long_text(node: Node) -> None:
    node["description"] = "Ein langer Text mit “Zeichen”, \u2028 Zeilen\r\nund 🙂 – 漢字. " * 400


ODDITIES: tuple[Callable[[Node], None], ...] = (
    _rules_with_only_a_name,
    _texts_that_say_null,
    _only_the_old_rule,
    _empty_texts,
    _keys_missing,
    _nulls_for_lists,
    _no_update_time,
    _little_known_entity,
    _unknown_values,
    _long_text,
)
