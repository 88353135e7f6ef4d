from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros_of_text
from wiz_dagster.sandbox.wiz.truth import nodes_of_day, nodes_of_window

from .conftest import AUDIT, ISSUES, NOW, Start

DAY = {"after": "2026-03-03T23:59:59.999999Z", "before": "2026-03-05T00:00:00Z"}


def _ids(nodes: Any) -> list[str]:
    return sorted(node["id"] for node in nodes)


def test_a_walk_over_a_day_gets_what_the_day_truly_holds(start: Start) -> None:
    caller = start()
    tenant = caller.emulator.tenant
    assert _ids(caller.walk(AUDIT, filterBy={"timestamp": DAY})) == _ids(nodes_of_day(tenant, "audit", "2026-03-04"))
    changed = caller.walk(ISSUES, first=97, filterBy={"statusChangedAt": DAY})
    unchanged = [n for n in caller.walk(ISSUES, filterBy={"createdAt": DAY}) if n.get("statusChangedAt") is None]
    assert _ids(changed + unchanged) == _ids(nodes_of_day(tenant, "issue", "2026-03-04"))
    assert unchanged
    assert all(node["statusChangedAt"] for node in changed)


def test_both_bounds_are_exclusive(start: Start) -> None:
    moments = [f"2026-03-01T00:00:00.{n:06d}Z" for n in range(5)]
    nodes = [{"id": str(n), "statusChangedAt": moment} for n, moment in enumerate(moments)]
    caller = start(Tenant(now=NOW, given={"issue": nodes}))
    window = {"after": moments[1], "before": moments[3]}
    assert _ids(caller.walk(ISSUES, filterBy={"statusChangedAt": window})) == ["2"]


def test_filtering_by_status_change_orders_by_it(start: Start) -> None:
    caller = start()
    times = [micros_of_text(n["statusChangedAt"]) for n in caller.walk(ISSUES, filterBy={"statusChangedAt": DAY})]
    assert times == sorted(times)
    reverse = caller.walk(ISSUES, orderBy={"field": "CREATED_AT", "direction": "DESC"})
    times = [micros_of_text(node["createdAt"]) for node in reverse]
    assert times == sorted(times, reverse=True)


def test_audit_entries_come_in_no_order_but_always_the_same(start: Start) -> None:
    caller = start()
    once, again = (caller.walk(AUDIT, first=50, filterBy={"timestamp": DAY}) for _ in range(2))
    assert once == again
    assert [node["timestamp"] for node in once] != sorted(node["timestamp"] for node in once)


def test_filters_leave_what_a_plain_scan_leaves(start: Start) -> None:
    caller = start()
    since = datetime(2026, 3, 1, tzinfo=UTC)
    issues = list(nodes_of_window(caller.emulator.tenant, "issue", since, NOW + timedelta(days=1)))
    project = next(node["projects"][0] for node in issues if node["projects"])
    wanted: dict[str, Any] = {
        "status": ["RESOLVED", "REJECTED"],
        "severity": ["CRITICAL"],
        "type": ["THREAT_DETECTION", "TOXIC_COMBINATION"],
    }
    for name, values in wanted.items():
        assert _ids(caller.walk(ISSUES, filterBy={name: values})) == _ids(n for n in issues if n[name] in values)
    both = caller.walk(ISSUES, filterBy=wanted)
    assert _ids(both) == _ids(n for n in issues if all(n[name] in values for name, values in wanted.items()))
    of_project = [node for node in issues if project in (node["projects"] or [])]
    assert _ids(caller.walk(ISSUES, filterBy={"project": [project["slug"]]})) == _ids(of_project)
    assert _ids(caller.walk(ISSUES, filterBy={"project": [project["id"]]})) == _ids(of_project)
    few = _ids(issues[:3])
    assert _ids(caller.walk(ISSUES, filterBy={"id": [*few, "nonsense"]})) == few


def test_audit_filters_leave_what_a_plain_scan_leaves(start: Start) -> None:
    caller = start()
    entries = list(nodes_of_day(caller.emulator.tenant, "audit", "2026-03-04"))
    failed = ["FAILED", "ACCESS_DENIED"]
    found = caller.walk(AUDIT, filterBy={"timestamp": DAY, "status": failed})
    assert _ids(found) == _ids(node for node in entries if node["status"] in failed)
    found = caller.walk(AUDIT, filterBy={"timestamp": DAY, "actionType": ["MUTATION"]})
    with_type = {node["id"]: node["actionType"] for node in entries if "actionType" in node}
    assert {i for i in _ids(found) if i in with_type} == {i for i, kind in with_type.items() if kind == "MUTATION"}
    user = next(node["user"]["id"] for node in entries if node["user"])
    by_user = [node for node in entries if node["user"] and node["user"]["id"] == user]
    assert _ids(caller.walk(AUDIT, filterBy={"timestamp": DAY, "user": [user]})) == _ids(by_user)
    logins = [node for node in entries if node["action"] == "Login"]
    assert _ids(caller.walk(AUDIT, filterBy={"timestamp": DAY, "actionV2": ["Login"]})) == _ids(logins)


def test_the_total_is_counted_only_when_asked_for(start: Start) -> None:
    caller = start()
    page = caller.data(ISSUES, first=1, withCount=True, filterBy={"statusChangedAt": DAY})
    assert page["totalCount"] == len(caller.walk(ISSUES, filterBy={"statusChangedAt": DAY}))
    assert "totalCount" not in caller.data(ISSUES, first=1)
    assert caller.data(ISSUES, first=0, withCount=True)["nodes"] == []


