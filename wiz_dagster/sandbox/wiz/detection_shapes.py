"""What a generated detection looks like once its times, type, severity, projects and cloud account are known.

Most are as Wiz's schema says; some have the odd shapes of published samples, see `detection_oddities`.
"""

from typing import Any, NamedTuple

from wiz_dagster.sandbox.wiz.detection_events import events
from wiz_dagster.sandbox.wiz.detection_oddities import ODDITIES
from wiz_dagster.sandbox.wiz.detection_pools import AUDIT, RESOURCES_OF_ACCOUNT, RULES, SENSOR, draw_cast
from wiz_dagster.sandbox.wiz.hashing import node_id
from wiz_dagster.sandbox.wiz.pools import Record, draw
from wiz_dagster.sandbox.wiz.source import Node

_BURST = 60
"""Triggering events of a few detections: more than a query usually asks for."""


class DetectionFacts(NamedTuple):
    """All that a detection is made of; `span` of its events in microseconds."""

    ordinal: int
    value: int
    more: int
    created: str | None
    updated: str | None
    started: str | None
    ended: str | None
    first_event: int
    last_event: int
    evaluations: int
    kind: str
    severity: str
    project_choice: int
    account: int


class DetectionShapes:
    """Makes the detections of one tenant."""

    def __init__(self, key: int) -> None:
        """`key` is the stream key of the dataset."""
        self._key = key
        self._pools = draw(key)
        self._cast = draw_cast(key, self._pools)
        projects = self._pools.projects
        self._project_lists = [projects[start : start + length] for start in range(24) for length in (1, 1, 2, 0)]
        self.project_choices = len(self._project_lists)
        self.accounts = len(self._pools.accounts)

    def project_names(self) -> list[tuple[Any, ...]]:
        """Ids that each choice of projects answers to."""
        return [tuple(one["id"] for one in some) for some in self._project_lists]

    def account_names(self) -> list[tuple[Any, ...]]:
        """Ids that each choice of a cloud account answers to."""
        return [(one["id"],) for one in self._pools.accounts]

    def node(self, facts: DetectionFacts) -> Node:
        """The whole detection."""
        value, more = facts.value, facts.more
        scene, rule = self._cast.rules[more % RULES]
        actor = self._cast.actors[scene][(value >> 20) % len(self._cast.actors[scene])]
        resource = self._cast.resources[scene][RESOURCES_OF_ACCOUNT * facts.account + value % RESOURCES_OF_ACCOUNT]
        origins = rule["origins"]
        origin = origins[(more >> 8) % len(origins)]
        count = _BURST if more >> 16 & 127 == 127 else min(5, (1, 1, 1, 1, 3)[(more >> 23) % 5] + facts.evaluations)
        span = (facts.first_event, facts.last_event)
        triggering = events(scene, value, count, span, actor, resource, origin)
        node: Node = {
            "id": node_id(self._key, facts.ordinal),
            "type": facts.kind,
            "severity": facts.severity,
            "origins": [origin] if more >> 30 & 7 else [origin, "WIZ_THREAT_DETECTION"],
            "createdAt": facts.created,
            "updatedAt": facts.updated,
            "startedAt": facts.started,
            "endedAt": facts.ended,
            "description": f"{rule['description']}\n\n* **Where**: `{resource['name']}`\n* **Seen**: {count} ×",
            "ignored": value & 63 == 63,
            "isRetroactive": False,
            "actors": [actor] if actor["id"] else None,
            "primaryActor": actor,
            "resources": [resource]
            if value & 3
            else [resource, self._cast.resources[scene][value % len(self._cast.resources[scene])]],
            "primaryResource": resource,
            "cloudAccounts": [self._pools.accounts[facts.account]],
            "cloudOrganizations": [self._organization(facts.account)] if value & 64 else None,
            "projects": self._project_lists[facts.project_choice],
            "issue": {"id": f"{more:016x}-issue"} if facts.kind == "GENERATED_THREAT" else None,
            "ruleMatch": {"rule": rule, "version": rule["version"]},
            "inboundIPDetails": _inbound(triggering[0]) if scene == AUDIT else None,
            "relatedApplicationServices": None,
            "runtimeDetails": _runtime_details(triggering) if scene == SENSOR else None,
            "triggeringEvents": {
                "__typename": "CloudEventSearchResultConnection",
                "nodes": triggering,
                "totalCount": count,
                "totalCountV2": count,
                "maxCountReached": False,
                "pageInfo": {"hasNextPage": False, "endCursor": None},
            },
        }
        odd = (more >> 40) % 100
        if odd < len(ODDITIES):
            ODDITIES[odd](node)
        return node

    def _organization(self, account: int) -> Record:
        provider = self._pools.accounts[account]["cloudProvider"]
        return {"id": f"org-{account % 5}", "name": f"Größe & Co {account % 5}", "externalId": f"o-{account % 5:010d}",
                "cloudProvider": provider, "path": "/"}  # fmt: skip


def _inbound(event: Record) -> list[Record]:
    if event["actorIP"] is None:
        return []
    return [{"IP": event["actorIP"], "foreign": event["isForeignActorIP"], "metadata": event["actorIPMeta"]}]


def _runtime_details(triggering: list[Record]) -> Record:
    programs = sorted({event["runtimeProgram"]["name"] for event in triggering})
    return {
        "commandLines": sorted({event["commandLine"] for event in triggering}),
        "runtimeProgramNames": programs,
        "processNames": programs,
        "parentProcessNames": ["/usr/lib/systemd/systemd"],
        "path": programs,
        "hash": [],
        "impactedFilePath": [],
        "domains": None,
        "outboundIPs": None,
    }
