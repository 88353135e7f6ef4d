"""The listening socket: takes connections, no more than so many at a time, and sees them through the TLS handshake.

asyncio's own server has no bound: whoever opens connections and says nothing would take memory for each.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Set

from wiz_dagster.defend.refusals import NO_HANDSHAKE, TOO_MANY_CONNECTIONS, Refusals

_PAUSE_SECONDS = 0.1


class Listener:
    """Made within a running loop, where it starts at once; uvicorn closes it as it closes asyncio's.

    Args:
        listening: bound and not blocking.
        protocol: makes the protocol of a connection.
        context: None without TLS.
        seconds: a handshake, or the goodbye of TLS, may take.
        connected: the protocols of all open connections, kept by whoever owns them.
        most: so many connections may be open, those in their handshake included.
        refusals: told of what is refused.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
        seconds: float,
        connected: Set[object],
        most: int,
        refusals: Refusals,
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._context = context
        self._seconds = seconds if context else None
        self._connected = connected
        self._most = most
        self._refusals = refusals
        self._loop = asyncio.get_running_loop()
        self._opening: dict[asyncio.Protocol, asyncio.Task[None]] = {}
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Stop listening; what is in its handshake ends, open connections go on."""
        self._accepting.cancel()
        for task in self._opening.values():
            task.cancel()
        self._listening.close()

    def check(self) -> None:
        """Raise what ended the listening, if anything did: better no receiver than a deaf one."""
        if self._accepting.done():
            self._accepting.result()

    async def wait_closed(self) -> None:
        """Until nothing is opened any more."""
        await asyncio.wait([self._accepting, *self._opening.values()])

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listening)
            except OSError:  # no file descriptor is left, or the client is gone
                self._refusals.note(TOO_MANY_CONNECTIONS)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            # For a moment a connection is in both.
            if len(self._connected | self._opening.keys()) >= self._most:
                connection.close()
                self._refusals.note(TOO_MANY_CONNECTIONS)
                continue
            protocol = self._protocol()
            self._opening[protocol] = self._loop.create_task(self._open(connection, protocol))

    async def _open(self, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._seconds,
                ssl_shutdown_timeout=self._seconds,
            )
        except OSError:  # ssl.SSLError and TimeoutError, too
            connection.close()
            if self._context:
                self._refusals.note(NO_HANDSHAKE)
        finally:
            self._opening.pop(protocol, None)