@pytest.mark.parametrize(("variables", "says"), [
    ({"first": 501}, "first must be from 0 to 500"),
    ({"first": -1}, "first must be from 0 to 500"),
    ({"after": "bm9uc2Vuc2U"}, "after isn't a cursor"),
    ({"filterBy": {"search": "x"}}, "doesn't implement the filter search"),
    ({"filterBy": {"createdAt": {"inLast": {"amount": 1, "unit": "DurationFilterValueUnitDays"}}}}, "createdAt.inLast"),
    ({"filterBy": {"createdAt": {"after": "yesterday"}}}, "createdAt.after isn't a date"),
    ({"filterBy": {"status": []}}, "status is an empty list"),
    ({"filterBy": {"status": ["GONE"]}}, "GONE"),
    ({"filterBy": {"updatedAt": DAY}}, "updatedAt"),
    ({"orderBy": {"field": "SEVERITY", "direction": "ASC"}}, "can't order"),
])  # fmt: skip
def test_bad_input_is_refused_by_name(start: Start, variables: dict[str, Any], says: str) -> None:
    code, message = start().error(ISSUES, **variables)
    assert code == "BAD_USER_INPUT"
    assert says in message


def test_a_cursor_belongs_to_its_query_and_filter(start: Start) -> None:
    caller = start()
    cursor = caller.data(ISSUES, first=5, filterBy={"createdAt": DAY})["pageInfo"]["endCursor"]
    assert caller.data(ISSUES, first=9, after=cursor, filterBy={"createdAt": DAY})["nodes"]
    assert caller.error(ISSUES, first=5, after=cursor, filterBy={"status": ["OPEN"]})[0] == "BAD_USER_INPUT"
    assert caller.error(ISSUES + " ", first=5, after=cursor, filterBy={"createdAt": DAY})[0] == "BAD_USER_INPUT"


def test_a_request_that_is_no_query_is_refused(start: Start) -> None:
    caller = start()
    assert caller.error("nonsense {")[0] == "BAD_USER_INPUT"
    answer = caller.session.post(
        caller.emulator.api_url, data=b"{", headers={"Authorization": f"Bearer {caller.token}"}, timeout=20
    )
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_given_nodes_are_served_with_filters_and_never_nulled(start: Start) -> None:
    nodes: list[dict[str, Any]] = [
        {"id": "a", "status": "NEW_WORD", "severity": {"odd": 1}, "statusChangedAt": "2026-03-04 01:02:03.763277000"},
        {"id": "b", "status": "OPEN", "projects": "null", "statusChangedAt": "2026-03-04T00:00:00Z", "kept": "away"},
        {"id": "c", "status": "OPEN", "statusChangedAt": "null", "createdAt": "2026-03-04T00:00:00Z"},
    ]
    caller = start(Tenant(now=NOW, given={"issue": nodes}))
    found = {node["id"]: node for node in caller.walk(ISSUES, filterBy={"statusChangedAt": DAY})}
    assert found == {"a": nodes[0], "b": {key: value for key, value in nodes[1].items() if key != "kept"}}
    assert _ids(caller.walk(ISSUES, filterBy={"status": ["OPEN"]})) == ["b", "c"]
    assert _ids(caller.walk(ISSUES, filterBy={"id": ["c"]})) == ["c"]
    assert _ids(caller.walk(ISSUES)) == ["a", "b", "c"]


def test_a_walk_sees_the_tenant_as_it_was_at_its_first_page(start: Start) -> None:
    caller = start(Tenant(now=NOW, days=2, volumes={"audit": 40_000_000}, live=True))
    window = {"timestamp": {"after": (NOW - timedelta(milliseconds=200)).isoformat()}}
    first = caller.data(AUDIT, first=10, filterBy=window)
    then = caller.data(AUDIT, first=10, after=first["pageInfo"]["endCursor"], filterBy=window)
    assert then["totalCount"] == first["totalCount"]
    assert caller.data(AUDIT, first=10, filterBy=window)["totalCount"] > first["totalCount"]


def test_millions_of_nodes_cost_what_the_window_holds(start: Start) -> None:
    caller = start(Tenant(now=NOW, days=365, volumes={"audit": 1_000_000}))
    window = {"after": "2025-10-01T12:00:00Z", "before": "2025-10-01T12:00:01Z"}
    nodes = caller.walk(AUDIT, filterBy={"timestamp": window})
    assert len(nodes) == pytest.approx(11, abs=3)


def test_requests_are_logged_without_secrets(start: Start) -> None:
    caller = start()
    caller.data(AUDIT, first=3)
    caller.error(ISSUES, first=900)
    log = caller.emulator.requests
    assert [(one.root, one.status, one.code) for one in log] == [
        ("token", 200, None),
        ("auditLogEntries", 200, None),
        ("issuesV2", 200, "BAD_USER_INPUT"),
    ]
    assert log[1].variables == {"first": 3}
    assert caller.token not in repr(log)
    assert caller.emulator.client_secret not in repr(log)
    counts = caller.session.get(caller.emulator.url + "/control/requests", timeout=20).json()
    assert Counter(one["root"] for one in counts) == {"token": 1, "auditLogEntries": 1, "issuesV2": 1}
