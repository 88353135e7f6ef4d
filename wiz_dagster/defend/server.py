"""The receiver as a program: everything checked, a socket bound, uvicorn run until SIGTERM or Ctrl-C.

What a request goes through is in `receiver.py`, what a connection goes through in `listener.py` and
`http_protocol.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import math
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping

import uvicorn
from starlette.applications import Starlette

from wiz_dagster.defend.http_protocol import BoundedProtocol, Bounds
from wiz_dagster.defend.listener import Listener
from wiz_dagster.defend.logs import log_to_stderr
from wiz_dagster.defend.metrics import Metrics
from wiz_dagster.defend.receiver import Receiver
from wiz_dagster.defend.refusals import Refusals
from wiz_dagster.defend.settings import ReceiverSettings, read_receiver_settings
from wiz_dagster.defend.spool_writer import SpoolError, SpoolWriter
from wiz_dagster.defend.tls import server_context
from wiz_dagster.errors import SettingsError

CONNECTIONS_A_REQUEST = 4
"""So many connections may be open for each request that may be under way; most wait for their next request."""
BACKLOG = 1024
HANDSHAKE_SECONDS = 10.0
GRACE_SECONDS = 5
"""After a signal, beside the time that a request may take to arrive."""

_log = logging.getLogger(__name__)


def run_receiver(environment: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was taken. Raises `SettingsError` where a setting is wrong."""
    settings = read_receiver_settings(environment)
    context = server_context(settings)
    writer = SpoolWriter(settings.spool)
    try:
        writer.prepare()
    except SpoolError as error:
        raise SettingsError(f"WIZ_DEFEND_SPOOL: {error}") from None
    listening = _listen(settings)
    log_to_stderr()
    _announce(settings, listening)
    metrics = Metrics(settings.spool)
    refusals = Refusals(metrics)
    application = Receiver(settings, writer, metrics, refusals).application()
    Server(settings, application, listening, context, Bounds(settings.seconds, refusals, metrics)).run()


class Server(uvicorn.Server):
    """uvicorn on a socket that is bound, with bounds of its own for connections; ends without raising the signal."""

    def __init__(
        self,
        settings: ReceiverSettings,
        application: Starlette,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        bounds: Bounds,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                # As long as for a first head; a proxy has to give up its idle connections sooner.
                timeout_keep_alive=math.ceil(settings.seconds),
                timeout_graceful_shutdown=math.ceil(settings.seconds) + GRACE_SECONDS,
            )
        )
        self._listening = listening
        self._context = context
        self._bounds = bounds
        self._most_connections = CONNECTIONS_A_REQUEST * settings.max_requests

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        """As uvicorn's, with another listener."""
        await self.lifespan.startup()
        self._listener = Listener(
            self._listening,
            self._protocol,
            self._context,
            min(HANDSHAKE_SECONDS, self._bounds.seconds),
            self.server_state.connections,
            self._most_connections,
            self._bounds.refusals,
        )
        self.servers = []
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether it is time to stop."""
        self._listener.check()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, once no connection can come any more: it tells those that are there, and waits for all."""
        await self._listener.stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Without raising the signal again at the end: a service that was told to stop would have failed."""
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _protocol(self) -> asyncio.Protocol:
        return BoundedProtocol(self.config, self.server_state, self.lifespan.state, self._bounds)


def _listen(settings: ReceiverSettings) -> socket.socket:
    """The bound socket of the address, the first one if it is a name with several."""
    try:
        found = socket.getaddrinfo(settings.address, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:  # socket.gaierror is one
        where = f"{settings.address}, port {settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"WIZ_DEFEND_PORT: {settings.port} is in use; stop what uses it, or set another."
            ) from None
        raise SettingsError(f"WIZ_DEFEND_ADDRESS: can't listen at {where}: {error.strerror}.") from None
    listening.setblocking(False)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections inherit it: a client that doesn't take its answer can't hold its connection for ever.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, math.ceil(settings.seconds * 1000))
    return listening


def _announce(settings: ReceiverSettings, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.tls_cert else "http"
    certificate = f", client certificate {settings.client_cert or 'required'}" if settings.client_ca else ""
    _log.info(
        "receiver: %s://%s:%d%s, authentication %s%s, spool %s",
        scheme,
        f"[{host}]" if ":" in host else host,
        port,
        settings.path,
        settings.auth,
        certificate,
        settings.spool.absolute(),
    )
    if settings.auth == "none":
        _log.warning("WIZ_DEFEND_AUTH is none: whoever can connect can make up events.")
    elif not settings.tls_cert and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        _log.warning("No TLS beyond this machine: the secret travels in clear. Set WIZ_DEFEND_TLS_CERT and _TLS_KEY.")
