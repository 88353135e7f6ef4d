"""How many documents webhook bodies must give, told without the code that makes them."""

import json
from collections.abc import Iterable

from wiz_dagster.sandbox.wiz.source import Node

_EVENTS = "triggeringEvents"


def documents_of(bodies: Iterable[Node]) -> int:
    """One a triggering event and one a body without any; what is told again in the same words gives none."""
    told: set[tuple[str, str]] = set()
    for body in bodies:
        rest = json.dumps({key: body[key] for key in body if key != _EVENTS}, sort_keys=True)
        events = body.get(_EVENTS) or [None]
        told.update((rest, json.dumps(event, sort_keys=True)) for event in events)
    return len(told)
