"""Odd shapes of webhook bodies: the body is a template that customers edit, and published ones differ.

Each function gives one of them to a body, in place; bodies share nothing with one another.
"""

from collections.abc import Callable

from wiz_dagster.sandbox.wiz.source import Node


def _number_as_external_id(body: Node) -> None:
    for account in body["cloudAccounts"]:
        if account["externalId"].isdigit():
            account["externalId"] = int(account["externalId"])


def _older_template(body: Node) -> None:
    for key in ("source", "detectionUrl", "primaryActor", "cloudOrganizations"):
        del body[key]


def _other_spelling(body: Node) -> None:
    body["detectionURL"] = body.pop("detectionUrl")


def _no_description(body: Node) -> None:
    body["description"] = None


def _nulls_for_lists(body: Node) -> None:
    body |= {"cloudOrganizations": None, "mitreTactics": None, "mitreTechniques": None, "actors": None}


def _event_twice(body: Node) -> None:
    if body.get("triggeringEvents"):
        body["triggeringEvents"].append(dict(body["triggeringEvents"][0]))


def _events_of_one_id(body: Node) -> None:
    for event in body.get("triggeringEvents", ()):
        event["id"] = body["triggeringEvents"][0]["id"]


def _more_keys(body: Node) -> None:
    body |= {"team": "größe & co", "ticket": {"queue": "soc", "number": 4711}, "notes": ["one", 2, None]}


def _only_the_least(body: Node) -> None:
    kept = {key: body[key] for key in ("id", "createdAt", "severity", "trigger")}
    body.clear()
    body |= kept


def _resources_not_told(body: Node) -> None:
    body["resources"] = []


ODDITIES: tuple[Callable[[Node], None], ...] = (
    _number_as_external_id,
    _older_template,
    _other_spelling,
    _no_description,
    _nulls_for_lists,
    _event_twice,
    _events_of_one_id,
    _more_keys,
    _only_the_least,
    _resources_not_told,
)
