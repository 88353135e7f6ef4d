"""The receiver as its clients see it: the real command in a process of its own, and what to send it."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from wiz_dagster.defend.spool import records, segments

COMMAND = ("-c", "from wiz_dagster.cli import main; main()", "receiver")
WITH_A_SPOOL_THAT_FAILS = ("-m", "wiz_dagster_tests.defend.failing_spool")
TOKEN = "s3cret-of-the-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WITH_TOKEN = {"WIZ_DEFEND_AUTH": "token", "WIZ_DEFEND_TOKEN": TOKEN}
PATIENCE = 60.0
"""Seconds until a test gives up, on a machine with too much to do."""


@dataclass(frozen=True)
class Running:
    """A receiver that listens."""

    process: subprocess.Popen[bytes]
    scheme: str
    port: int
    spool: Path
    log_file: Path

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def post(self, body: bytes, path: str = "/", **options: Any) -> requests.Response:
        """Over a connection of its own, with the token unless other headers are given."""
        with quiet_session() as session:
            return session.post(f"{self.url}{path}", body, **{"headers": BEARER, "timeout": PATIENCE, **options})

    def get(self, path: str, **options: Any) -> requests.Response:
        with quiet_session() as session:
            return session.get(f"{self.url}{path}", **{"timeout": PATIENCE, **options})

    def metrics(self) -> dict[str, float]:
        """The figures by name with labels."""
        lines = self.get("/metrics", headers=BEARER).text.splitlines()
        return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def exchange(self, sent: bytes) -> bytes:
        """All that comes back until the receiver closes."""
        with self.connect() as connection:
            connection.sendall(sent)
            return read_all(connection)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after a signal; it must have waited for nothing but what was under way."""
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        assert "timeout graceful shutdown exceeded" not in self.log()
        return code

    def log(self) -> str:
        return self.log_file.read_text()

    def spooled(self) -> list[bytes]:
        """The bodies in the spool; complete once the receiver has stopped."""
        return [record.body for segment in segments(self.spool) for record in records(segment)]


def quiet_session() -> requests.Session:
    """Without proxies and netrc of this machine."""
    session = requests.Session()
    session.trust_env = False
    return session


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionError:
        pass
    return received


@contextmanager
def running_receiver(
    folder: Path, settings: Mapping[str, str], program: tuple[str, ...] = COMMAND
) -> Iterator[Running]:
    """Ready to take events; at the end it is stopped, if the test didn't."""
    spool, log_file = folder / "spool", folder / "receiver.log"
    environment = {"WIZ_DEFEND_PORT": "0", "WIZ_DEFEND_SPOOL": str(spool), "PYTHONUNBUFFERED": "1", **settings}
    with log_file.open("wb") as log:
        process = subprocess.Popen([sys.executable, *program], env=environment, stderr=log)
    try:
        scheme, port = _address(process, log_file)
        yield Running(process, scheme, port, spool, log_file)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log_file: Path) -> tuple[str, int]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"receiver: (https?)://127\.0\.0\.1:(\d+)/", log_file.read_text()):
            return found[1], int(found[2])
        time.sleep(0.01)
    raise AssertionError(f"the receiver didn't start: {log_file.read_text()}")


def until(condition: Any, seconds: float = PATIENCE) -> None:
    """Wait for what must come, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it didn't come"
        time.sleep(0.01)
