"""A process between the starter and its Elasticsearch node, run as a script: the node lives as long as its input.

The starter holds the other end of that pipe: the node stops when it is closed, and also when the starter dies in any
way, kill -9 included, whichever of its threads started the node. The order comes as one line of JSON. Only the standard
library is used, so that it starts quickly wherever the package lies.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

LOCKED = 75
LOCK_SECONDS = 30.0
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the node of the order until standard input ends, SIGTERM comes, or the node dies; return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _raise_exit)
    order = json.loads(sys.stdin.buffer.readline())
    with Path(order["lock"]).open("a") as lock:
        if not _locked(lock):
            return LOCKED
        with Path(order["log"]).open("ab") as log:
            node = start(order, log)
        try:
            _wait(node)
        finally:
            stop(node)
    return node.returncode


def start(order: dict[str, Any], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the node in a session of its own, as the ordered user."""
    others: dict[str, Any] = {}
    if os.geteuid() == 0:
        others = {"user": order["uid"], "group": order["gid"], "extra_groups": []}
    return subprocess.Popen(  # noqa: S603
        order["command"],
        env=order["environment"],
        cwd=order["folder"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        umask=0o077,
        preexec_fn=_die_with_parent,
        **others,
    )


def stop(node: subprocess.Popen[bytes]) -> None:
    """Ask the node to stop, then kill whatever is left of its session."""
    if node.poll() is None:
        node.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


def _wait(node: subprocess.Popen[bytes]) -> None:
    while node.poll() is None:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], 0.5)
        if readable and not os.read(sys.stdin.fileno(), 1024):
            return


def _locked(lock: IO[str]) -> bool:
    """Whether the folder is ours; a node that is just stopping is waited for."""
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.2)
        else:
            return True
    return False


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _raise_exit(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
