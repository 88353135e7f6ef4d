"""What Dagster loads: assets, jobs and schedules as users see them, and what a run may override."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.remote_representation.external_data import RepositorySnap

from wiz_dagster.definitions import build_definitions
from wiz_dagster.errors import SettingsError
from wiz_dagster.reconciliation import CHECK_KEY
from wiz_dagster.recovery import POOL
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.truth import nodes_of_day
from wiz_dagster_tests.pipeline import YESTERDAY, Pipeline, file_documents, small_tenant, wiz_environment

DATASETS = (
    "audit",
    "issue",
    "vulnerability",
    "cloud_configuration_finding",
    "cloud_configuration_finding_full_posture",
    "detection",
    "defend",
)
PULLED = DATASETS[:-1]
"""Those that Wiz is asked for, on a schedule."""
FEEDS = {
    "vulnerability": "vulnerability",
    "cloud_configuration_finding_full_posture": "misconfiguration",
    "issue": "issue",
}
"""The latest view that a dataset feeds."""
RAW = {dg.AssetKey(["wiz", "raw", name]) for name in DATASETS}
ECS = {dg.AssetKey(["wiz", name]) for name in DATASETS}
LATEST = {dg.AssetKey(["wiz", "latest", view]): name for name, view in FEEDS.items()}
KEYS = RAW | ECS | LATEST.keys()
BESIDE = {dg.AssetKey(["wiz", "completeness"]), dg.AssetKey(["wiz", "report"])}
"""What is no dataset's own."""
GROUPS = dict.fromkeys(RAW, "wiz_raw") | dict.fromkeys(ECS, "wiz_ecs") | dict.fromkeys(LATEST, "wiz_latest")
ASKING = RAW - {dg.AssetKey(["wiz", "raw", "defend"])}
KINDS = {"wiz_raw": {"graphql"}, "wiz_ecs": {"pandas", "elasticsearch"}, "wiz_latest": {"elasticsearch"}}
SECRETS = (
    "WIZ_CLIENT_ID",
    "WIZ_CLIENT_SECRET",
    "ELASTICSEARCH_API_KEY",
    "ELASTICSEARCH_USERNAME",
    "ELASTICSEARCH_PASSWORD",
)


OF_ALL = {"completeness_daily", "defend_check_daily", "prune_daily", "refresh", "report_daily"}
"""The schedules that are no dataset's own."""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions({})


def spec_of(definitions: dg.Definitions, key: dg.AssetKey) -> dg.AssetSpec:
    return definitions.resolve_assets_def(key).get_asset_spec(key)


def test_an_empty_environment_loads_every_asset_job_and_schedule(definitions: dg.Definitions) -> None:
    assert definitions.resolve_asset_graph().get_all_asset_keys() - BESIDE == KEYS
    assert {f"{name}_job" for name in DATASETS} < {job.name for job in definitions.resolve_all_job_defs()}
    schedules = {schedule.name: schedule for schedule in definitions.schedules or ()}
    assert schedules.keys() == {*(f"{name}_daily" for name in PULLED), "issue_edited", *OF_ALL}
    assert {one.default_status for one in schedules.values()} == {dg.DefaultScheduleStatus.STOPPED}
    sensors = {sensor.name: sensor.default_status for sensor in definitions.sensors or ()}
    assert sensors == dict.fromkeys(("defend_sensor", "alerts"), dg.DefaultSensorStatus.STOPPED)


@pytest.mark.parametrize("key", sorted(KEYS), ids=lambda key: key.to_user_string())
def test_an_asset_says_what_it_is_and_whose(definitions: dg.Definitions, key: dg.AssetKey) -> None:
    spec = spec_of(definitions, key)
    assert spec.group_name == GROUPS[key]
    assert spec.owners == ["team:security-data"]
    assert spec.kinds == ({"webhook"} if key in RAW - ASKING else KINDS[GROUPS[key]])
    meanings = (
        "A day fetched later",
        "only today can be fetched",
        "Days may be written in any order",
        "what was received on it",
    )
    assert sum(meaning in (spec.description or "") for meaning in meanings) == 1


