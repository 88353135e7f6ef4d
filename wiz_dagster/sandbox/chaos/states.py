"""What the comparison looks at of a node, whichever place it is found in: its version, status, severity and the like.

Where these facts stand in a node and where in a document is written down here once more, on purpose not taken from the
pipeline. Times are compared as milliseconds, which is what documents keep of them, everything else as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wiz_dagster.sandbox.wiz.times import NEVER, micros_of_text

MILLISECOND = 1000
State = tuple[Any, ...]
"""The facts of a node, the version first."""


@dataclass(frozen=True)
class Compared:
    """A dataset as the comparison knows it.

    Attributes:
        name: as in the landing zone.
        stream: its data stream is `logs-wiz.<stream>-<namespace>`.
        facts: a node's key and the document's path, both dotted; the first is the version.
        times: which of the node's keys hold times.
        snapshot: a day holds what there is, whatever day it last changed on.
    """

    name: str
    stream: str
    facts: Mapping[str, str]
    times: frozenset[str]
    snapshot: bool = False

    def of_node(self, node: Mapping[str, Any]) -> State:
        """The state of a node as Wiz tells it."""
        return tuple(_fact(node.get(key), is_time=key in self.times) for key in self.facts)

    def of_document(self, document: Mapping[str, Any]) -> State:
        """The state of a document."""
        return tuple(_fact(_at(document, path), is_time=key in self.times) for key, path in self.facts.items())


def _fact(value: Any, *, is_time: bool) -> Any:
    if is_time:
        moment = micros_of_text(value)
        return None if moment == NEVER else moment // MILLISECOND
    return value if isinstance(value, str) and value else None


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def last_moment_of(state: State) -> int:
    """Microseconds since 1970 at which a state with this version had begun; 0 without a version."""
    return 0 if state[0] is None else int(state[0]) * MILLISECOND + MILLISECOND - 1


def _configuration(name: str, *, snapshot: bool) -> Compared:
    facts = {"updatedAt": "updated_at", "status": "status", "result": "result", "severity": "severity"}
    places = {key: f"wiz.{name}.{place}" for key, place in facts.items()}
    return Compared(name, name, places, frozenset({"updatedAt"}), snapshot)


AUDIT = Compared(
    "audit",
    "audit",
    {"timestamp": "@timestamp", "status": "wiz.audit.status", "requestId": "http.request.id"},
    frozenset({"timestamp"}),
)
ISSUE = Compared(
    "issue",
    "issue",
    {
        "updatedAt": "wiz.issue.updated_at",
        "status": "wiz.issue.status.value",
        "severity": "wiz.issue.severity",
    },
    frozenset({"updatedAt"}),
)
VULNERABILITY = Compared(
    "vulnerability",
    "vulnerability",
    {
        "updatedAt": "wiz.vulnerability.updated_at",
        "statusUpdatedAt": "wiz.vulnerability.status_updated_at",
        "status": "wiz.vulnerability.status",
        "severity": "wiz.vulnerability.severity",
    },
    frozenset({"updatedAt", "statusUpdatedAt"}),
)
CONFIGURATION = _configuration("cloud_configuration_finding", snapshot=False)
POSTURE = _configuration("cloud_configuration_finding_full_posture", snapshot=True)
DETECTION = Compared(
    "detection",
    "defend_v2",
    {"updatedAt": "@timestamp", "severity": "wiz.defend_v2.severity"},
    frozenset({"updatedAt"}),
)
COMPARED = (AUDIT, ISSUE, VULNERABILITY, CONFIGURATION, POSTURE, DETECTION)
