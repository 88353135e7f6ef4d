"""The comparison of what came by webhook with what the API told, on a landing zone of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import dagster as dg
import pytest

from wiz_dagster.datasets import dataset_named
from wiz_dagster.definitions import build_definitions
from wiz_dagster.landing.manifest import FetchInfo, Tenant
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.reconciliation import CHECK_KEY, Comparison, compare

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FIGURES = SimpleNamespace(pages=1, requests=1, bytes_received=1, wiz_count=None, warnings=[], null_nodes=0, missing=0)
Land = Callable[..., None]


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(open_store(str(tmp_path / "landing")), Tenant.of("https://api.test.app.wiz.io/graphql", "x"))


@pytest.fixture
def land(zone: LandingZone) -> Land:
    """Land ids of detections that were created so many hours before now."""

    def landed(dataset: str, created: dict[str, float], *, until: datetime = NOW, now: datetime = NOW) -> None:
        by_day: dict[str, list[dict[str, Any]]] = {}
        for name, hours in created.items():
            moment = now - timedelta(hours=hours)
            node = {"id": name, "createdAt": moment.isoformat(), "updatedAt": moment.isoformat()}
            by_day.setdefault(moment.date().isoformat(), []).append(node)
        for day, nodes in by_day.items():
            land_day(zone, dataset, day, nodes, until)

    return landed


def land_day(zone: LandingZone, dataset: str, day: str, nodes: Sequence[dict[str, Any]], until: datetime) -> None:
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    end = min(start + timedelta(days=1), until)
    info = FetchInfo(run_id="r", fetched_at=end, window_start=start, window_end=end, query_hash="")
    zone.land(dataset, day, [nodes], info, FIGURES, dataset_named(dataset).version_field)


def test_the_same_detections_both_ways_are_no_difference(zone: LandingZone, land: Land) -> None:
    land("defend", {"a": 2, "b": 30})
    land("detection", {"a": 2, "b": 30})
    assert compare(zone, NOW) == Comparison(compared=2)


def test_what_came_one_way_only_is_named(zone: LandingZone, land: Land) -> None:
    land("defend", {"a": 2, "pushed": 30})
    land("detection", {"a": 2, "pulled": 30, "pulled later": 3})
    found = compare(zone, NOW)
    assert found == Comparison(compared=4, by_webhook_only=("pushed",), by_api_only=("pulled", "pulled later"))


def test_a_detection_of_the_last_hour_may_still_come(zone: LandingZone, land: Land) -> None:
    land("defend", {"a": 2, "new": 0.9})
    land("detection", {"a": 2, "new too": 0.5})
    assert compare(zone, NOW) == Comparison(compared=1)


def test_what_the_api_was_not_asked_for_yet_is_not_missed(zone: LandingZone, land: Land) -> None:
    land("defend", {"a": 30, "after the fetch": 13, "today": 3})
    land("detection", {"a": 30}, until=NOW - timedelta(hours=13))
    assert compare(zone, NOW) == Comparison(compared=1)


def test_a_day_that_the_api_was_never_asked_for_is_not_compared(zone: LandingZone, land: Land) -> None:
    land("defend", {"a": 3, "yesterday": 30})
    land("detection", {"a": 3})
    assert compare(zone, NOW) == Comparison(compared=1)


def test_a_detection_that_came_the_other_way_on_another_day_has_come(zone: LandingZone, land: Land) -> None:
    land("detection", {"night": 12.5, "a": 3})
    land_day(zone, "defend", "2026-03-10", [{"id": "night"}, {"id": "a"}], NOW)
    assert compare(zone, NOW) == Comparison(compared=2)


def test_older_days_are_left_alone(zone: LandingZone, land: Land) -> None:
    land("defend", {"a": 3, "old": 24 * 9})
    land("detection", {"a": 3, "older": 24 * 10})
    assert compare(zone, NOW) == Comparison(compared=1)


@pytest.mark.parametrize(("there", "missing"), [("defend", "detection"), ("detection", "defend")])
def test_with_one_of_the_two_there_is_nothing_to_compare(
    zone: LandingZone, land: Land, there: str, missing: str
) -> None:
    land(there, {"a": 3})
    assert f"no day of {missing} was landed" in compare(zone, NOW).reason


def evaluated(tmp_path: Path) -> dg.AssetCheckEvaluation:
    """The check's result by a run of its own job, with the landing zone's place as the only setting."""
    with mock.patch.dict(os.environ, {"WIZ_LANDING_URL": str(tmp_path / "landing")}):
        result = build_definitions({}).resolve_job_def("defend_check_job").execute_in_process()
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.asset_check_key == CHECK_KEY
    return evaluation


def test_the_check_warns_with_counts_and_ids(tmp_path: Path, land: Land) -> None:
    now = datetime.now(UTC)
    land("defend", {f"d{number:02}": 2 for number in range(30)}, now=now, until=now)
    land("detection", {"d00": 2, "p": 2}, now=now, until=now)
    evaluation = evaluated(tmp_path)
    figures = {name: value.value for name, value in evaluation.metadata.items()}
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (figures["compared"], figures["by_webhook_only"], figures["by_api_only"]) == (31, 29, 1)
    assert figures["ids_by_webhook_only"] == [f"d{number:02}" for number in range(1, 21)]
    assert figures["ids_by_api_only"] == ["p"]
    assert evaluation.description == "Of 31 detections 29 came by webhook only and 1 by wiz/detection only."


def test_a_day_that_cannot_be_read_is_said_and_fails_no_run(tmp_path: Path, land: Land) -> None:
    now = datetime.now(UTC)
    for dataset in ("defend", "detection"):
        land(dataset, {"a": 2}, now=now, until=now)
    (part,) = (tmp_path / "landing" / "detection").glob("*/*.zst")
    part.write_bytes(b"")
    evaluation = evaluated(tmp_path)
    assert not evaluation.passed
    assert part.name in (evaluation.description or "")


def test_the_check_passes_and_says_so_when_there_is_nothing_to_compare(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path)
    assert evaluation.passed
    assert "Nothing to compare" in (evaluation.description or "")
