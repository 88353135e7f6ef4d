from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.errors import SettingsError
from wiz_dagster.sandbox.wiz.cursors import Place, seal, unseal
from wiz_dagster.sandbox.wiz.hashing import node_id, ordinal_of
from wiz_dagster.sandbox.wiz.source import read_nodes
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import DAY, micros, micros_of_text
from wiz_dagster.sandbox.wiz.truth import moment_of, nodes_of_day, nodes_of_window

from .conftest import NOW


def _all_nodes(tenant: Tenant, dataset: str) -> list[dict[str, Any]]:
    now = micros(tenant.now)
    return [
        node for block in tenant.source(dataset).blocks({}, now) for node in tenant.source(dataset).nodes(block, now)
    ]


@pytest.fixture(scope="module")
def issues() -> list[dict[str, Any]]:
    return _all_nodes(Tenant(now=NOW, days=20, volumes={"issue": 400}), "issue")


def test_the_same_seed_gives_the_same_tenant_and_another_seed_another() -> None:
    one, again, other = (Tenant(now=NOW, seed=seed, days=3, volumes={"audit": 50, "issue": 50}) for seed in (5, 5, 6))
    for dataset in ("audit", "issue"):
        assert orjson.dumps(_all_nodes(one, dataset)) == orjson.dumps(_all_nodes(again, dataset))
        assert _all_nodes(one, dataset) != _all_nodes(other, dataset)


def test_a_node_is_the_same_alone_and_among_others() -> None:
    source = Tenant(now=NOW, days=9, volumes={"issue": 1_000_000}).source("issue")
    ordinals = np.array([3, 4_000_000, 7_999_999], dtype=np.int64)
    together = source.nodes(ordinals, micros(NOW))
    assert together == [source.nodes(ordinals[i : i + 1], micros(NOW))[0] for i in range(3)]


def test_nothing_lies_in_the_future(issues: list[dict[str, Any]]) -> None:
    for name in ("createdAt", "statusChangedAt", "updatedAt"):
        assert max(micros_of_text(issue.get(name)) for issue in issues) <= micros(NOW)


def test_today_ends_now_and_earlier_days_are_whole() -> None:
    tenant = Tenant(now=NOW, days=3, volumes={"audit": 240})
    days = Counter(node["timestamp"][:10] for node in _all_nodes(tenant, "audit"))
    assert days == {"2026-03-03": 240, "2026-03-04": 240, "2026-03-05": pytest.approx(135, abs=2)}


def test_issues_change_on_later_days_and_an_earlier_look_does_not_see_it() -> None:
    def look(now: datetime, days: int) -> dict[str, dict[str, Any]]:
        return {node["id"]: node for node in _all_nodes(Tenant(now=now, days=days, volumes={"issue": 300}), "issue")}

    before, after = look(NOW - timedelta(days=2), 4), look(NOW, 6)
    assert before.keys() < after.keys()
    changed = [
        before[i]["status"] + ">" + after[i]["status"] for i in before if before[i]["status"] != after[i]["status"]
    ]
    assert len(changed) > 20
    assert all(one.startswith("OPEN>") for one in changed)


def test_times_are_null_tied_at_midnight_and_in_all_precisions(issues: list[dict[str, Any]]) -> None:
    changes = [issue.get("statusChangedAt") for issue in issues]
    assert changes.count(None) > 100
    assert any("statusChangedAt" not in issue for issue in issues)
    tied = Counter(change for change in changes if change)
    assert max(tied.values()) > 1
    assert any(micros_of_text(change) % DAY == 0 for change in tied)
    digits = {len(issue["createdAt"].partition(".")[2].rstrip("Z")) for issue in issues}
    assert digits == {0, 1, 3, 5, 6, 7, 8, 9}


def test_odd_shapes_are_among_the_issues(issues: list[dict[str, Any]]) -> None:
    assert {issue["status"] for issue in issues} == {"OPEN", "IN_PROGRESS", "RESOLVED", "REJECTED", "SNOOZED"}
    assert any(issue["severity"] == "SEVERE" for issue in issues)
    assert any(issue["sourceRules"] and issue["sourceRules"][0].keys() == {"name"} for issue in issues)
    assert any(issue["entitySnapshot"]["tags"] == "null" for issue in issues)
    assert any("notes" not in issue for issue in issues)
    assert any(issue.get("notes", 0) is None for issue in issues)
    assert any(len(issue["description"]) > 10_000 for issue in issues)
    sizes = [len(orjson.dumps(issue)) for issue in issues]
    assert 2_000 < sum(sizes) / len(sizes) < 8_000


