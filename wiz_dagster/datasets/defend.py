"""Dataset `defend`: what Wiz Defend sends to the webhook; the data stream is that of Elastic's `defend`.

Bodies become nodes in `defend_body.py`, their parts our own fields in `defend_parts.py` and ECS's in `defend_ecs.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import MappingProxyType

from wiz_dagster.datasets.base import Dataset, Node
from wiz_dagster.datasets.defend_body import EVENTS, joined, split
from wiz_dagster.datasets.defend_ecs import (
    put_addresses,
    put_events,
    put_people,
    put_processes,
    put_resources,
    put_threats,
)
from wiz_dagster.datasets.defend_parts import Part, parts_of, read_parts
from wiz_dagster.datasets.detection_origins import ORIGINS
from wiz_dagster.ecs.columns import Columns, pluck
from wiz_dagster.ecs.options import EcsOptions

ROOT = "wiz.defend"
REPEATED = frozenset(
    f"{ROOT}.{name}"
    for name in (
        "detection_url",
        "mitreTactics",
        "threat_id",
        "threat_url",
        "trigger.rule_id",
        "trigger.rule_name",
        "trigger.type",
        "triggering_event.actor.id",
        "triggering_event.actor.name",
        "triggering_event.actor_ip_meta.autonomous_system_number",
        "triggering_event.actor_ip_meta.autonomous_system_organization",
        "triggering_event.cloud_platform",
        "triggering_event.description",
        "triggering_event.event_time",
        "triggering_event.id",
        "triggering_event.source",
        "triggering_event.subject_resource_ip",
    )
)
"""Fields that are there with `preserve_duplicate_custom_fields` alone, as in Elastic's integration."""


def transform(nodes: Sequence[Node], options: EcsOptions) -> Columns:
    """The ECS columns of events."""
    columns = Columns(ROOT, nodes, frozenset(_whole().spelled) | {EVENTS})
    columns.constant("alert", "event.kind")
    columns.constant(["threat"], "event.category")
    columns.constant(["indicator"], "event.type")
    columns.constant("Defend", "observer.product")
    columns.constant("Wiz", "observer.vendor")
    for row, value in enumerate(pluck(nodes, EVENTS)):
        columns.set_aside(row, EVENTS, value)
    left_out = frozenset[str]() if options.preserve_duplicate_custom_fields else REPEATED
    found = read_parts(columns, joined(nodes), _whole(), left_out)
    columns.expect(found["triggeringEvent.origin"], "triggeringEvent.origin", ORIGINS)
    times = ("triggeringEvent.eventTime", "createdAt", "timeframe.start")
    columns.main_date([(path, found[path]) for path in times], options.fetched_timestamp)
    put_events(columns, found)
    put_threats(columns, found)
    put_people(columns, found)
    put_addresses(columns, found, options)
    put_processes(columns, found)
    put_resources(columns, found)
    return columns


@cache
def _whole() -> Part:
    return parts_of(DEFEND.fields(), ROOT)


DEFEND = Dataset(
    name="defend",
    stream="defend",
    root="",
    scope="",
    description=(
        "Wiz Defend's detections as Wiz sends them to the webhook, one document a triggering event, filed under the "
        "day they were received."
    ),
    walks=(),
    window_fields=(),
    version_field=None,
    reach_days=None,
    filters=MappingProxyType({}),
    default_tags=("forwarded", "wiz-defend"),
    transform=transform,
    split=split,
)
