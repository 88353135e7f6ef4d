"""The body of a Wiz Defend webhook: the nodes it is split into, and what its parts know of each other.

The body is a template that customers write, so nothing here counts on a key or a type, and nothing is left out. What
the parts mean is told by the field table, see `defend_parts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wiz_dagster.ecs.columns import Node

EVENT, EVENTS, NESTED = "triggeringEvent", "triggeringEvents", "detection"


def split(body: Node) -> list[Node]:
    """One node a triggering event, with the whole rest of the body; one if the body has none.

    A body has its events in a list, or a single one; newer ones stand as a whole below `detection`. A node is split
    into itself.
    """
    body = _lifted(body)
    listed = body.get(EVENTS)
    events = [event for event in _items(listed) if event is not None] if type(listed) in (list, dict) else []
    if not events:
        return [body]
    single = body.get(EVENT)
    if single is not None and not any(_equal(single, event) for event in events):
        events.append(single)
    rest = {key: value for key, value in body.items() if key not in (EVENT, EVENTS)}
    return [{**rest, EVENT: event} for event in events]


def _lifted(body: Node) -> Node:
    """The body with what stands below `detection` moved up; what was in the way goes below `outside`."""
    inner = body.get(NESTED)
    if type(inner) is not dict or not inner or EVENT in body or EVENTS in body:
        return body
    rest = {key: value for key, value in body.items() if key != NESTED}
    in_the_way = {key: value for key, value in rest.items() if key in inner and not _equal(value, inner[key])}
    lifted = {**rest, **inner}
    if in_the_way:
        place = "outside"
        while place in lifted:
            place += "_"
        lifted[place] = in_the_way
    return lifted


def joined(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with the whole actor and the whole resources in the event, which names them by their ids.

    In the body's own lists stay those that the event doesn't name. The given nodes aren't changed.
    """
    return [_joined(node) if node.get("actors") or node.get("resources") else node for node in nodes]


def _joined(node: Node) -> Node:
    event = node.get(EVENT)
    if type(event) is not dict:
        return node
    made, after = dict(event), dict(node)
    if node.get("actors"):
        actors = _by_id(node["actors"])
        made["actor"], taken = _whole(event.get("actor"), actors)
        after["actors"] = _others(node["actors"], [taken])
    if node.get("resources"):
        resources = _by_id(node["resources"])
        whole = [_whole(item, resources) for item in _items(event.get("resources"))]
        made["resources"] = [item for item, _ in whole]
        after["resources"] = _others(node["resources"], [taken for _, taken in whole])
    return {**after, EVENT: made}


def _by_id(value: Any) -> dict[Any, Node]:
    """The objects that have an id by it; of several with one id the first."""
    found: dict[Any, Node] = {}
    for item in _items(value):
        if type(item) is dict and type(item.get("id")) in (str, int):
            found.setdefault(item["id"], item)
    return found


def _whole(item: Any, known: dict[Any, Node]) -> tuple[Any, Node | None]:
    """The item with what is known of its id, and the object that it is known from."""
    if type(item) is not dict or type(item.get("id")) not in (str, int):
        return item, None
    full = known.get(item["id"])
    if full is None:
        return item, None
    return {**item, **{key: value for key, value in full.items() if value is not None}}, full


def _others(value: Any, taken: Sequence[Node | None]) -> list[Any]:
    named = {id(one) for one in taken if one is not None}
    return [item for item in _items(value) if id(item) not in named]


def _items(value: Any) -> list[Any]:
    """The items of a list, or the value alone; nothing of null."""
    if type(value) is list:
        return value
    return [] if value is None else [value]


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:
        return False
