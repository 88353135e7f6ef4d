"""A TCP proxy in front of a service, whose connections can be cut, held up or answered by somebody else.

It knows nothing of what it passes on, TLS included. What it does to connections is a `Mode`, for all that are open and
all that come, until it is told otherwise.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from wiz_dagster.sandbox.processes import HOST

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for no time: closing sends RST, not FIN."""
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Mode:
    """What becomes of connections.

    Attributes:
        refuse: a new connection is reset at once.
        stall: nothing is passed on; it is later.
        cut_after: the connection is reset after so many bytes of answers.
        answer: sent in place of the service's answer to a new connection's first request, which never gets there.
    """

    refuse: bool = False
    stall: bool = False
    cut_after: int | None = None
    answer: bytes | None = None


class Proxy:
    """Listens on a port of its own for as long as the `with` block lasts. `struck` counts connections that suffered."""

    def __init__(self, port: int) -> None:
        """`port` is that of the service behind it, which need not run."""
        self._target = (HOST, port)
        self._mode = Mode()
        self.struck = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.reset()

    def set(self, mode: Mode) -> None:
        """From now on."""
        self._mode = mode

    def reset(self) -> int:
        """Reset every open connection, on both sides; how many there were."""
        with self._lock:
            ends = list(self._open)
            self.struck += len(ends) // 2
        for end in ends:
            _reset(end)
        return len(ends) // 2

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        mode = self._mode
        if mode.answer is not None:
            self._count()
            _answer(client, mode.answer)
            return
        server = None if mode.refuse else self._connect()
        if server is None:
            self._count()
            _reset(client)
            return
        with self._lock:
            self._open |= {client, server}
        for source, drain, answers in ((client, server, False), (server, client, True)):
            threading.Thread(target=self._pass_on, args=(source, drain, answers), daemon=True).start()

    def _connect(self) -> socket.socket | None:
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            return None
        server.settimeout(None)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _pass_on(self, source: socket.socket, drain: socket.socket, answers: bool) -> None:
        """One direction of a connection, until either side ends it; the answers' direction closes both ends."""
        passed = 0
        cut = False
        with contextlib.suppress(OSError):
            while not cut and (chunk := source.recv(_CHUNK)):
                self._hold_up()
                limit = self._mode.cut_after
                cut = answers and limit is not None and passed + len(chunk) > limit
                drain.sendall(chunk[: max(0, (limit or 0) - passed)] if cut else chunk)
                passed += len(chunk)
            if not answers:
                drain.shutdown(socket.SHUT_WR)
                return
        if cut:
            self._count()
        with self._lock:
            self._open -= {source, drain}
        for end in (source, drain):
            _reset(end) if cut else _close(end)

    def _hold_up(self) -> None:
        if self._mode.stall:
            self._count()
        while self._mode.stall:
            time.sleep(_LOOK_SECONDS)

    def _count(self) -> None:
        with self._lock:
            self.struck += 1


def _answer(client: socket.socket, answer: bytes) -> None:
    """Read what is sent until it pauses, then answer: who closes while it is sent gets no answer through."""
    with contextlib.suppress(TimeoutError):
        client.settimeout(5.0)
        while client.recv(_CHUNK):
            client.settimeout(0.3)
    with contextlib.suppress(OSError):
        client.sendall(answer)
    _close(client)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Whoever waits in recv wakes up; closing alone would leave him there, and the connection open.
        end.shutdown(socket.SHUT_RD)
    end.close()


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
