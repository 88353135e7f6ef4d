"""Sweeps of a snapshot in the landing zone: each takes the place of the one before, and nothing captured goes."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from wiz_dagster.landing import zone as zone_module
from wiz_dagster.landing.landing_run import LandReport
from wiz_dagster.landing.node_index import node_key
from wiz_dagster.landing.sweeps import newest_sweep
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.landing.landing_helpers import DAY, Figures, Node, by_id, fetch_info, node, read, zone_at


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return zone_at(tmp_path)


def sweep(zone: LandingZone, *nodes: Node, minute: int, null_nodes: int = 0, day: str = DAY) -> LandReport:
    batches: Sequence[Sequence[Node]] = [nodes]
    figures = Figures(null_nodes=null_nodes)
    return zone.land("issue", day, batches, fetch_info(minute), figures, "updatedAt", snapshot=True)


def ids(zone: LandingZone, after_generation: int = 0) -> list[str]:
    return sorted(by_id(read(zone, after_generation)))


def test_a_day_holds_the_latest_sweep_alone(zone: LandingZone) -> None:
    sweep(zone, node("gone"), node("stays"), minute=0)
    report = sweep(zone, node("stays"), node("fresh"), minute=5)
    assert ids(zone) == ids(zone, after_generation=1) == ["fresh", "stays"]
    assert (report.nodes, report.new, report.unchanged, report.generation) == (2, 2, 0, 2)
    assert {batch.fetched_at for batch in zone.day("issue", DAY).batches()} == {fetch_info(5).fetched_at}


def test_within_a_sweep_the_newest_version_of_a_node_counts(zone: LandingZone) -> None:
    sweep(zone, node("a", 5, "after"), node("a", 1, "before"), minute=0)
    assert by_id(read(zone))["a"]["text"] == "after"


def test_a_sweep_that_found_nothing_empties_the_day(zone: LandingZone) -> None:
    sweep(zone, node("a"), minute=0)
    assert sweep(zone, minute=5).generation == 2
    assert ids(zone) == []


def test_a_sweep_begun_earlier_and_ended_later_changes_nothing(zone: LandingZone) -> None:
    sweep(zone, node("a"), minute=5)
    assert sweep(zone, node("b"), minute=0).generation == 1
    assert ids(zone) == ["a"]
    assert zone.day("issue", DAY).fetched_at == fetch_info(5).fetched_at


def test_a_sweep_that_breaks_off_changes_nothing(zone: LandingZone) -> None:
    def breaking() -> Sequence[Sequence[Node]]:
        yield [node("b")]
        raise ConnectionError

    sweep(zone, node("a"), minute=0)
    with pytest.raises(ConnectionError):
        zone.land("issue", DAY, breaking(), fetch_info(5), Figures(), "updatedAt", snapshot=True)
    assert ids(zone) == ["a"]
    assert zone.generation("issue", DAY) == 1


def test_parts_of_earlier_sweeps_are_kept(zone: LandingZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(zone, node("a"), minute=0)
    kept = {path.name for path in (tmp_path / "issue" / DAY).iterdir()}
    sweep(zone, node("b"), minute=5)
    monkeypatch.setattr(zone_module, "SWEEP_AGE", timedelta(0))
    zone.sweep("issue", DAY)
    assert kept <= {path.name for path in (tmp_path / "issue" / DAY).iterdir()}


def test_a_sweep_in_which_wiz_left_nodes_out_is_known_to_be_incomplete(zone: LandingZone) -> None:
    sweep(zone, node("a"), minute=0)
    assert zone.day("issue", DAY).complete
    sweep(zone, node("a"), minute=5, null_nodes=1)
    assert not zone.day("issue", DAY).complete


def test_the_newest_sweep_is_the_complete_one_that_was_begun_last_of_all_days(zone: LandingZone) -> None:
    assert newest_sweep(zone, "issue") is None
    sweep(zone, node("a"), minute=0, day="2026-11-19")
    sweep(zone, node("b"), minute=9, day="2026-11-20")
    sweep(zone, node("c"), minute=5, day="2026-11-21")
    sweep(zone, node("d"), minute=20, null_nodes=1, day="2026-11-22")
    newest = newest_sweep(zone, "issue")
    assert newest is not None
    assert newest.started == fetch_info(9).fetched_at
    assert list(newest.node_ids()) == [node_key(node("b"), b"", None)[:16]]


def test_a_day_tells_on_request_what_only_its_superseded_sweeps_held(zone: LandingZone) -> None:
    sweep(zone, node("gone"), node("stays"), minute=0)
    sweep(zone, node("stays"), minute=5)
    day = zone.day("issue", DAY).with_superseded()
    moments = {line["id"]: batch.fetched_at for batch in day.batches() for line in map(orjson.loads, batch.lines)}
    assert moments == {"gone": fetch_info(0).fetched_at, "stays": fetch_info(5).fetched_at}