@pytest.mark.parametrize("key", sorted(KEYS), ids=lambda key: key.to_user_string())
def test_an_asset_follows_what_it_is_made_of(definitions: dg.Definitions, key: dg.AssetKey) -> None:
    name = LATEST.get(key, key.path[-1])
    raw, ecs = dg.AssetKey(["wiz", "raw", name]), dg.AssetKey(["wiz", name])
    follows = {"wiz_raw": set(), "wiz_ecs": {raw}, "wiz_latest": {raw, ecs}}[GROUPS[key]]
    assert {dependency.asset_key for dependency in spec_of(definitions, key).deps} == follows


@pytest.mark.parametrize("key", sorted(KEYS), ids=lambda key: key.to_user_string())
def test_an_asset_is_retried_and_only_those_that_ask_wiz_share_its_pool(
    definitions: dg.Definitions, key: dg.AssetKey
) -> None:
    op = definitions.resolve_assets_def(key).op
    assert op.pool == (POOL if key in ASKING else None)
    assert op.retry_policy is not None
    assert op.retry_policy.max_retries > 0


@pytest.mark.parametrize(
    ("destination", "manager"), [("elasticsearch", "elasticsearch"), ("files", "files"), ("", "elasticsearch")]
)
def test_no_asset_uses_the_default_io_manager(destination: str, manager: str) -> None:
    made = build_definitions({"WIZ_DESTINATION": destination})
    graph = made.resolve_asset_graph()
    keys = graph.get_all_asset_keys() - BESIDE
    used = {key: graph.get(key).assets_def.get_io_manager_key_for_asset_key(key) for key in keys}
    wanted = dict.fromkeys(RAW, "landing") | dict.fromkeys(ECS, manager)
    assert used == wanted | ({} if manager == "files" else dict.fromkeys(LATEST, "latest"))


def test_the_documents_fields_are_the_assets_columns(definitions: dg.Definitions) -> None:
    columns = spec_of(definitions, dg.AssetKey(["wiz", "audit"])).metadata["dagster/column_schema"].columns
    assert {"@timestamp", "event.id"} <= {column.name for column in columns}


@pytest.mark.parametrize("key", sorted(KEYS), ids=lambda key: key.to_user_string())
def test_days_begin_at_the_start_date_and_end_with_today(key: dg.AssetKey) -> None:
    partitions = spec_of(build_definitions({"WIZ_START_DATE": "2026-02-27"}), key).partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    just_after_midnight = datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC)
    days = partitions.get_partition_keys(current_time=just_after_midnight)
    assert days == ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]


def test_a_start_in_the_future_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"WIZ_START_DATE.*has begun"):
        build_definitions({"WIZ_START_DATE": "2999-01-01"})


def with_config(folder: Path, text: str) -> dict[str, str]:
    file = folder / "wiz.yaml"
    file.write_text(text)
    return {"WIZ_CONFIG": str(file), "WIZ_START_DATE": "2026-01-01"}


def test_a_dataset_that_is_off_leaves_nothing_behind(tmp_path: Path) -> None:
    made = build_definitions(with_config(tmp_path, "datasets: {issue: {enabled: false}}"))
    left = {name for name in PULLED if name != "issue"}
    assert made.resolve_asset_graph().get_all_asset_keys() - BESIDE == {key for key in KEYS if key.path[-1] != "issue"}
    schedules = {schedule.name for schedule in made.schedules or ()}
    assert schedules == {*(f"{name}_daily" for name in left), *OF_ALL}
    assert "issue_job" not in {job.name for job in made.resolve_all_job_defs()}


def test_without_defend_there_is_no_sensor_and_no_comparison(tmp_path: Path) -> None:
    made = build_definitions(with_config(tmp_path, "datasets: {defend: {enabled: false}}"))
    assert made.resolve_asset_graph().get_all_asset_keys() - BESIDE == {key for key in KEYS if key.path[-1] != "defend"}
    assert [sensor.name for sensor in made.sensors or ()] == ["alerts"]
    assert "defend_check_daily" not in {schedule.name for schedule in made.schedules or ()}
    assert not {"defend_job", "defend_check_job"} & {job.name for job in made.resolve_all_job_defs()}


