"""The doctor where the webhook is used: the spool, what waits in it, and a user who has no service account."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from wiz_dagster.doctor import defend, examine
from wiz_dagster_tests.pipeline import spool_bodies, webhook_environment


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**webhook_environment(tmp_path), "WIZ_DESTINATION": "files"}


def found(environment: dict[str, str]) -> dict[str, str]:
    return {finding.name: finding.line() for finding in defend.examine_defend(environment)}


def spool_of(environment: dict[str, str]) -> Path:
    return Path(environment["WIZ_DEFEND_SPOOL"])


def test_without_the_webhook_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert found({}) == {}


def test_a_spool_at_its_default_place_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wiz-spool").mkdir(mode=0o700)
    assert found({})["spool's backlog"] == "ok   spool's backlog: nothing waits"


def test_a_spool_that_is_not_there_is_said(environment: dict[str, str]) -> None:
    assert "WIZ_DEFEND_SPOOL" in found(environment)["spool"]
    assert found(environment)["spool"].startswith("FAIL")
    spool_of(environment).write_text("")
    assert "is no folder" in found(environment)["spool"]


def test_what_waits_is_told_with_its_age(environment: dict[str, str]) -> None:
    spool_bodies(environment, [{"id": "d1"}])
    assert found(environment)["spool"].startswith("ok")
    assert "1 segments" in found(environment)["spool's backlog"]


def test_a_spool_that_others_can_read_is_refused(environment: dict[str, str]) -> None:
    spool_bodies(environment, [{"id": "d1"}])
    spool_of(environment).chmod(0o750)
    assert "chmod 700" in found(environment)["spool"]
    assert "spool's backlog" not in found(environment)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_spool_that_cannot_be_written_is_said(environment: dict[str, str]) -> None:
    spool_of(environment).mkdir(mode=0o500)
    assert "can't be read and written" in found(environment)["spool"]


def test_events_that_wait_too_long_point_to_the_sensor(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool_bodies(environment, [{"id": "d1"}])
    monkeypatch.setattr(defend, "LONGEST_WAIT", timedelta(0))
    time.sleep(0.01)
    assert "switch on the sensor defend_sensor" in found(environment)["spool's backlog"]


def test_whoever_has_the_webhook_alone_needs_no_service_account(environment: dict[str, str], tmp_path: Path) -> None:
    names = ("audit", "issue", "vulnerability", "cloud_configuration_finding", "detection")
    off = [*names, "cloud_configuration_finding_full_posture"]
    config = tmp_path / "wiz.yaml"
    config.write_text("datasets:\n" + "".join(f"  {name}: {{enabled: false}}\n" for name in off))
    spool_of(environment).mkdir(mode=0o700)
    home = tmp_path / "dagster"
    home.mkdir()
    environment |= {"WIZ_CONFIG": str(config), "DAGSTER_HOME": str(home)}
    findings = {finding.name: finding for finding in examine(environment)}
    assert [finding.line() for finding in findings.values() if not finding.ok] == []
    assert not any(name.startswith("Wiz") for name in findings)
    assert {"landing zone", "spool", "spool's backlog"} <= findings.keys()
