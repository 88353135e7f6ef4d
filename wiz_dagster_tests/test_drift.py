"""What Wiz sends that the mapping doesn't know: seen in the asset's metadata and its check, in every run of the day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from wiz_dagster.landing.manifest import Tenant as LandingTenant
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.datasets.nodes import audit
from wiz_dagster_tests.landing.landing_helpers import Figures, fetch_info, zone_at
from wiz_dagster_tests.pipeline import NOW, YESTERDAY, Pipeline, Run, pipeline_over

NODES = [
    audit(id="a", timestamp=f"{YESTERDAY}T01:00:00Z", status="PARTLY"),
    audit(id="b", timestamp=f"{YESTERDAY}T02:00:00Z", status="PARTLY", duration="soon"),
    audit(id="c", timestamp=f"{YESTERDAY}T03:00:00Z"),
]
ODD = [
    {key: value for key, value in audit(id="d", sourceIP=None, region="eu").items() if key != "requestId"},
    {key: value for key, value in audit(id="e").items() if key not in ("requestId", "userAgent")},
]
FILES = {"WIZ_DESTINATION": "files"}


def shown(figures: Any) -> tuple[int, set[tuple[Any, ...]]]:
    """The number and the rows of the table."""
    rows = [record.data for record in figures["drift_by_field"].records]
    return figures["drift"], {(row["kind"], row["field"], row["value"], row["times"]) for row in rows}


def shown_by_check(run: Run) -> tuple[int, set[tuple[Any, ...]]]:
    check = run.checks["drift"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    return shown({name: value.value for name, value in check.metadata.items()})


@pytest.fixture(params=["elasticsearch", "files"])
def pipeline(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Iterator[Pipeline]:
    more = FILES
    if request.param == "elasticsearch":
        settings: ElasticsearchSettings = request.getfixturevalue("elasticsearch_settings")
        more = {"ELASTICSEARCH_URL": settings.url, "WIZ_NAMESPACE": namespace}
    with pipeline_over(Tenant(now=NOW, given={"audit": NODES}), tmp_path, more) as (made, _):
        yield made


def test_unknown_values_are_shown_by_field_and_warned_of_in_the_first_run_and_in_the_next(pipeline: Pipeline) -> None:
    expected = (3, {("unknown value", "status", "PARTLY", "2"), ("wrong type", "duration", "", "1")})
    for _ in range(2):
        run = pipeline.run("audit")
        assert run.success, run.errors
        assert shown(run.ecs) == shown_by_check(run) == expected
    assert all(check.passed for name, check in run.checks.items() if name != "drift")


def test_keys_that_are_new_and_keys_that_are_gone_are_added_to_what_the_day_showed_before(
    tmp_path: Path, pipeline: Pipeline
) -> None:
    assert pipeline.run("audit").success
    wiz = pipeline.environment
    zone = zone_at(tmp_path / "landing", LandingTenant.of(wiz["WIZ_API_URL"], wiz["WIZ_CLIENT_ID"]))
    zone.land("audit", YESTERDAY, [ODD], fetch_info(), Figures(), None)
    run = pipeline.run("audit", only="ecs")
    assert run.success, run.errors
    gone = {("missing key", "requestId", "", "2"), ("missing key", "userAgent", "", "1")}
    before = {("unknown value", "status", "PARTLY", "2"), ("wrong type", "duration", "", "1")}
    assert shown(run.ecs) == shown_by_check(run) == (7, {("unknown key", "region", "", "1"), *gone, *before})


def test_without_drift_the_check_passes_and_the_table_is_empty(tmp_path: Path) -> None:
    with pipeline_over(Tenant(now=NOW, given={"audit": NODES[2:]}), tmp_path, FILES) as (made, _):
        run = made.run("audit")
    assert shown(run.ecs) == (0, set())
    assert run.checks["drift"].passed
