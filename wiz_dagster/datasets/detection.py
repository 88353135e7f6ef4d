"""Dataset `detection`: what Wiz Defend detected, asked from the API; the data stream is that of Elastic's `defend_v2`.

A detection's whole object is kept under Elastic's names (`detection_shape.py`); what ECS has a place for is taken from
there (`detection_ecs.py`). Beside what Elastic's integration has stand start and end, projects, what the sensor saw,
outcome, source and network of each event, the resource's tags and Kubernetes places, and the rule's MITRE techniques.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any

from wiz_dagster.datasets.base import Dataset, Node, Walk
from wiz_dagster.datasets.detection_ecs import (
    put_actors,
    put_events,
    put_lists,
    put_resources,
    put_severities,
)
from wiz_dagster.datasets.detection_names import keeps_place
from wiz_dagster.datasets.detection_origins import ORIGINS
from wiz_dagster.datasets.detection_rows import fitted_rows
from wiz_dagster.datasets.detection_rule import put_rules
from wiz_dagster.datasets.detection_shape import Shape, shape_of
from wiz_dagster.ecs.columns import Columns, Values, pluck
from wiz_dagster.ecs.options import EcsOptions

ROOT = "wiz.defend_v2"
KEYS = frozenset(
    {
        "id",
        "type",
        "severity",
        "description",
        "origins",
        "createdAt",
        "updatedAt",
        "startedAt",
        "endedAt",
        "ignored",
        "isRetroactive",
        "issue",
        "projects",
        "cloudAccounts",
        "cloudOrganizations",
        "actors",
        "resources",
        "primaryActor",
        "primaryResource",
        "ruleMatch",
        "runtimeDetails",
        "triggeringEvents",
    }
)
MOVED = {
    "id": "keyword",
    "description": "match_only_text",
    "updated_at": "date",
    "started_at": "date",
    "ended_at": "date",
    "issue.url": "keyword",
    "primary_resource.region": "keyword",
    "rule_match.version": "keyword",
    "rule_match.rule.id": "keyword",
    "rule_match.rule.name": "keyword",
    "rule_match.rule.description": "match_only_text",
    "triggering_events.total_count_v2": "long",
}
"""What of a detection's object is only found elsewhere in the document, and the type that it must have there."""
SEVERITIES = frozenset({"CRITICAL", "HIGH", "INFORMATIONAL", "LOW", "MEDIUM"})
TYPES = frozenset({"GENERATED_THREAT", "MATCH_ONLY"})


def transform(nodes: Sequence[Node], options: EcsOptions) -> Columns:
    """The ECS columns of detections."""
    unknown: set[str] = set().union(*nodes) - KEYS
    columns = Columns(ROOT, nodes, KEYS | frozenset(filter(keeps_place, unknown)))
    columns.constant("alert", "event.kind")
    columns.constant(["threat"], "event.category")
    columns.constant(["indicator"], "event.type")
    columns.constant("Defend", "observer.product")
    columns.constant("Wiz", "observer.vendor")
    rows = fitted_rows(columns, nodes, _shape())
    columns.put(_taken(rows, "id"), "event.id")
    columns.put(_taken(rows, "description"), "message")
    _times(columns, rows, options)
    severities = pluck(rows, "severity")
    put_severities(columns, severities)
    columns.expect(severities, "severity", SEVERITIES)
    columns.expect(pluck(rows, "type"), "type", TYPES)
    columns.expect(chain.from_iterable(map(_items, pluck(rows, "origins"))), "origins", ORIGINS)
    issues = [item if type(item) is dict else {} for item in pluck(rows, "issue")]
    columns.put(_taken(issues, "url"), "event.reference")
    put_lists(columns, rows)
    put_actors(columns, rows)
    put_resources(columns, rows)
    put_rules(columns, rows)
    put_events(columns, rows, options)
    _counts(rows)
    for name in sorted(_own_names().union(*rows)):
        columns.put(pluck(rows, name), f"{ROOT}.{name}", settled=True)
    return columns


@cache
def _shape() -> Shape:
    """The shape of a detection's object: the fields of the table that are our own, and what is moved from there."""
    own = {field.name.removeprefix(f"{ROOT}."): field.type for field in DETECTION.fields() if not field.is_ecs}
    ours = {name: kind for name, kind in own.items() if not name.startswith("labels.") and name != "unmapped"}
    return shape_of({**ours, **MOVED})


@cache
def _own_names() -> frozenset[str]:
    return frozenset(_shape()) - MOVED.keys()


def _taken(rows: Iterable[Node], key: str) -> Values:
    return [row.pop(key, None) for row in rows]


def _items(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _times(columns: Columns, rows: Sequence[Node], options: EcsOptions) -> None:
    started, ended = _taken(rows, "started_at"), _taken(rows, "ended_at")
    columns.put(started, "event.start")
    columns.put(ended, "event.end")
    candidates = [
        ("updatedAt", _taken(rows, "updated_at")),
        ("endedAt", ended),
        ("createdAt", pluck(rows, "created_at")),
        ("startedAt", started),
    ]
    columns.main_date(candidates, options.fetched_timestamp)


def _counts(rows: Iterable[Node]) -> None:
    """The count of triggering events under its field's name; the deprecated key's yields to its successor's."""
    for row in rows:
        events = row.get("triggering_events")
        if type(events) is dict and (count := events.pop("total_count_v2", None)) is not None:
            events["total_count"] = count


# Wiz asks for read:cloud_events_cloud, read:cloud_events_sensor and read:security_scans too, for the triggering events.
DETECTION = Dataset(
    name="detection",
    stream="defend_v2",
    root="detections",
    scope="read:detections",
    description=(
        "Wiz Defend's detections, filed under the day of their last update. Wiz keeps them about 7 days. The service "
        "account needs read:cloud_events_cloud, read:cloud_events_sensor and read:security_scans besides."
    ),
    walks=(Walk("updatedAt"),),
    window_fields=("updatedAt",),
    version_field="updatedAt",
    reach_days=7,
    filters=MappingProxyType(
        {
            "severity": "severity.equals",
            "project": "projectId",
            "cloud_account": "cloudAccountOrCloudOrganizationId.equals",
        }
    ),
    default_tags=("forwarded", "wiz-defend-v2"),
    transform=transform,
    always=MappingProxyType({"type": {"equals": ["GENERATED_THREAT", "MATCH_ONLY"]}}),
)
