"""The sandbox kept running: the demo's services with Dagster's web server and daemon on loopback, all switched on.

The tenant lives on in real time from where the demo stands, and what it detects is posted to a receiver. Before the
daemon starts, the runs that nothing runs any more are failed. Everything ends with this process, in whatever way.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import dagster as dg

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.recovery import prepare
from wiz_dagster.sandbox.live_webhook import LiveWebhook
from wiz_dagster.sandbox.processes import HOST, Process, running
from wiz_dagster.sandbox.receivers import running_receivers, token
from wiz_dagster.sandbox.services import VOLUMES, running_elasticsearch, running_wiz, wiz_environment
from wiz_dagster.sandbox.state import open_state, sandbox_environment

PORT = 3000
DEFINITIONS = ("-m", "wiz_dagster.definitions")
SWITCHED_ON = ("schedule", "sensor")
WEB_SERVER = ("-m", "dagster_webserver", "-h", HOST, *DEFINITIONS)
DAEMON = ("-m", "dagster._daemon", "run", *DEFINITIONS)


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
        _switch_on(settings)
        commands = {"Dagster's web server": (*WEB_SERVER, "-p", str(port)), "Dagster's daemon": DAEMON}
        log = state.home / "receivers.log"
        with running(commands, settings) as services, running_receivers([token()], settings, log) as (receiver,):
            click.echo(f"Webhook receiver: {receiver.url}, with a token; new detections are posted to it as they come")
            click.echo(f"Dagster: http://{HOST}:{port} (Ctrl-C stops everything)")
            webhook = LiveWebhook(receiver, emulator.tenant, state.moment)
            _watch({**services, f"The receiver (log: {log})": receiver.process}, webhook)


def _switch_on(settings: Mapping[str, str]) -> None:
    """Schedules and the sensor, before the daemon looks."""
    for kind in SWITCHED_ON:
        command = [sys.executable, "-m", "dagster", kind, "start", "--start-all", *DEFINITIONS]
        if subprocess.run(command, env=dict(settings), check=False, stdout=subprocess.DEVNULL).returncode:  # noqa: S603
            raise PermanentError(f"Dagster could not load the definitions and start each {kind}; see above why.")


def _watch(services: Mapping[str, Process], webhook: LiveWebhook) -> None:
    try:
        while True:
            for name, process in services.items():
                if process.poll() is not None:
                    raise TransientError(f"{name} stopped with exit code {process.returncode}; its output says why.")
            webhook.send_new()
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise PermanentError(f"Port {port} of {HOST} is in use; stop what uses it, often another dev.") from None
