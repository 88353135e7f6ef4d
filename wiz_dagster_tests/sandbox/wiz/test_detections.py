import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros, micros_of_text
from wiz_dagster.sandbox.wiz.truth import nodes_of_day, nodes_of_window

from .conftest import NOW, Caller, Start

DETECTIONS = """
query D($first: Int, $after: String, $filterBy: DetectionFilters, $orderBy: DetectionOrder) {
  detections(first: $first, after: $after, filterBy: $filterBy, orderBy: $orderBy, enforceTimestampContinuity: true) {
    nodes {
      id type severity createdAt updatedAt description(format: MARKDOWN)
      triggeringEvents(first: 50) { totalCount totalCountV2 nodes { ... on CloudEvent { id rawAuditLogRecord } } }
    }
    pageInfo { hasNextPage endCursor }
    totalCount
    maxCountReached
  }
}
"""
BOTH = {"type": {"equals": ["GENERATED_THREAT", "MATCH_ONLY"]}}
KEPT = timedelta(days=7)


def _tenant(now: datetime = NOW, days: int = 14, volume: int = 60) -> Tenant:
    return Tenant(now=now, days=days, volumes={"detection": volume})


def _ids(nodes: Any) -> list[str]:
    return sorted(node["id"] for node in nodes)


def _all_nodes(tenant: Tenant) -> list[dict[str, Any]]:
    """Read without filters, and without the truth."""
    source, now = tenant.source("detection"), micros(tenant.now)
    return [node for block in source.blocks({}, now) for node in source.nodes(block, now)]


@pytest.fixture(scope="module")
def detections() -> list[dict[str, Any]]:
    return _all_nodes(_tenant(volume=300))


@pytest.fixture
def caller(start: Start) -> Caller:
    return start(_tenant())


@pytest.mark.parametrize("days_back", [0, 1, 3, 6])
def test_a_walk_over_a_day_gets_what_the_day_truly_holds(caller: Caller, days_back: int) -> None:
    day = (NOW - timedelta(days=days_back)).date()
    window = {"after": f"{day - timedelta(days=1)}T23:59:59.999999Z", "before": f"{day + timedelta(days=1)}T00:00:00Z"}
    truth = list(nodes_of_day(caller.emulator.tenant, "detection", day.isoformat()))
    assert len(truth) > 20
    assert _ids(caller.walk(DETECTIONS, first=17, filterBy={"updatedAt": window, **BOTH})) == _ids(truth)


def test_without_a_type_only_generated_threats_come(caller: Caller) -> None:
    everything = caller.walk(DETECTIONS, filterBy=BOTH)
    threats = caller.walk(DETECTIONS, filterBy={"type": {"equals": ["GENERATED_THREAT"]}})
    matches = caller.walk(DETECTIONS, filterBy={"type": {"equals": ["MATCH_ONLY"]}})
    assert _ids(threats) != _ids(matches) != []
    assert _ids(threats + matches) == _ids(everything)
    assert _ids(caller.walk(DETECTIONS)) == _ids(threats)
    assert _ids(caller.walk(DETECTIONS, filterBy={"updatedAt": {"before": "2027-01-01T00:00:00Z"}})) == _ids(threats)
    assert {node.get("type", "GENERATED_THREAT") for node in threats} == {"GENERATED_THREAT"}


def test_filters_leave_what_a_plain_scan_leaves(caller: Caller) -> None:
    nodes = _all_nodes(caller.emulator.tenant)

    def asked(**filters: Any) -> list[str]:
        return _ids(caller.walk(DETECTIONS, filterBy=BOTH | filters))

    severe = ["HIGH", "CRITICAL"]
    assert asked(severity={"equals": severe}) == _ids(n for n in nodes if n["severity"] in severe)
    project = next(node["projects"][0]["id"] for node in nodes if node["projects"])
    of_project = [n for n in nodes if project in [one["id"] for one in n["projects"]]]
    assert asked(projectId=[project]) == _ids(of_project)
    account = nodes[0]["cloudAccounts"][0]["id"]
    of_account = [n for n in nodes if n["cloudAccounts"][0]["id"] == account]
    assert asked(cloudAccountOrCloudOrganizationId={"equals": [account]}) == _ids(of_account)
    few = _ids(nodes[:3])
    assert asked(id={"equals": [*few, "nonsense"]}) == few
    since = "2026-03-03T00:00:00Z"
    assert asked(createdAt={"after": since}) == _ids(
        n for n in nodes if micros_of_text(n["createdAt"]) > micros_of_text(since)
    )


@pytest.mark.parametrize(("variables", "says"), [
    ({"filterBy": {"startedAt": {"after": "2026-03-03T00:00:00Z"}}}, "startedAt.after"),
    ({"filterBy": {"severity": {"notEquals": ["LOW"]}}}, "severity.notEquals"),
    ({"filterBy": {"type": {"equals": ["GONE"]}}}, "GONE"),
    ({"orderBy": {"direction": "ASC", "field": "STARTED_AT"}}, "can't order"),
    ({"first": 501}, "first must be from 0 to 500"),
])  # fmt: skip
def test_what_is_not_emulated_is_refused_by_name(caller: Caller, variables: dict[str, Any], says: str) -> None:
    code, message = caller.error(DETECTIONS, **variables)
    assert code == "BAD_USER_INPUT"
    assert says in message


def test_they_come_in_the_order_asked_for(caller: Caller) -> None:
    nodes = caller.walk(DETECTIONS, first=50, orderBy={"field": "UPDATED_AT", "direction": "DESC"})
    times = [micros_of_text(node["updatedAt"]) for node in nodes]
    assert times == sorted(times, reverse=True)