def test_the_comparison_is_a_job_of_its_own_and_no_part_of_defends(definitions: dg.Definitions) -> None:
    graphs = {name: definitions.resolve_job_def(name).asset_layer for name in ("defend_job", "defend_check_job")}
    checks = {name: set(graph.asset_graph.asset_check_keys) for name, graph in graphs.items()}
    assert checks["defend_check_job"] == {CHECK_KEY}
    assert checks["defend_job"]
    assert CHECK_KEY not in checks["defend_job"]
    assert graphs["defend_check_job"].executable_asset_keys == set()


def test_runs_for_new_events_overtake_those_that_wait(definitions: dg.Definitions) -> None:
    assert int(definitions.resolve_job_def("defend_job").tags["dagster/priority"]) > 0
    assert "dagster/priority" not in definitions.resolve_job_def("audit_job").tags


@pytest.mark.parametrize(
    "setting", ["page_size: 10", "all_statuses: true", "lookback: 2", "filters: {severity: [LOW]}"]
)
def test_a_setting_of_what_is_asked_means_nothing_where_nothing_is(tmp_path: Path, setting: str) -> None:
    with pytest.raises(SettingsError, match="Wiz sends the dataset by itself"):
        build_definitions(with_config(tmp_path, f"datasets: {{defend: {{{setting}}}}}"))


def ticks(made: dg.Definitions, tick: datetime) -> list[Any]:
    schedule = made.resolve_schedule_def("audit_daily")
    context = dg.build_schedule_context(scheduled_execution_time=tick, repository_def=made.get_repository_def())
    found = schedule.evaluate_tick(context)
    return list(found.run_requests or []) or [found.skip_message]


@pytest.mark.parametrize(("config", "days"), [("", ["28", "01", "02"]), ("datasets: {audit: {lookback: 1}}", ["02"])])
def test_a_tick_asks_for_the_days_looked_back_on_under_keys_of_its_own_time(
    tmp_path: Path, config: str, days: list[str]
) -> None:
    made = build_definitions(with_config(tmp_path, config))
    first, second = (ticks(made, datetime(2026, 3, 3, hour, 30, tzinfo=UTC)) for hour in (1, 2))
    assert [request.partition_key[-2:] for request in first] == days
    assert all("2026-03-03T01:30" in request.run_key for request in first)
    assert {request.run_key for request in first}.isdisjoint(request.run_key for request in second)
    assert len({request.run_key for request in first}) == len(days)


def test_a_tick_before_the_first_day_is_over_skips(tmp_path: Path) -> None:
    made = build_definitions(with_config(tmp_path, ""))
    assert "WIZ_START_DATE" in ticks(made, datetime(2026, 1, 1, 1, 30, tzinfo=UTC))[0]
    assert [one.partition_key for one in ticks(made, datetime(2026, 1, 2, 1, 30, tzinfo=UTC))] == ["2026-01-01"]


def test_secrets_are_variables_names_wherever_dagster_keeps_configuration() -> None:
    secrets = {name: f"hunter2-{name.lower()}" for name in SECRETS}
    made = build_definitions(secrets)
    kept = dg.serialize_value(RepositorySnap.from_def(made.get_repository_def()))
    kept += "".join(dg.serialize_value(job.get_job_snapshot()) for job in made.resolve_all_job_defs())
    for name in SECRETS:
        assert name in kept
    assert "hunter2" not in kept


# Runs


@pytest.fixture(scope="module")
def wiz() -> Iterator[WizEmulator]:
    with WizEmulator(small_tenant()) as emulator:
        yield emulator


@pytest.fixture
def environment(wiz: WizEmulator, tmp_path: Path) -> dict[str, str]:
    return {**wiz_environment(wiz, tmp_path), "WIZ_DESTINATION": "files"}


