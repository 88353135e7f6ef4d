"""The sandbox kept running: the demo's services with Dagster's web server and daemon on loopback, schedules on.

The tenant lives on in real time from where the demo stands. Before the daemon starts, the runs that nothing runs any
more are failed. Everything ends with this process, in whatever way it ends.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
import dagster as dg

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.recovery import prepare
from wiz_dagster.sandbox.services import VOLUMES, running_elasticsearch, running_wiz, wiz_environment
from wiz_dagster.sandbox.state import open_state, sandbox_environment

HOST, PORT = "127.0.0.1", 3000
DEFINITIONS = ("-m", "wiz_dagster.definitions")
SCHEDULES = ("dagster", "schedule", "start", "--start-all", *DEFINITIONS)
WEB_SERVER = ("dagster_webserver", "-h", HOST, *DEFINITIONS)
DAEMON = ("dagster._daemon", "run", *DEFINITIONS)
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1


def run_dev(home: Path, environment: Mapping[str, str], port: int = PORT) -> None:
    """Run until a signal ends the program. Raises the package's errors, also when a service ends by itself."""
    _check_port(port)
    with (
        open_state(home, datetime.now(UTC)) as state,
        running_elasticsearch(state, environment, click.echo) as elasticsearch_url,
        running_wiz(state, VOLUMES, live=True) as emulator,
    ):
        settings = sandbox_environment(state, environment, wiz_environment(emulator), elasticsearch_url)
        with dg.DagsterInstance.from_config(str(state.dagster_home)) as instance:
            for run_id in prepare(instance):
                click.echo(f"Failed run {run_id}: its process is gone.")
        if subprocess.run(_python(SCHEDULES), env=settings, check=False, stdout=subprocess.DEVNULL).returncode:  # noqa: S603
            raise PermanentError("Dagster could not load the definitions and start their schedules; see above why.")
        with _running(settings, port) as services:
            click.echo(f"Dagster: http://{HOST}:{port} (Ctrl-C stops everything)")
            _watch(services)


def _watch(services: Mapping[str, subprocess.Popen[bytes]]) -> None:
    try:
        while True:
            for name, process in services.items():
                if process.poll() is not None:
                    raise TransientError(
                        f"Dagster's {name} stopped with exit code {process.returncode}; see above why."
                    )
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


@contextmanager
def _running(settings: Mapping[str, str], port: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Dagster's services; stopped at the end, those that don't stop in time killed."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in {"web server": (*WEB_SERVER, "-p", str(port)), "daemon": DAEMON}.items():
            started[name] = subprocess.Popen(  # noqa: S603
                _python(command),
                env=dict(settings),
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        yield started
    finally:
        for process in started.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in started.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _python(command: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", *command]


def _die_with_parent() -> None:
    """A child ends also when this process is killed, on Linux; elsewhere it is left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise PermanentError(f"Port {port} of {HOST} is in use; stop what uses it, often another dev.") from None
