"""What the settings WIZ_KEEP_* delete of landing zone and spool, what they never delete, and that they are off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest

from wiz_dagster.datasets import DATASETS
from wiz_dagster.definitions import build_definitions
from wiz_dagster.errors import DamagedError, PermanentError, SettingsError
from wiz_dagster.landing.dead_letters import DeadLetter, read_dead_letters, write_dead_letters
from wiz_dagster.landing.local_store import LocalStore
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.retention import Retention, forget
from wiz_dagster_tests.landing.landing_helpers import land, node, read, zone_at
from wiz_dagster_tests.pipeline import spool_bodies

DAYS = [f"2026-11-{number}" for number in range(16, 21)]
OLD = datetime.now(UTC) + timedelta(days=30, hours=1)
"""Here all that the tests have landed by now is older than thirty days."""
LATER = int((OLD - timedelta(days=29) - datetime(2026, 11, 21, tzinfo=UTC)).total_seconds() / 60)
"""The minute of a fetch that isn't."""
LETTER = DeadLetter("1", 400, "refused", "for the test", b"{}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"WIZ_LANDING_URL": str(tmp_path / "landing"), "WIZ_DEFEND_SPOOL": str(tmp_path / "spool")}


@pytest.fixture
def zone(environment: dict[str, str]) -> LandingZone:
    zone = zone_at(environment["WIZ_LANDING_URL"])
    for day in DAYS:
        land(zone, [node(f"n-{day}")], day=day)
        write_dead_letters(zone, "issue", day, "default", [LETTER])
    return zone


def files(zone: LandingZone, day: str) -> list[str]:
    return zone.store.list(f"issue/{day}")


def letters(zone: LandingZone) -> list[str]:
    return [day for day in DAYS if list(read_dead_letters(zone, "issue", day, "default"))]


def test_nothing_goes_where_no_setting_says_so(zone: LandingZone, environment: dict[str, str]) -> None:
    spool_bodies(environment, [{"id": "d1"}])
    done = forget(environment, DATASETS, Retention(), OLD + timedelta(days=5000))
    assert set(done.values()) == {0}
    assert zone.days("issue") == DAYS
    assert len(list(Path(environment["WIZ_DEFEND_SPOOL"]).glob("*/*"))) == 1


def test_old_days_go_whole_but_for_the_last_two(zone: LandingZone, environment: dict[str, str]) -> None:
    assert forget(environment, DATASETS, Retention(landing=30), OLD)["landed_days"] == 3
    assert zone.days("issue") == DAYS[-2:]
    assert [files(zone, day) for day in DAYS[:3]] == [[".lock"]] * 3
    assert [found["id"] for found in read(zone, day=DAYS[3])] == [f"n-{DAYS[3]}"]
    with pytest.raises(PermanentError, match="landed"):
        zone.day("issue", DAYS[0])
    assert forget(environment, DATASETS, Retention(landing=30), OLD)["landed_days"] == 0


def test_a_day_stays_as_long_as_after_its_last_fetch(zone: LandingZone, environment: dict[str, str]) -> None:
    land(zone, [node(f"n-{DAYS[0]}")], day=DAYS[0], minute=LATER)
    assert forget(environment, DATASETS, Retention(landing=30), OLD)["landed_days"] == 2
    assert zone.days("issue") == [DAYS[0], *DAYS[-2:]]
    assert forget(environment, DATASETS, Retention(landing=30), OLD - timedelta(hours=2))["landed_days"] == 0


def test_a_day_that_was_forgotten_can_be_landed_again(zone: LandingZone, environment: dict[str, str]) -> None:
    forget(environment, DATASETS, Retention(landing=30), OLD)
    land(zone, [node("again")], day=DAYS[0])
    assert [found["id"] for found in read(zone, day=DAYS[0])] == ["again"]


def test_what_a_kill_leaves_of_a_day_goes_the_next_time(zone: LandingZone, environment: dict[str, str]) -> None:
    deleted = LocalStore.delete

    def die_after_the_manifest(store: LocalStore, path: str) -> None:
        deleted(store, path)
        raise KeyboardInterrupt

    with mock.patch.object(LocalStore, "delete", die_after_the_manifest), pytest.raises(KeyboardInterrupt):
        forget(environment, DATASETS, Retention(landing=30), OLD)
    assert zone.days("issue") == DAYS[1:]
    assert files(zone, DAYS[0])
    assert forget(environment, DATASETS, Retention(landing=30), OLD)["landed_days"] == 3
    assert files(zone, DAYS[0]) == [".lock"]


@pytest.mark.parametrize("first", [True, False])
def test_what_is_being_landed_stays(zone: LandingZone, environment: dict[str, str], first: bool) -> None:
    if first:
        zone.store.delete(f"issue/{DAYS[0]}/manifest.json")
    zone.store.put(f"issue/{DAYS[0]}/part-{OLD:%Y%m%dT%H%M%S%fZ}-0.ndjson.zst", b"")
    before = files(zone, DAYS[0])
    assert forget(environment, DATASETS, Retention(landing=30), OLD)["landed_days"] == 2
    assert files(zone, DAYS[0]) == before


def test_a_day_with_a_manifest_that_cannot_be_read_stays(zone: LandingZone, environment: dict[str, str]) -> None:
    zone.store.put(f"issue/{DAYS[0]}/manifest.json", b"{")
    with pytest.raises(DamagedError, match="manifest"):
        forget(environment, DATASETS, Retention(landing=30), OLD)
    assert zone.days("issue") == DAYS


def test_dead_letters_go_without_their_day(zone: LandingZone, environment: dict[str, str]) -> None:
    land(zone, [node(f"n-{DAYS[1]}")], day=DAYS[1], minute=LATER)
    assert forget(environment, DATASETS, Retention(dead_letters=30), OLD)["dead_letters"] == len(DAYS) - 1
    assert letters(zone) == [DAYS[1]]
    assert zone.days("issue") == DAYS


def test_segments_go_by_their_last_write(environment: dict[str, str]) -> None:
    spool_bodies(environment, [{"id": "old"}])
    (old,) = Path(environment["WIZ_DEFEND_SPOOL"]).glob("*/*")
    spool_bodies(environment, [{"id": "new"}])
    now = datetime.now(UTC)
    os.utime(old, (0, (now - timedelta(days=9)).timestamp()))
    assert forget(environment, DATASETS, Retention(spool=8), now)["segments"] == 1
    assert not old.exists()
    assert len(list(Path(environment["WIZ_DEFEND_SPOOL"]).glob("*/*"))) == 1


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def figures(environment: dict[str, str], instance: dg.DagsterInstance) -> dict[str, Any]:
    with mock.patch.dict(os.environ, environment):
        done = build_definitions(environment).resolve_job_def("prune_job").execute_in_process(instance=instance)
    outputs = [one.step_output_data for one in done.all_events if one.event_type_value == "STEP_OUTPUT"]
    return {name: text.value for output in outputs for name, text in output.metadata.items()}


def test_the_job_deletes_files_only_where_a_setting_says_so(
    zone: LandingZone, environment: dict[str, str], instance: dg.DagsterInstance
) -> None:
    assert "landed_days" not in figures(environment, instance)
    spool_bodies(environment, [{"id": "old"}])
    (old,) = Path(environment["WIZ_DEFEND_SPOOL"]).glob("*/*")
    os.utime(old, (0, 0))
    done = figures({**environment, "WIZ_KEEP_SPOOL_DAYS": "3"}, instance)
    assert (done["landed_days"], done["dead_letters"], done["segments"]) == (0, 0, 1)
    assert zone.days("issue") == DAYS


@pytest.mark.parametrize(
    ("name", "text"),
    [("WIZ_KEEP_LANDING_DAYS", "6"), ("WIZ_KEEP_DEAD_LETTERS_DAYS", "0"), ("WIZ_KEEP_SPOOL_DAYS", "soon")],
)
def test_too_short_a_time_is_refused_when_the_definitions_load(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        build_definitions({name: text})
