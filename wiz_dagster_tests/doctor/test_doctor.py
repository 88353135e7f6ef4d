"""The doctor on real parts: all is well, and what it says when one of them isn't."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from elasticsearch import Elasticsearch

from wiz_dagster.cli import wiz_dagster
from wiz_dagster.doctor import examine
from wiz_dagster.doctor.dagster_instance import examine_dagster
from wiz_dagster.doctor.finding import Finding
from wiz_dagster.elasticsearch import latest_views
from wiz_dagster.elasticsearch.latest_views import VIEWS
from wiz_dagster.installation import set_up
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tokens import Client
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.elasticsearch.latest_helpers import view_named
from wiz_dagster_tests.pipeline import small_tenant, wiz_environment

DEPLOYED = Path(__file__).parents[2] / "deploy" / "dagster.yaml"


@pytest.fixture
def emulator() -> Iterator[WizEmulator]:
    with WizEmulator(small_tenant()) as emulator:
        yield emulator


@pytest.fixture
def environment(emulator: WizEmulator, tmp_path: Path) -> dict[str, str]:
    """Everything but Elasticsearch, with the deployed instance."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(DEPLOYED, home / "dagster.yaml")
    return {**wiz_environment(emulator, tmp_path), "WIZ_DESTINATION": "files", "DAGSTER_HOME": str(home)}


def failures(environment: dict[str, str]) -> dict[str, str]:
    return {finding.name: finding.detail for finding in examine(environment) if not finding.ok}


