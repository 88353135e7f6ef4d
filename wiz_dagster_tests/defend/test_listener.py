"""A listener that stops while connections come: each one is either known to whoever has to close it, or gone."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from wiz_dagster.defend.listener import Listener
from wiz_dagster.defend.metrics import Metrics
from wiz_dagster.defend.refusals import Refusals
from wiz_dagster_tests.defend.receiving import read_all

HANDSHAKE_SECONDS = 1_000.0
"""Longer than a test may take."""
GIVEN_UP_SECONDS = 30.0
LOOPS = pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
TLS = pytest.mark.parametrize("context", [None, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)], ids=["plain", "tls"])


class Known(asyncio.Protocol):
    """One of `connected` from its first to its last moment."""

    def __init__(self, connected: set[object]) -> None:
        self.connected = connected
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.connected.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.connected.discard(self)
        self.gone.set()


@LOOPS
@TLS
def test_a_stop_leaves_no_connection_that_nobody_closes(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop], context: ssl.SSLContext | None
) -> None:
    async def stop_after(turns: int) -> int:
        """`turns` of the loop after two clients connected; how many connections were known when all had stopped."""
        connected: set[object] = set()
        made: list[Known] = []

        def protocol() -> Known:
            made.append(Known(connected))
            return made[-1]

        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            listener = Listener(listening, protocol, context, HANDSHAKE_SECONDS, connected, 8, refusals)
            clients = [socket.create_connection(listening.getsockname()) for _ in range(2)]
            for _ in range(turns):
                await asyncio.sleep(0)
            await listener.stop()
        known = list(connected)
        for one in known:
            one.transport.close()
            async with asyncio.timeout(GIVEN_UP_SECONDS):
                await one.gone.wait()
        for client in clients:
            client.settimeout(GIVEN_UP_SECONDS)
            with client:
                assert await asyncio.to_thread(read_all, client) == b""
        assert not connected
        return len(known)

    refusals = Refusals(Metrics(tmp_path))
    with asyncio.Runner(loop_factory=loop) as runner:
        known = [runner.run(stop_after(turns)) for turns in range(15)]
    assert max(known) == (0 if context else 2)
