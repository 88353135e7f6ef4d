"""The listening socket: takes connections, no more than so many at a time, and sees them through the TLS handshake.

asyncio's own server has no bound: whoever opens connections and says nothing would take memory for each.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from wiz_dagster.defend.refusals import NO_HANDSHAKE, TOO_MANY_CONNECTIONS, Refusals

HANDSHAKE_SECONDS = 10.0
_PAUSE_SECONDS = 0.1


class Listener:
    """Made within a running loop, where it starts at once; uvicorn closes it as it closes asyncio's.

    Args:
        listening: bound and not blocking.
        protocol: makes the protocol of a connection.
        context: None without TLS.
        room: whether one more connection may be open, beside as many as are in their handshake.
        refusals: told of what is refused.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        room: Callable[[int], bool],
        refusals: Refusals,
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._context = context
        self._room = room
        self._refusals = refusals
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Stop listening; what is in its handshake ends, open connections go on."""
        self._accepting.cancel()
        for task in self._opening:
            task.cancel()
        self._listening.close()

    async def wait_closed(self) -> None:
        """Until nothing is opened any more."""
        await asyncio.wait([self._accepting, *self._opening])

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listening)
            except OSError:  # no file descriptor is left, or the client is gone
                self._refusals.note(TOO_MANY_CONNECTIONS)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if not self._room(len(self._opening)):
                connection.close()
                self._refusals.note(TOO_MANY_CONNECTIONS)
                continue
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        seconds = HANDSHAKE_SECONDS if self._context else None
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
        except OSError:  # ssl.SSLError and TimeoutError, too
            connection.close()
            if self._context:
                self._refusals.note(NO_HANDSHAKE)
