"""Programs that the sandbox runs beside itself: Python ones, started together and stopped together.

On Linux they end also when this process is killed. Elasticsearch has a keeper of its own, see `node_keeper.py`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

HOST = "127.0.0.1"
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1

Process = subprocess.Popen[bytes]


@contextmanager
def running(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], log: Path | None = None
) -> Iterator[dict[str, Process]]:
    """Python with these arguments, by name; stopped at the end, those that don't stop in time killed.

    What they say is added to the file `log`; without one it goes where this process's own output goes.
    """
    started: dict[str, Process] = {}
    try:
        for name, arguments in commands.items():
            started[name] = start(arguments, environment, log)
        yield started
    finally:
        stop(started.values())


def start(arguments: Sequence[str], environment: Mapping[str, str], log: Path | None) -> Process:
    """Python with these arguments, whose output goes where `running` says; its caller stops it."""
    with ExitStack() as stack:
        said = stack.enter_context(open(log, "ab", opener=_private)) if log else None
        return subprocess.Popen(  # noqa: S603
            [sys.executable, *arguments],
            env=dict(environment),
            stdout=said,
            stderr=said,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def stop(processes: Iterable[Process]) -> None:
    """Ask all to stop, wait for them together, kill the rest."""
    asked = list(processes)
    for process in asked:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in asked:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """A child ends also when this process is killed, on Linux; elsewhere it is left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