def test_after_setup_all_is_well(
    environment: dict[str, str], elasticsearch_settings: ElasticsearchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment |= {"WIZ_DESTINATION": "elasticsearch", "ELASTICSEARCH_URL": elasticsearch_settings.url}
    monkeypatch.setenv("DAGSTER_HOME", environment["DAGSTER_HOME"])
    list(set_up(environment))
    findings = {finding.name: finding for finding in examine(environment)}
    assert [finding.line() for finding in findings.values() if not finding.ok] == []
    assert {"Wiz scope of audit", "Wiz scope of issue", "Elasticsearch privileges", "pool wiz_api"} <= set(findings)
    assert {f"latest view {view.name}" for view in VIEWS} <= set(findings)


def test_a_latest_view_that_is_absent_or_shares_its_alias_is_said(
    environment: dict[str, str],
    elasticsearch_settings: ElasticsearchSettings,
    elasticsearch: Elasticsearch,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = view_named("issue", namespace)
    monkeypatch.setattr(latest_views, "VIEWS", (view,))
    environment |= {"WIZ_DESTINATION": "elasticsearch", "ELASTICSEARCH_URL": elasticsearch_settings.url}
    assert "run wiz-dagster setup" in failures(environment)["latest view issue"]
    elasticsearch.indices.create(index=f"{view.alias}-v3", aliases={view.alias: {}})
    monkeypatch.setenv("DAGSTER_HOME", environment["DAGSTER_HOME"])
    assert f"latest view {view.alias}: installed" in list(set_up(environment))
    assert f"{view.alias}-v3" in failures(environment)["latest view issue"]
    elasticsearch.indices.delete(index=[view.index, f"{view.alias}-v3"])


def test_a_pool_without_a_limit_and_what_to_do(environment: dict[str, str]) -> None:
    assert failures(environment) == {
        "pool wiz_api": "has no limit of its own; run wiz-dagster setup with this DAGSTER_HOME."
    }


def test_a_missing_scope_is_named(environment: dict[str, str], emulator: WizEmulator) -> None:
    emulator.desk.clients = (Client(scopes=frozenset({"read:issues"})),)
    assert "admin:audit" in failures(environment)["Wiz scope of audit"]
    assert "Wiz scope of issue" not in failures(environment)


def test_with_a_wrong_secret_no_scope_is_asked_for(environment: dict[str, str]) -> None:
    names = {finding.name: finding.ok for finding in examine(environment | {"WIZ_CLIENT_SECRET": "wrong"})}
    assert names["Wiz token"] is False
    assert "Wiz scope of audit" not in names


def test_what_cannot_be_reached_does_not_hide_the_rest(environment: dict[str, str]) -> None:
    environment |= {"WIZ_DESTINATION": "elasticsearch", "ELASTICSEARCH_URL": "http://127.0.0.1:9"}
    found = failures(environment)
    assert "ELASTICSEARCH_URL" in found["Elasticsearch"]
    assert "pool wiz_api" in found


def test_an_invalid_setting_is_named(environment: dict[str, str]) -> None:
    assert failures(environment | {"WIZ_START_DATE": "tomorrow"})["settings"].startswith("WIZ_START_DATE")
    assert failures(environment | {"WIZ_API_URL": "wiz"})["Wiz settings"].startswith("WIZ_API_URL")


def test_another_tenant_s_landing_zone_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    (landing / "tenant.json").write_text('{"api_host": "api.other.example", "client_hash": "00"}')
    assert "another Wiz tenant" in failures(environment)["landing zone"]


def test_a_landing_zone_that_cannot_be_written_is_said(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "landing zone" in failures(environment | {"WIZ_LANDING_URL": str(tmp_path / "file" / "zone")})


def test_a_home_without_dagster_yaml_works(environment: dict[str, str]) -> None:
    (Path(environment["DAGSTER_HOME"]) / "dagster.yaml").unlink()
    assert failures(environment) == {}


def test_a_missing_home_is_said(environment: dict[str, str]) -> None:
    assert "DAGSTER_HOME" in failures(environment | {"DAGSTER_HOME": ""})["Dagster instance"]
    assert "DAGSTER_HOME" in failures(environment | {"DAGSTER_HOME": "/nowhere/at/all"})["Dagster instance"]


def test_an_instance_in_which_a_killed_run_blocks_the_next_is_refused(environment: dict[str, str]) -> None:
    (Path(environment["DAGSTER_HOME"]) / "dagster.yaml").write_text(
        "concurrency: {pools: {granularity: op, default_limit: 1}}"
    )
    assert {"run monitoring", "pool wiz_api"} <= set(failures(environment))
    (Path(environment["DAGSTER_HOME"]) / "dagster.yaml").write_text("telemetry: 7")
    assert "isn't valid" in failures(environment)["Dagster instance"]


@pytest.mark.parametrize(
    ("shipped", "changed", "name", "said"),
    [
        ("key: wiz/whole_day", "key: somebody/else", "run queue", "lacks the line `- key: wiz/whole_day`"),
        ("limit: 2", "limit: 3", "run queue", "may take all 4 places"),
        ("max_concurrent_runs: 6", "max_concurrent_runs: 3", "run queue", "may take all 3 places"),
        ("class: QueuedRunCoordinator", "class: DefaultRunCoordinator", "run queue", "take run_coordinator"),
        ("op_failure: false", "op_failure: true", "run retries", "take the block run_retries"),
    ],
)
def test_a_line_that_keeps_a_place_for_the_refresh_is_missed_by_name(
    environment: dict[str, str], shipped: str, changed: str, name: str, said: str
) -> None:
    text = DEPLOYED.read_text().replace(shipped, changed)
    if "Default" in changed:
        text = "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}"
    (Path(environment["DAGSTER_HOME"]) / "dagster.yaml").write_text(text)
    found = {one.name: one for one in examine_dagster(environment)}[name]
    assert (found.ok, said in found.detail) == (False, True), found.line()


def test_a_finding_is_one_line() -> None:
    assert Finding("token", False, "refused\n by  Wiz").line() == "FAIL token: refused by Wiz"


def test_the_command_ends_with_1_when_one_check_fails(environment: dict[str, str]) -> None:
    outcome = CliRunner().invoke(wiz_dagster, ["doctor"], env=environment)
    assert outcome.exit_code == 1
    assert "FAIL pool wiz_api" in outcome.stdout
