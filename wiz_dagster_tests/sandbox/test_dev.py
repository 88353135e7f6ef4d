"""The sandbox kept running: Dagster answers, all that starts runs is on, and everything ends with the program."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from wiz_dagster.errors import PermanentError
from wiz_dagster.sandbox.dev import run_dev

PROGRAM = (
    "import os, sys; from pathlib import Path; from wiz_dagster.cli import _stop; import signal;"
    "signal.signal(signal.SIGTERM, _stop); from wiz_dagster.sandbox.dev import run_dev;"
    "run_dev(Path(sys.argv[1]), os.environ, int(sys.argv[2]))"
)
AUTOMATION = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
    ... on RepositoryLocation { repositories {
        schedules { name scheduleState { status } } sensors { name sensorState { status } } } } } } } } }"""
PATIENCE = 120.0


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.2)
    return False


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dev(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A `dev` that writes files, once its web server answers."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "WIZ_DESTINATION": "files"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "home"), str(port)]
    with subprocess.Popen(command, env=environment) as process:
        assert eventually(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None
        yield process
        process.kill()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def automation(port: int) -> dict[str, str]:
    """Schedules and sensors, and whether they are on."""
    body = json.dumps({"query": AUTOMATION}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        (entry,) = json.load(response)["data"]["workspaceOrError"]["locationEntries"]
    (repository,) = entry["locationOrLoadError"]["repositories"]
    schedules = {one["name"]: one["scheduleState"]["status"] for one in repository["schedules"]}
    return schedules | {one["name"]: one["sensorState"]["status"] for one in repository["sensors"]}


def test_all_is_switched_on_the_webhook_s_events_come_and_sigterm_ends_everything(
    dev: subprocess.Popen[bytes], port: int, tmp_path: Path
) -> None:
    switched = automation(port)
    assert {"audit_daily", "defend_sensor"} <= switched.keys()
    assert set(switched.values()) == {"RUNNING"}
    assert eventually(lambda: bool(list(tmp_path.glob("home/landing/documents/*/defend/*.ndjson"))))
    started = psutil.Process(dev.pid).children(recursive=True)
    dev.send_signal(signal.SIGTERM)
    dev.wait(PATIENCE)
    assert eventually(lambda: not any(process.is_running() for process in started))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_kill_9_leaves_nothing_running(dev: subprocess.Popen[bytes]) -> None:
    started = psutil.Process(dev.pid).children(recursive=True)
    assert len(started) >= 3
    dev.kill()
    assert eventually(lambda: not any(process.is_running() for process in started))


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PermanentError, match="is in use"):
            run_dev(tmp_path / "home", {}, other.getsockname()[1])
    assert not (tmp_path / "home").exists()
