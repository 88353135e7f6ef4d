"""The files around the package agree with each other and with what they configure."""

import configparser
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance

from wiz_dagster.recovery import counts_runs
from wiz_dagster.sandbox.state import deployed_instance, sandbox_instance

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_workspace_and_dg_name_the_same_definitions(pyproject: dict[str, Any]) -> None:
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"] == {
        "module_name": pyproject["tool"]["dg"]["project"]["code_location_target_module"],
        "working_directory": ".",
    }


def test_the_deployed_instance_is_the_one_in_the_package() -> None:
    assert yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text()) == deployed_instance()


def test_the_sandbox_differs_from_the_deployed_instance_by_its_logs_alone() -> None:
    differing = {key for key in sandbox_instance() if sandbox_instance()[key] != deployed_instance().get(key)}
    assert differing == {"python_logs"}
    assert deployed_instance().keys() <= sandbox_instance().keys()


def test_in_the_deployed_instance_a_killed_run_cannot_block_the_next_for_ever(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((ROOT / "deploy" / "dagster.yaml").read_text())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert counts_runs(instance)
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds > 0
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0
        assert not instance.telemetry_enabled


def test_every_dependency_is_pinned_by_the_constraints() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = dict(setup["options.extras_require"])
    wanted = "\n".join([setup["options"]["install_requires"], *extras.values()]).split()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    names = {dg_name(requirement) for requirement in wanted}
    assert names - pinned == set()


def dg_name(requirement: str) -> str:
    name = requirement
    for mark in "[<>=!~":
        name = name.split(mark)[0]
    return name.lower().replace("_", "-")


def test_the_makefile_offers_what_the_readme_promises() -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ": " in line}
    assert {"install", "demo", "dev", "test", "lint", "bench", "clean"} <= targets
