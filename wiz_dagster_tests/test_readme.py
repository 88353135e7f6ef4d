"""What the README says of settings and commands is what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from wiz_dagster.cli import wiz_dagster
from wiz_dagster.dataset_settings import DatasetSettings, filter_by, read_dataset_settings
from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.defend.settings import ReceiverSettings, SpoolSettings
from wiz_dagster.settings import (
    ElasticsearchSettings,
    LandingSettings,
    PipelineSettings,
    WizSettings,
    variables,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = README.partition("## Settings")[2].partition("What varies by dataset")[0]
DEFEND = (ROOT / "docs" / "defend.md").read_text(encoding="utf-8")


def test_the_table_of_settings_names_every_variable_and_no_other() -> None:
    models = (WizSettings, ElasticsearchSettings, LandingSettings, PipelineSettings, SpoolSettings)
    named = set(re.findall(r"`((?:WIZ|ELASTICSEARCH)_[A-Z_]+)`", SETTINGS))
    assert named == {name for model in models for name in variables(model)}


def test_the_page_of_the_webhook_names_every_variable_of_the_receiver_with_its_default() -> None:
    rows = re.findall(r"^\| (`WIZ_DEFEND_.*?) \| (.*?) \|", DEFEND, re.MULTILINE)
    defaults = {name: told for names, told in rows for name in re.findall(r"`(\w+)`", names)}
    assert defaults.keys() == set(variables(ReceiverSettings))
    for field in ReceiverSettings.model_fields.values():
        if field.default is not None and not field.is_required():
            default = field.default
            text = f"{default.total_seconds():.0f}s" if isinstance(default, timedelta) else str(default)
            assert f"`{text}`" in defaults[str(field.alias)]


def test_the_deployment_files_set_variables_that_the_receiver_has() -> None:
    files = "".join(
        (ROOT / "deploy" / name).read_text() for name in ("wiz-dagster-receiver.service", "nginx-receiver.conf")
    )
    named = set(re.findall(r"WIZ_DEFEND_[A-Z_]+", files))
    assert named
    assert named <= set(variables(ReceiverSettings))


@pytest.mark.parametrize(
    ("variable", "model"),
    [
        (field.alias, model)
        for model in (WizSettings, ElasticsearchSettings, LandingSettings, PipelineSettings)
        for field in model.model_fields.values()
        if isinstance(field.default, str) and field.default
    ],
)
def test_the_table_of_settings_tells_the_defaults(variable: str, model: type[WizSettings]) -> None:
    default = next(field.default for field in model.model_fields.values() if field.alias == variable)
    assert re.search(rf"\| `{variable}` \| `{re.escape(default)}` \|", SETTINGS)


def test_the_example_of_the_config_file_is_valid_and_names_every_key(tmp_path: Path) -> None:
    example = README.partition("```yaml\ndatasets:")[2].partition("```")[0]
    path = tmp_path / "wiz.yaml"
    path.write_text("datasets:" + example)
    chosen = read_dataset_settings(path, DATASETS)["vulnerability"]
    assert set(yaml.safe_load(path.read_text())["datasets"]["vulnerability"]) == set(DatasetSettings.model_fields)
    silent = DatasetSettings(
        tags=list(dataset_named("vulnerability").default_tags),
        start_date=date(2026, 6, 1),
        page_size=500,
        all_statuses=True,
        retention="90d",
        filters=chosen.filters,
    )
    assert chosen == silent
    assert filter_by(dataset_named("vulnerability"), chosen.filters)["severity"] == ["CRITICAL", "HIGH"]


def test_the_table_of_commands_names_every_command() -> None:
    commands = README.partition("## Command line")[2]
    missing = [name for name in wiz_dagster.commands if name not in commands]
    assert not missing


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^    \.venv/bin/(.+)$|`\.venv/bin/(.+?)`", README, re.MULTILINE)))
)
def test_a_command_that_the_readme_shows_has_the_options_that_it_is_given(command: tuple[str, str]) -> None:
    program, *arguments = shlex.split("".join(command).replace("\n", " "))
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
