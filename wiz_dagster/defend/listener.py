"""The listening socket: takes connections, no more than so many at a time, and sees them through the TLS handshake.

asyncio's own server has no bound: whoever opens connections and says nothing would take memory for each.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Set
from contextlib import suppress

from wiz_dagster.defend.refusals import NO_HANDSHAKE, TOO_MANY_CONNECTIONS, Refusals

_PAUSE_SECONDS = 0.1


class Listener:
    """Made within a running loop, where it starts at once.

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
        self._opening: dict[asyncio.Protocol, tuple[socket.socket, asyncio.Task[None]]] = {}
        self._accepting = self._loop.create_task(self._accept())

    async def stop(self) -> None:
        """Stop listening; returns once nothing is opened any more: what is open then is in `connected`, and goes on."""
        self._accepting.cancel()
        await asyncio.wait([self._accepting])
        self._listening.close()
        # The opening itself isn't cancelled: uvloop may have given the connection to its protocol already, and would
        # never tell it that the connection is gone. It takes no time, but for a handshake that the client can delay.
        for protocol, (connection, _) in self._opening.items():
            if self._context and protocol not in self._connected:
                with suppress(OSError):  # the client is gone
                    connection.shutdown(socket.SHUT_RDWR)
        if self._opening:
            await asyncio.wait([task for _, task in self._opening.values()])

    def check(self) -> None:
        """Raise what ended the listening, if anything did: better no receiver than a deaf one."""
        if self._accepting.done():
            self._accepting.result()

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
            self._opening[protocol] = connection, self._loop.create_task(self._open(connection, protocol))

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
            if self._context and not self._accepting.done():
                self._refusals.note(NO_HANDSHAKE)
        finally:
            self._opening.pop(protocol, None)