def test_a_run_may_have_tags_and_preserved_originals_of_its_own(environment: dict[str, str], tmp_path: Path) -> None:
    made = Pipeline(environment)
    config = {"tags": ["trial"], "preserve_original_event": True, "preserve_duplicate_custom_fields": True}
    assert made.run("audit", config={"wiz__audit": {"config": config}}).success
    for one in file_documents(tmp_path):
        assert one["tags"][0] == "trial"
        assert "forwarded" not in one["tags"]
        assert json.loads(one["event"]["original"])["id"] == one["event"]["id"] == one["wiz"]["audit"]["id"]
    assert made.run("audit").success
    for one in file_documents(tmp_path):
        assert one["tags"] == ["forwarded", "wiz-audit"]
        assert "original" not in one["event"]


def test_a_run_may_have_filters_of_its_own(environment: dict[str, str], tmp_path: Path, wiz: WizEmulator) -> None:
    config = {"wiz__raw__audit": {"config": {"filters": {"status": ["FAILED"]}}}}
    assert Pipeline(environment).run("audit", config=config).success
    failed = {node["id"] for node in nodes_of_day(wiz.tenant, "audit", YESTERDAY) if node["status"] == "FAILED"}
    assert failed
    assert {one["event"]["id"] for one in file_documents(tmp_path)} == failed


def test_filters_of_the_settings_hold_unless_a_run_lifts_them(
    environment: dict[str, str], tmp_path: Path, wiz: WizEmulator
) -> None:
    made = Pipeline(environment | with_config(tmp_path, "datasets: {audit: {filters: {status: [FAILED]}}}"))
    everything = {node["id"] for node in nodes_of_day(wiz.tenant, "audit", YESTERDAY)}
    assert made.run("audit").success
    assert {one["event"]["id"] for one in file_documents(tmp_path)} < everything
    assert made.run("audit", config={"wiz__raw__audit": {"config": {"filters": {}}}}).success
    assert {one["event"]["id"] for one in file_documents(tmp_path)} == everything


def test_a_filter_that_wiz_lacks_is_refused_before_wiz_is_asked(environment: dict[str, str], wiz: WizEmulator) -> None:
    before = len(wiz.requests)
    run = Pipeline(environment).run("audit", config={"wiz__raw__audit": {"config": {"filters": {"severity": ["LOW"]}}}})
    assert not run.success
    assert "Wiz has no filter 'severity' for audit; it has: status." in run.errors
    assert len(wiz.requests) == before


def test_a_value_that_a_filter_lacks_is_told_in_wizs_words(environment: dict[str, str]) -> None:
    run = Pipeline(environment).run("audit", config={"wiz__raw__audit": {"config": {"filters": {"status": ["GONE"]}}}})
    assert not run.success
    assert "Wiz refuses the query or a filter" in run.errors
    assert "GONE" in run.errors
    assert "correct the filters" in run.errors


def test_a_run_leaves_nothing_in_dagsters_own_storage(environment: dict[str, str], tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    with DagsterInstance.ephemeral(tempdir=str(storage)) as instance:
        assert Pipeline(environment, instance=instance).run("audit").success
    assert [path for path in storage.rglob("*") if path.is_file()] == []


def test_the_implicit_job_of_backfills_runs_all_steps_in_one_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    launch = [str(Path(sys.executable).parent / "dagster"), "asset", "materialize", "-m", "wiz_dagster.definitions"]
    done = subprocess.run(
        [*launch, "--select", 'key:"wiz/raw/audit" or key:"wiz/audit"', "--partition", YESTERDAY],
        env={**os.environ, **environment, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_runs()
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
    assert run.job_name == "__ASSET_JOB"
    steps = [event for event in events if event.is_step_success]
    assert [event.step_key for event in steps] == ["wiz__raw__audit", "wiz__audit"]
    (process,) = {event.pid for event in events if event.step_key and event.pid}
    assert process != os.getpid()
    assert any("in process" in (event.message or "") for event in events)
    assert {event.asset_key for event in events if event.is_step_materialization} == {
        dg.AssetKey(["wiz", "raw", "audit"]),
        dg.AssetKey(["wiz", "audit"]),
    }
