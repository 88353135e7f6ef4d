"""The plan of a campaign follows from its seed; what cuts, holds up and fills does so, and no longer than told."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from wiz_dagster.sandbox.chaos.faults import KINDS
from wiz_dagster.sandbox.chaos.plan import plan
from wiz_dagster.sandbox.chaos.proxy import Mode, Proxy

MEGABYTE = b"x" * 1_000_000

FULL = """
import sys
from pathlib import Path
from wiz_dagster.sandbox.chaos.disk import Disk
disk = Disk(Path(sys.argv[1]))
(disk.path / "before").write_bytes(b"x" * 100_000)
print(disk.fill())
try:
    (disk.path / "during").write_bytes(b"x" * 100_000)
except OSError as error:
    print(error.errno)
disk.empty()
print((disk.path / "after").write_bytes(b"x" * 100_000))
"""


def test_the_plan_follows_from_the_seed() -> None:
    assert plan(7, 10) == plan(7, 10)
    assert [one.kind for one in plan(7, 10)] != [one.kind for one in plan(8, 10)]


def test_ten_minutes_have_each_kind_at_least_twice_and_leave_time_to_start_again() -> None:
    planned = plan(7, 10)
    assert {one.kind.name for one in planned} == KINDS.keys()
    assert all(sum(one.kind is kind for one in planned) >= 2 for kind in KINDS.values())
    assert planned[-1].at < 600
    of_dagster = [one for one in planned if one.kind.target == "dagster"]
    close = [one for one, other in pairwise(of_dagster) if other.at - one.at < 10]
    assert len(close) <= 1


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before a server that sends back what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with Proxy(server.getsockname()[1]) as proxy:
            yield proxy


def echo(connection: socket.socket) -> None:
    with connection:
        try:
            while chunk := connection.recv(65536):
                connection.sendall(chunk)
        except OSError:
            return


def ask(connection: socket.socket, question: bytes = MEGABYTE) -> bytes:
    """All that comes back; a reset ends it too."""
    threading.Thread(target=send, args=(connection, question), daemon=True).start()
    answer = b""
    try:
        while chunk := connection.recv(65536):
            answer += chunk
            if len(answer) == len(question):
                break
    except ConnectionResetError:
        pass
    return answer


def send(connection: socket.socket, question: bytes) -> None:
    try:
        connection.sendall(question)
    except OSError:
        return


def test_a_proxy_passes_everything_on_until_it_is_told_to_cut_and_again_afterwards(proxy: Proxy) -> None:
    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)

    with connect() as connection:
        assert ask(connection) == MEGABYTE
        assert proxy.struck == 0
        assert proxy.reset() == 1
        assert ask(connection, b"?") == b""
    proxy.set(Mode(cut_after=100_000))
    with connect() as connection:
        assert len(ask(connection)) <= 100_000
    proxy.set(Mode(refuse=True))
    with connect() as connection:
        assert ask(connection) == b""
    proxy.set(Mode(answer=b"HTTP/1.1 429 Too Many Requests\r\n\r\n"))
    with connect() as connection:
        assert ask(connection, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 429")
    assert proxy.struck == 4
    proxy.set(Mode(stall=True))
    with connect() as connection:
        connection.sendall(b"late")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(4)
        proxy.set(Mode())
        connection.settimeout(30)
        assert connection.recv(4) == b"late"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root has mounts of its own")
def test_a_disk_is_full_for_a_while(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "disk")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if said[0] == "False":
        pytest.skip("mounting is forbidden here")
    assert said == ["True", str(errno.ENOSPC), "100000"]
    assert not list((tmp_path / "disk").iterdir())
