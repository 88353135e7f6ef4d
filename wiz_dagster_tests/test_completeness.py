"""The asset `wiz/completeness`: which days it finds lacking, in which words, and that its commands name real things."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
from elasticsearch import Elasticsearch

from wiz_dagster.completeness import JOB
from wiz_dagster.definitions import build_definitions
from wiz_dagster.lacking import ranges
from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import (
    NOW,
    TODAY,
    YESTERDAY,
    Pipeline,
    documents_of,
    pipeline_over,
    small_tenant,
    spool_bodies,
    webhook_environment,
)


def days_ago(number: int) -> str:
    return (NOW - timedelta(days=number)).date().isoformat()


def completeness(pipeline: Pipeline) -> Mapping[str, dg.AssetCheckEvaluation]:
    """The checks' results by dataset."""
    with mock.patch.dict(os.environ, pipeline.environment):
        job = build_definitions(pipeline.environment).resolve_job_def(JOB)
        result = job.execute_in_process(instance=pipeline.instance)
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def commands(found: dg.AssetCheckEvaluation) -> list[str]:
    text = found.metadata["commands"].value
    assert isinstance(text, str)
    return [line.strip() for line in text.splitlines()]


def test_every_way_in_which_a_day_may_lack_something_is_found_and_mended_by_the_command(
    tmp_path: Path, elasticsearch: Elasticsearch, elasticsearch_settings: ElasticsearchSettings, namespace: str
) -> None:
    more = {
        "ELASTICSEARCH_URL": elasticsearch_settings.url,
        "WIZ_NAMESPACE": namespace,
        "WIZ_START_DATE": days_ago(6),
    }
    with pipeline_over(small_tenant(issue=20), tmp_path, more) as (pipeline, wiz):
        for number in (4, 2, 1):
            assert pipeline.run("issue", days_ago(number)).success
        pipeline.run("issue", days_ago(5), only="raw")
        wiz.faults.add(Fault("error", code="UNAUTHORIZED"))
        pipeline.run("issue", days_ago(3))
        gone = documents_of(elasticsearch, "issue", namespace, days_ago(4))[0]
        elasticsearch.delete(index=gone["_index"], id=gone["_id"], refresh=True)
        lacking = completeness(pipeline)["issue"]
        assert (lacking.passed, lacking.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert {name: one.value for name, one in lacking.metadata.items() if name != "commands"} == {
            "days": 6,
            "lacking": 4,
            "missing": days_ago(6),
            "landed but not written": days_ago(5),
            "not as written": days_ago(4),
            "failed": days_ago(3),
        }
        assert lacking.description is not None
        assert f"1 missing ({days_ago(6)})" in lacking.description
        for line in commands(lacking):
            found = re.fullmatch(
                r"dagster job backfill -w workspace.yaml -j issue_job --partitions (\S+) --noprompt", line
            )
            assert found is not None, line
            assert all(pipeline.run("issue", day).success for day in found[1].split(","))
        mended = completeness(pipeline)["issue"]
    assert mended.passed, mended.description
    assert (mended.metadata["days"].value, mended.metadata["lacking"].value) == (6, 0)


def test_a_day_that_was_fetched_before_it_ended_and_a_dataset_out_of_reach(tmp_path: Path) -> None:
    more = {"WIZ_DESTINATION": "files", "WIZ_START_DATE": days_ago(20)}
    noon = datetime.fromisoformat(f"{YESTERDAY}T12:00:00").replace(tzinfo=UTC)

    class Noon(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return noon

    with pipeline_over(small_tenant(), tmp_path, more) as (pipeline, _):
        with mock.patch("wiz_dagster.assets.datetime", Noon):
            assert pipeline.run("audit", YESTERDAY).success
        assert pipeline.run("cloud_configuration_finding_full_posture", TODAY).success
        found = completeness(pipeline)
    assert found["audit"].metadata["not fetched to its end"].value == YESTERDAY
    assert found["audit"].metadata["missing"].value == f"{days_ago(20)} to {days_ago(2)}"
    assert found["detection"].metadata["missing"].value == f"{days_ago(7)} to {YESTERDAY}", "Wiz keeps seven days"
    assert found["cloud_configuration_finding_full_posture"].passed, "no earlier day can be fetched"
    assert found["defend"].passed, "nothing was received"


def test_events_that_wait_in_the_spool_and_a_sweep_that_was_not_taken(tmp_path: Path) -> None:
    environment = {**webhook_environment(tmp_path), "WIZ_DESTINATION": "files", "WIZ_START_DATE": days_ago(3)}
    spool_bodies(environment, [{"id": "a"}], days_ago(2))
    for file in (tmp_path / "spool" / days_ago(2)).iterdir():
        os.utime(file, (0, 0))
    found = completeness(Pipeline(environment))
    assert found["defend"].metadata["waiting in the spool"].value == days_ago(2)
    assert commands(found["defend"])[0].split(" -j ")[1].startswith(f"defend_job --partitions {days_ago(2)} ")
    posture = found["cloud_configuration_finding_full_posture"]
    assert posture.metadata["missing"].value == YESTERDAY
    assert f"--partitions {TODAY} " in commands(posture)[0], "only today can be fetched"


def test_days_are_told_as_ranges() -> None:
    assert ranges(["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-03"]) == "2026-02-27 to 2026-03-01, 2026-03-03"
