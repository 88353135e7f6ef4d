"""The latest views on the real node: whatever is written in whatever order, the newest state of each finding stays."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import dataset_named
from wiz_dagster.elasticsearch.latest_index import index_body
from wiz_dagster.elasticsearch.latest_views import VIEWS, LatestView
from wiz_dagster.elasticsearch.latest_writer import write_latest
from wiz_dagster.elasticsearch.partition import EcsPartition, FrameBatch
from wiz_dagster.elasticsearch.reconcile import Destination
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.elasticsearch.latest_helpers import (
    DAYS,
    FIRST,
    SECOND,
    THIRD,
    at,
    figures,
    finding,
    held,
    land,
    latest_day,
    shown,
    view_named,
    write,
)
from wiz_dagster_tests.elasticsearch.partition_helpers import AT_ONCE
from wiz_dagster_tests.landing.landing_helpers import zone_at


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return zone_at(tmp_path)


def made(elasticsearch: Elasticsearch, namespace: str, name: str) -> Iterator[LatestView]:
    view = view_named(name, namespace)
    yield view
    elasticsearch.indices.delete(index=view.index, ignore_unavailable=True)


@pytest.fixture
def issues(elasticsearch: Elasticsearch, namespace: str) -> Iterator[LatestView]:
    yield from made(elasticsearch, namespace, "issue")


@pytest.fixture
def posture(elasticsearch: Elasticsearch, namespace: str) -> Iterator[LatestView]:
    yield from made(elasticsearch, namespace, "misconfiguration")


@pytest.mark.parametrize("name", [view.name for view in VIEWS])
def test_any_order_of_days_gives_the_same_view(
    name: str, zone: LandingZone, elasticsearch: Elasticsearch, namespace: str
) -> None:
    for view in made(elasticsearch, namespace, name):
        land(zone, view, FIRST, [finding(1, FIRST), finding(2, FIRST), finding(3, FIRST)])
        land(zone, view, SECOND, [finding(1, SECOND, "RESOLVED"), finding(2, SECOND, "IN_PROGRESS"), finding(3, FIRST)])
        land(zone, view, THIRD, [finding(1, THIRD, "IN_PROGRESS"), finding(2, THIRD, "RESOLVED"), finding(4, THIRD)])
        states, seen = [], []
        for number, order in enumerate(permutations(DAYS)):
            of_order = f"{namespace}{number}"
            for day in order:
                write(zone, elasticsearch, of_order, view, day)
            states.append(held(elasticsearch, of_order, view))
            seen.append(shown(elasticsearch, of_order, view))
        assert states == [states[0]] * len(states)
        assert set(states[0]) == {"f-1", "f-2", "f-3", "f-4"}
        expected = {"f-1", "f-2", "f-4"} if view.gone_field else {"f-1", "f-3", "f-4"}
        assert seen == [expected] * len(seen)


def test_a_resolved_finding_never_comes_back(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, issues: LatestView
) -> None:
    land(zone, issues, FIRST, [finding(1, FIRST), finding(2, FIRST)])
    land(zone, issues, SECOND, [finding(1, SECOND, "RESOLVED")])
    assert write(zone, elasticsearch, namespace, issues, FIRST).shown == 2
    elasticsearch.indices.put_settings(index=issues.index, settings={"index.gc_deletes": "0s"})
    assert write(zone, elasticsearch, namespace, issues, SECOND).shown == 1
    again = write(zone, elasticsearch, namespace, issues, FIRST, tags=["other"])
    assert figures(again) == {"written": 1, "superseded": 1}
    assert shown(elasticsearch, namespace, issues) == {"f-2"}
    assert set(held(elasticsearch, namespace, issues)) == {"f-1", "f-2"}


def test_a_second_run_sends_nothing_and_a_new_fetch_only_what_it_brought(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, issues: LatestView
) -> None:
    land(zone, issues, FIRST, [finding(1, FIRST), finding(2, FIRST)])
    assert figures(write(zone, elasticsearch, namespace, issues, FIRST)) == {"written": 2}
    again = write(zone, elasticsearch, namespace, issues, FIRST)
    assert (figures(again), again.bytes, again.shown) == ({"unchanged": 2}, 0, 2)
    newer = finding(1, FIRST, "IN_PROGRESS", updatedAt="2026-11-18T15:00:00Z")
    land(zone, issues, FIRST, [newer, finding(3, FIRST)], hour=16)
    assert figures(write(zone, elasticsearch, namespace, issues, FIRST)) == {"written": 2, "unchanged": 1}
    assert write(zone, elasticsearch, namespace, issues, FIRST).bytes == 0


def test_of_equal_versions_in_two_days_the_later_day_stays(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, issues: LatestView
) -> None:
    for day, severity in ((FIRST, "HIGH"), (SECOND, "LOW")):
        land(zone, issues, day, [finding(1, FIRST, severity=severity)])
    for day in (SECOND, FIRST):
        write(zone, elasticsearch, namespace, issues, day)
    (document,) = [source for _, source in held(elasticsearch, namespace, issues).values()]
    assert document["wiz"]["issue"]["severity"] == "LOW"


def test_a_version_that_changed_without_growing_is_taken_from_the_newest_fetch(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, issues: LatestView
) -> None:
    for hour, severity in ((13, "HIGH"), (14, "LOW")):
        land(zone, issues, FIRST, [finding(1, FIRST, severity=severity)], hour=hour)
        assert figures(write(zone, elasticsearch, namespace, issues, FIRST)) == {"written": 1}
    (document,) = [source for _, source in held(elasticsearch, namespace, issues).values()]
    assert document["wiz"]["issue"]["severity"] == "LOW"


def test_namespaces_do_not_touch_each_other(
    zone: LandingZone, tmp_path: Path, elasticsearch: Elasticsearch, namespace: str, posture: LatestView
) -> None:
    other = zone_at(tmp_path / "other")
    land(zone, posture, FIRST, [finding(1, FIRST), finding(2, FIRST)])
    land(other, posture, SECOND, [finding(2, SECOND)])
    write(zone, elasticsearch, namespace, posture, FIRST)
    before = held(elasticsearch, namespace, posture)
    assert write(other, elasticsearch, f"{namespace}2", posture, SECOND).shown == 1
    assert held(elasticsearch, namespace, posture) == before
    assert shown(elasticsearch, namespace, posture) == {"f-1", "f-2"}


@pytest.mark.parametrize("name", [view.name for view in VIEWS])
def test_a_view_made_anew_from_the_landing_zone_is_identical(
    name: str, zone: LandingZone, elasticsearch: Elasticsearch, namespace: str
) -> None:
    for view in made(elasticsearch, namespace, name):
        nodes = {FIRST: [1, 2, 3, 4], SECOND: [1, 2, 3], THIRD: [2, 3, 5]}
        for day, numbers in nodes.items():
            land(zone, view, day, [finding(number, day, "RESOLVED" if number == 3 else "OPEN") for number in numbers])
            write(zone, elasticsearch, namespace, view, day)
        land(zone, view, THIRD, [finding(2, THIRD), finding(3, THIRD)], hour=20)
        write(zone, elasticsearch, namespace, view, THIRD)
        before, seen = held(elasticsearch, namespace, view), shown(elasticsearch, namespace, view)
        elasticsearch.indices.delete(index=view.index)
        for day in (SECOND, THIRD, FIRST):
            write(zone, elasticsearch, namespace, view, day)
        assert held(elasticsearch, namespace, view) == before
        assert set(before) == {f"f-{number}" for number in range(1, 6)}
        assert shown(elasticsearch, namespace, view) == seen


def test_what_a_complete_sweep_no_longer_has_leaves_the_view_and_may_come_back(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, posture: LatestView
) -> None:
    land(zone, posture, FIRST, [finding(1, FIRST), finding(2, FIRST)])
    write(zone, elasticsearch, namespace, posture, FIRST)
    land(zone, posture, SECOND, [finding(2, FIRST), finding(3, FIRST)])
    second = write(zone, elasticsearch, namespace, posture, SECOND)
    assert (figures(second), second.shown) == ({"written": 2, "gone_marked": 1}, 2)
    assert shown(elasticsearch, namespace, posture) == {"f-2", "f-3"}
    assert set(held(elasticsearch, namespace, posture)) == {"f-1", "f-2", "f-3"}
    land(zone, posture, THIRD, [finding(1, FIRST)])
    write(zone, elasticsearch, namespace, posture, THIRD)
    assert shown(elasticsearch, namespace, posture) == {"f-1"}
    assert figures(write(zone, elasticsearch, namespace, posture, THIRD)) == {"unchanged": 1}


def test_a_sweep_that_is_not_complete_removes_nothing(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, posture: LatestView
) -> None:
    land(zone, posture, FIRST, [finding(1, FIRST), finding(2, FIRST)])
    write(zone, elasticsearch, namespace, posture, FIRST)
    land(zone, posture, SECOND, [finding(2, FIRST), finding(3, FIRST)], null_nodes=1)
    assert write(zone, elasticsearch, namespace, posture, SECOND).gone_marked == 0
    assert shown(elasticsearch, namespace, posture) == {"f-1", "f-2", "f-3"}
    land(zone, posture, SECOND, [finding(3, FIRST)], hour=15)
    write(zone, elasticsearch, namespace, posture, SECOND)
    assert shown(elasticsearch, namespace, posture) == {"f-3"}


def test_an_older_sweep_that_is_being_written_while_a_newer_one_lands_leaves_nothing_that_is_gone(
    zone: LandingZone,
    elasticsearch: Elasticsearch,
    namespace: str,
    posture: LatestView,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land(zone, posture, FIRST, [finding(1, FIRST), finding(2, FIRST)])
    whole = EcsPartition.frames

    def interrupted(partition: EcsPartition, after_generation: int = 0) -> Iterator[FrameBatch]:
        if partition.day == FIRST:
            land(zone, posture, SECOND, [finding(2, FIRST)])
            write(zone, elasticsearch, namespace, posture, SECOND)
        yield from whole(partition, after_generation)

    monkeypatch.setattr(EcsPartition, "frames", interrupted)
    assert figures(write(zone, elasticsearch, namespace, posture, FIRST)) == {
        "written": 1,
        "superseded": 1,
        "gone_marked": 1,
    }
    assert shown(elasticsearch, namespace, posture) == {"f-2"}


def test_a_day_landed_again_while_it_is_written_is_written_again(
    zone: LandingZone,
    elasticsearch: Elasticsearch,
    namespace: str,
    issues: LatestView,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land(zone, issues, FIRST, [finding(1, FIRST)])
    earlier = latest_day(zone, issues, FIRST)
    land(zone, issues, FIRST, [finding(2, FIRST)], hour=14)
    with pytest.raises(TransientError, match="Another run landed"):
        write_latest(earlier, zone, Destination(elasticsearch, namespace, "run", None, AT_ONCE))
    assert write(zone, elasticsearch, namespace, issues, FIRST).shown == 2


def test_a_refused_document_is_a_dead_letter_and_the_others_are_shown(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, issues: LatestView
) -> None:
    body = index_body(issues, dataset_named("issue"), lacking=["constant_keyword", "match_only_text", "wildcard"])
    body["mappings"]["properties"]["wiz"]["properties"]["issue"]["properties"]["type"] = {"type": "long"}
    elasticsearch.indices.create(index=issues.index, **body)
    land(zone, issues, FIRST, [finding(1, FIRST), finding(2, FIRST, type="TOXIC_COMBINATION")])
    for _ in range(2):
        report = write(zone, elasticsearch, namespace, issues, FIRST)
        assert (figures(report), report.shown) == ({"written": 1, "rejected": 1}, 1)
    (letter,) = read_dead_letters(zone, "issue", FIRST, f"latest.{namespace}")
    assert b"TOXIC_COMBINATION" in (letter.document or b"")
    elasticsearch.indices.delete(index=issues.index)
    assert figures(write(zone, elasticsearch, namespace, issues, FIRST)) == {"written": 2}
    assert not list(read_dead_letters(zone, "issue", FIRST, f"latest.{namespace}"))


def test_a_document_refused_for_a_value_is_shown_with_the_value_set_aside(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, issues: LatestView
) -> None:
    odd = finding(1, FIRST, projects="a text")
    land(zone, issues, FIRST, [odd, finding(2, FIRST)])
    report = write(zone, elasticsearch, namespace, issues, FIRST)
    assert (figures(report), report.refitted, report.shown) == ({"written": 2}, 1, 2)
    version, document = held(elasticsearch, namespace, issues)["f-1"]
    assert document["wiz"]["issue"]["unmapped"] == {"wiz.issue.projects": "a text"}
    assert not list(read_dead_letters(zone, "issue", FIRST, f"latest.{namespace}"))
    again = write(zone, elasticsearch, namespace, issues, FIRST)
    assert (figures(again), again.bytes) == ({"unchanged": 2}, 0)

    land(zone, issues, SECOND, [{**odd, "updatedAt": at(SECOND, 12), "projects": [{"id": "p"}]}])
    write(zone, elasticsearch, namespace, issues, SECOND)
    newer, document = held(elasticsearch, namespace, issues)["f-1"]
    assert newer > version
    assert "unmapped" not in document["wiz"]["issue"]
    older = write(zone, elasticsearch, namespace, issues, FIRST, tags=["other"])
    assert (figures(older), older.refitted) == ({"written": 1, "superseded": 1}, 0)