def test_fifty_of_many_triggering_events_come_with_the_whole_number(caller: Caller) -> None:
    connections = [node["triggeringEvents"] for node in caller.walk(DETECTIONS, filterBy=BOTH)]
    lengths = Counter((len(one["nodes"]), one["totalCountV2"]) for one in connections)
    assert {(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (50, 60)} <= lengths.keys()
    assert lengths[50, 60] < len(connections) / 30


def test_nothing_older_than_wiz_keeps_is_found_in_any_way(caller: Caller) -> None:
    tenant = caller.emulator.tenant
    before = {"updatedAt": {"before": (NOW - KEPT).isoformat()}}
    assert caller.walk(DETECTIONS, filterBy=BOTH | before) == []
    assert list(nodes_of_window(tenant, "detection", NOW - timedelta(days=14), NOW - KEPT)) == []
    nodes = caller.walk(DETECTIONS, filterBy=BOTH)
    assert _ids(nodes) == _ids(nodes_of_window(tenant, "detection", NOW - 2 * KEPT, NOW + timedelta(days=1)))
    oldest = min(micros_of_text(node["updatedAt"]) for node in nodes)
    assert micros(NOW - KEPT) <= oldest < micros(NOW - KEPT + timedelta(hours=3))
    earlier = _ids(_all_nodes(_tenant(NOW - timedelta(days=5), days=9)))
    gone = sorted(set(earlier) - {node["id"] for node in nodes})
    assert gone
    assert caller.walk(DETECTIONS, filterBy=BOTH | {"id": {"equals": gone}}) == []


def test_a_detection_evaluated_again_is_updated_and_an_earlier_look_does_not_see_it() -> None:
    before = {node["id"]: node for node in _all_nodes(_tenant(NOW - timedelta(days=2), days=12))}
    after = {node["id"]: node for node in _all_nodes(_tenant())}
    common = before.keys() & after.keys()
    moved = [i for i in common if before[i]["updatedAt"] != after[i]["updatedAt"]]
    assert len(common) > len(moved) > 10
    assert all(micros_of_text(after[i]["updatedAt"]) > micros(NOW - timedelta(days=2)) for i in moved)
    assert all(before[i] == after[i] for i in common if i not in moved)
    assert all(before[i]["createdAt"] == after[i]["createdAt"] for i in common)


def test_times_follow_one_another_and_none_lies_ahead(detections: list[dict[str, Any]]) -> None:
    for node in detections:
        started, created, updated, ended = (
            micros_of_text(node[name]) for name in ("startedAt", "createdAt", "updatedAt", "endedAt")
        )
        assert started <= created <= updated <= micros(NOW)
        assert started <= ended <= updated
    digits = {len(node["updatedAt"].partition(".")[2].rstrip("Z")) for node in detections}
    assert digits == {0, 1, 3, 5, 6, 7, 8, 9}


def test_odd_shapes_are_among_them(detections: list[dict[str, Any]]) -> None:
    def some(holds: Any) -> bool:
        return any(holds(node) for node in detections)

    events = [event for node in detections for event in node["triggeringEvents"]["nodes"]]
    assert {node["severity"] for node in detections} >= {"INFORMATIONAL", "CRITICAL", "SEVERE"}
    assert some(lambda n: n.get("primaryActor", {}).get("id") == "" and n["primaryActor"]["type"] == "UNKNOWN")
    assert some(lambda n: "primaryActor" not in n and n["actors"] is None)
    assert some(lambda n: n["primaryResource"].keys() == {"id"})
    assert some(lambda n: "ruleMatch" not in n)
    assert some(lambda n: "type" not in n and "origins" not in n and "issue" not in n)
    assert some(lambda n: "url" in (n.get("issue") or {}))
    assert some(lambda n: n["description"] is None)
    assert some(lambda n: n["primaryResource"].get("type") == "ENDPOINT")
    assert some(lambda n: "MOONBASE_LOGS" in n.get("origins", []))
    assert some(lambda n: not n["triggeringEvents"]["nodes"])
    assert any("timestamp" not in event for event in events)
    assert any("__typename" not in event for event in events)
    assert any(event.get("actorIP") == "AWS Internal" for event in events)
    assert any(event.get("actorIPMeta", {}).get("autonomousSystemNumber") == "64500" for event in events)
    assert any(len(orjson.dumps(event.get("rawAuditLogRecord"))) > 1000 for event in events)


def test_events_say_where_they_come_from(detections: list[dict[str, Any]]) -> None:
    records = [e.get("rawAuditLogRecord") for node in detections for e in node["triggeringEvents"]["nodes"]]
    keys = {key for record in records if isinstance(record, dict) for key in record}
    assert {"userIdentity", "common", "alert", "service", "objectRef"} <= keys
    assert any(record == {} for record in records)
    tactics = {one["category"]["name"] for one in filed_under(detections)}
    assert {"Credential Access", "Credential access", "Initial Access"} <= tactics


def filed_under(detections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sub-categories of the rules that matched."""
    rules = [node["ruleMatch"]["rule"] for node in detections if "ruleMatch" in node]
    return [one for rule in rules for one in rule["securitySubCategories"]]


def test_rules_are_filed_under_mitre_s_tactics_and_techniques_by_their_ids(detections: list[dict[str, Any]]) -> None:
    categories = filed_under(detections)
    of_mitre = [one for one in categories if "MITRE" in one["category"]["framework"].get("name", "")]
    others = [one for one in categories if "MITRE" not in one["category"]["framework"].get("name", "MITRE")]
    named = [one for one in of_mitre if one["category"]["externalId"].startswith("TA00")]
    assert len(named) > 100
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", one["externalId"]) for one in named)
    assert {one["externalId"].partition(".")[2] == "" for one in named} == {True, False}
    assert others
    assert not any(re.match(r"TA?\d{4}", one["externalId"]) for one in others)
