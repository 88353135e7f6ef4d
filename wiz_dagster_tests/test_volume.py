"""The check `volume`: what a run says of its day beside the days before."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from wiz_dagster.volume import DAYS
from wiz_dagster_tests.pipeline import NOW, TODAY, YESTERDAY, Pipeline, pipeline_over, small_tenant

RAW = dg.AssetKey(["wiz", "raw", "audit"])
FILES = {"WIZ_DESTINATION": "files"}


def landed_before(pipeline: Pipeline, day: str, workday: int, weekend: int) -> None:
    """Dagster's records of the four weeks before."""
    for back in range(1, DAYS + 1):
        earlier = date.fromisoformat(day) - timedelta(days=back)
        nodes = (weekend if earlier.isoweekday() > 5 else workday) + back % 3
        pipeline.instance.report_runless_asset_event(
            dg.AssetMaterialization(RAW, partition=earlier.isoformat(), metadata={"dagster/partition_row_count": nodes})
        )


def volume_of(home: Path, nodes: int, usual: tuple[int, int] | None, day: str = YESTERDAY) -> dg.AssetCheckEvaluation:
    given = [
        {"id": f"entry-{number}", "timestamp": f"{day}T00:00:00.{number:06}Z", "status": "SUCCESS"}
        for number in range(nodes)
    ]
    tenant = small_tenant()
    tenant = type(tenant)(now=NOW, given={"audit": given})
    with pipeline_over(tenant, home, FILES) as (pipeline, _):
        if usual:
            landed_before(pipeline, day, *usual)
        run = pipeline.run("audit", day)
    assert run.success, run.errors
    return run.checks["volume"]


@pytest.mark.parametrize(("nodes", "says"), [(20, "20 nodes, far fewer than the 4"), (1500, "1500 nodes, far more")])
def test_a_day_of_far_fewer_or_far_more_nodes_than_usual_warns(tmp_path: Path, nodes: int, says: str) -> None:
    found = volume_of(tmp_path, nodes, (400, 400))
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description is not None and found.description.startswith(says)
    assert found.metadata["nodes"].value == nodes


def test_a_weekend_is_held_against_weekends_and_a_workday_against_workdays(tmp_path: Path) -> None:
    of_the_kind, of_the_other = (200, 4000)
    weekend = date.fromisoformat(YESTERDAY).isoweekday() > 5
    usual = (of_the_other, of_the_kind) if weekend else (of_the_kind, of_the_other)
    found = volume_of(tmp_path, 210, usual)
    assert found.passed
    assert found.metadata["usual"].value == pytest.approx(of_the_kind, abs=2)


def test_few_days_and_small_differences_never_warn(tmp_path: Path) -> None:
    first = volume_of(tmp_path / "first", 20, None)
    assert first.passed
    assert first.description == "Too few days of the last 28 are landed to tell what is usual."
    assert volume_of(tmp_path / "small", 0, (30, 30)).passed


def test_today_may_still_have_few_nodes_but_not_too_many(tmp_path: Path) -> None:
    assert volume_of(tmp_path / "few", 0, (400, 400), TODAY).passed
