"""A disk that is truly full, a mount that is truly gone; in a mount namespace, which not every system lets one make."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NAMESPACE = ("unshare", "--map-root-user", "--mount")


@pytest.fixture(scope="module", autouse=True)
def _mounts_are_allowed() -> None:
    try:
        probe = [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
        subprocess.run(probe, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no mount namespace: {error.stderr.strip()}")


def run(scenario: str, place: Path) -> Any:
    command = [*NAMESPACE, sys.executable, "-m", "wiz_dagster_tests.defend.mounts", scenario, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_full_disk_refuses_until_there_is_room_and_loses_nothing(tmp_path: Path) -> None:
    seen = run("full", tmp_path)
    assert 20 < seen["kept_until_full"] < 60
    assert len(seen["messages"]) == 120 - seen["kept_until_full"]
    assert set(seen["messages"]) == {f"The spool {seen['spool']} can't take events: No space left on device."}
    assert seen["kept"][seen["kept_until_full"] :] == ["1000", "1001", "1002", "1003"]
    assert sorted(seen["read"]) == sorted(seen["kept"])
    assert seen["others_read"] == []
    assert all(name.endswith(".segment") for name in seen["files"])


def test_a_disk_full_from_the_start_keeps_nothing_half(tmp_path: Path) -> None:
    seen = run("full_from_the_start", tmp_path)
    assert "No space left on device" in seen["first"]
    assert seen["files"] == []
    assert seen["second"] is None
    assert seen["read"] == ["b"]


def test_nothing_is_written_below_a_lost_mount_and_it_is_used_again_once_it_is_back(tmp_path: Path) -> None:
    seen = run("lost", tmp_path)
    assert seen["first"] is None
    assert "is its file system mounted?" in seen["second"]
    assert seen["below"] == []
    assert seen["third"] is None
    assert seen["read"] == ["a", "c"]