def test_audit_entries_are_by_people_or_machines() -> None:
    entries = _all_nodes(Tenant(now=NOW, days=3, volumes={"audit": 500}), "audit")
    assert any(entry["user"] is None and entry["serviceAccount"] for entry in entries)
    assert any(entry["user"] and entry.get("serviceAccount", 0) is None for entry in entries)
    assert any("serviceAccount" not in entry for entry in entries)
    assert any({"ID", "id"} <= entry["actionParameters"].keys() for entry in entries)
    assert any("selection" in entry["actionParameters"] for entry in entries)


def test_the_days_of_the_truth_hold_every_node_once() -> None:
    tenant = Tenant(now=NOW, days=20, volumes={"issue": 40})
    days = [(NOW - timedelta(days=back)).date().isoformat() for back in range(20)]
    found = [node["id"] for day in days for node in nodes_of_day(tenant, "issue", day)]
    assert sorted(found) == sorted(issue["id"] for issue in _all_nodes(tenant, "issue"))


@pytest.mark.parametrize("dataset", ["audit", "issue"])
@pytest.mark.parametrize("hours", [0, 5, 24, 100, 337])
def test_the_truth_of_a_window_is_what_all_nodes_say(dataset: str, hours: int) -> None:
    tenant = Tenant(now=NOW, days=16, volumes={dataset: 30})
    start = NOW - timedelta(hours=hours + 24)
    for length in (timedelta(minutes=7), timedelta(hours=24)):
        found = [node["id"] for node in nodes_of_window(tenant, dataset, start, start + length)]
        expected = [
            node["id"]
            for node in _all_nodes(tenant, dataset)
            if (moment := moment_of(node, dataset)) and start <= moment < start + length
        ]
        assert sorted(found) == sorted(expected)


def test_the_truth_of_a_window_is_half_open() -> None:
    def node(identifier: str, changed: str | None) -> dict[str, Any]:
        return {"id": identifier, "statusChangedAt": changed, "createdAt": "2026-03-01T00:00:00Z"}

    nodes = [node("a", "2026-03-02T00:00:00Z"), node("b", "2026-03-03T00:00:00Z"), node("c", None), {"id": "d"}]
    tenant = Tenant(now=NOW, given={"issue": nodes})
    start = datetime(2026, 3, 2, tzinfo=UTC)
    assert [one["id"] for one in nodes_of_window(tenant, "issue", start, start + timedelta(days=1))] == ["a"]
    assert [one["id"] for one in nodes_of_day(tenant, "issue", "2026-03-01")] == ["c"]
    assert moment_of(nodes[3], "issue") is None


def test_a_live_clock_runs_and_a_still_one_stands() -> None:
    live, still = Tenant(now=NOW, live=True), Tenant(now=NOW)
    assert still.now == NOW
    first = live.now
    while live.now == first:
        pass
    assert live.now > first


@pytest.mark.parametrize("options", [{"volumes": {"nonsense": 1}}, {"days": 0}, {"volumes": {"issue": 0}}])
def test_a_tenant_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Tenant(now=NOW, **options)


def test_a_line_that_is_not_an_object_is_named(tmp_path: Any) -> None:
    path = tmp_path / "nodes.ndjson"
    path.write_text('{"id": 1}\n\n[2]\n')
    with pytest.raises(SettingsError, match="Line 3"):
        read_nodes(path)
    with pytest.raises(SettingsError, match="Can't read"):
        read_nodes(tmp_path / "absent")


@given(st.integers(0, 1 << 47), st.integers(0, (1 << 64) - 1))
def test_an_id_leads_back_to_its_ordinal(ordinal: int, key: int) -> None:
    assert ordinal_of(key, node_id(key, ordinal)) == ordinal


@given(st.text(max_size=60))
def test_a_text_that_is_no_id_or_cursor_leads_nowhere(text: str) -> None:
    assert ordinal_of(5, text) is None
    assert unseal(text, key=b"k", walk=b"w") is None


@given(st.integers(0, 1 << 60), st.integers(-(1 << 62), 1 << 62), st.integers(0, 1 << 30))
def test_a_cursor_opens_for_its_own_walk_only(served: int, now: int, variant: int) -> None:
    place = Place(served, now, variant)
    text = seal(place, key=b"k", walk=b"w")
    assert unseal(text, key=b"k", walk=b"w") == place
    assert unseal(text, key=b"k", walk=b"x") is None
    assert unseal(text, key=b"l", walk=b"w") is None
