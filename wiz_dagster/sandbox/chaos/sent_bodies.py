"""Webhook bodies of a campaign: each has an automation rule of its own, so that its events are found wherever they are.

How many events a body has is told by `wiz/defend_truth.py`; sending them is the workload's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import orjson
from elasticsearch import Elasticsearch

from wiz_dagster.sandbox.chaos.found_states import documents, nodes_of_part
from wiz_dagster.sandbox.chaos.tenant import TenantPlan
from wiz_dagster.sandbox.wiz.clock import Clock
from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.defend_truth import documents_of


@dataclass
class SentBody:
    """A body to be sent until it is acknowledged."""

    rule: str
    events: int
    payload: bytes
    acknowledged: bool = False
    """A 2xx came back, at least once."""


def bodies_to_send(plan: TenantPlan, since: datetime) -> Iterator[SentBody]:
    """What Wiz sends of [since, the campaign's start), oldest first, each under an automation rule of its own."""
    numbers, until = count(1), plan.start
    tenant = plan.tenant(Clock(until), late=False)
    for body in bodies(tenant, since, until, AutomationRule("campaign", "Campaign")):
        rule = f"campaign-{next(numbers)}"
        body["trigger"]["ruleId"] = rule
        yield SentBody(rule, documents_of([body]), orjson.dumps(body))


def stored_events(client: Elasticsearch, namespace: str) -> tuple[Counter[str], int]:
    """Documents of the webhook's stream by rule, whatever their day, and how many there are in all."""
    found: Counter[str] = Counter()
    for document in documents(client, f"logs-wiz.defend-{namespace}", {"match_all": {}}, ["rule.id"]):
        found[str((document.get("rule") or {}).get("id"))] += 1
    return found, found.total()


def landed_events(root: Path) -> Counter[str]:
    """Landed events by rule; what was received again on another day counts once, as in Elasticsearch."""
    by_rule: Counter[str] = Counter()
    other_days: set[bytes] = set()
    for manifest in sorted(root.glob("defend/*/manifest.json")):
        of_day: Counter[str] = Counter()
        lines: set[bytes] = set()
        for part in orjson.loads(manifest.read_bytes())["parts"]:
            for line, node in nodes_of_part(manifest.parent / part["name"]):
                if line not in other_days:
                    of_day[str((node.get("trigger") or {}).get("ruleId"))] += 1
                lines.add(line)
        other_days |= lines
        by_rule += of_day
    return by_rule
