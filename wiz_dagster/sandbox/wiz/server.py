"""The emulator as an HTTP server on the loopback interface: in a thread for tests, in the foreground for the shell.

Besides `/oauth/token` and `/graphql` it has `/control/faults` (GET, POST a list of faults, DELETE),
`/control/requests` (GET the counts by root and status) and `/control/clock` (GET, POST `{"ahead": seconds}` or
`{"stop": true}`), which stand in for what a test does in process.
"""

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from wiz_dagster.errors import PermanentError, SettingsError
from wiz_dagster.sandbox.wiz.clock import Clock
from wiz_dagster.sandbox.wiz.faults import Fault, Faults, read_faults
from wiz_dagster.sandbox.wiz.paging import Paging
from wiz_dagster.sandbox.wiz.service import Reply, Request, Service
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.tokens import Client, RateLimit, TokenDesk

_HOST = "127.0.0.1"
_DRIPS = 20


class _Sent(Response):
    """A reply on the wire, with the faults that concern its sending."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body, reply.status, dict(reply.headers), reply.media_type)
        self._faults = {fault.kind: fault for fault in reply.faults}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "latency" in self._faults:
            await asyncio.sleep(self._faults["latency"].seconds)
        if not self._faults.keys() & {"cut", "drip"}:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        if "cut" in self._faults:
            # The server closes the connection when an application ends before its body does.
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return
        step = max(1, len(body) // _DRIPS)
        for start in range(0, len(body), step):
            await asyncio.sleep(self._faults["drip"].seconds)
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def make_app(service: Service) -> Starlette:
    """The routes over one service."""

    async def token(request: HttpRequest) -> Response:
        form = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        return _Sent(service.token(dict(form)))

    async def graphql(request: HttpRequest) -> Response:
        return _Sent(service.graphql(await request.body(), request.headers.get("authorization", "")))

    async def faults(request: HttpRequest) -> Response:
        if request.method == "DELETE":
            service.faults.clear()
        if request.method == "POST":
            try:
                service.faults.add(*read_faults(await request.json()))
            except (ValueError, SettingsError) as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(service.faults.listing())

    async def requests(request: HttpRequest) -> Response:  # noqa: ARG001
        rows = service.counts.items()
        return JSONResponse([{"root": r, "status": s, "code": c, "count": n} for (r, s, c), n in rows])

    return Starlette(
        routes=[
            Route("/oauth/token", token, methods=["POST"]),
            Route("/graphql", graphql, methods=["POST"]),
            Route("/control/faults", faults, methods=["GET", "POST", "DELETE"]),
            Route("/control/requests", requests, methods=["GET"]),
            Route("/control/clock", _clock_endpoint(service.paging.tenant.clock), methods=["GET", "POST"]),
        ]
    )


def _clock_endpoint(clock: Clock) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def endpoint(request: HttpRequest) -> Response:
        if request.method == "POST":
            asked = await request.json()
            if asked.get("stop"):
                clock.stop()
            else:
                clock.set_ahead(float(asked["ahead"]))
        earliest, latest = clock.shown
        moments = {"now": clock.now, "earliest": earliest, "latest": latest}
        told = {name: moment.isoformat() for name, moment in moments.items()}
        return JSONResponse({**told, "ahead": clock.ahead, "stopped": clock.stopped})

    return endpoint


class WizEmulator:
    """A Wiz tenant over HTTP, in a thread of this process, for as long as the `with` block lasts.

    `faults`, `desk` (clients, token lifetime, rate limit) and `requests` may be read and changed at any time.
    """

    def __init__(
        self,
        tenant: Tenant,
        *,
        port: int = 0,
        faults: Iterable[Fault] = (),
        clients: tuple[Client, ...] = (Client(),),
        token_lifetime: float = 86_400.0,
        rate_limit: RateLimit | None = None,
    ) -> None:
        """Port 0 takes a free one. Nothing listens before the block is entered."""
        self.tenant = tenant
        self.faults = Faults()
        self.faults.add(*faults)
        self.desk = TokenDesk(clients=clients, lifetime=token_lifetime, rate_limit=rate_limit)
        self._service = Service(Paging(tenant), self.desk, self.faults)
        self._port = port
        self._thread: threading.Thread | None = None
        self._server = uvicorn.Server(_config(self._service))

    @property
    def requests(self) -> list[Request]:
        """The requests so far, oldest first (the last 20,000 of them)."""
        return list(self._service.requests)

    @property
    def url(self) -> str:
        """Base of all addresses, without a slash at the end."""
        return f"http://{_HOST}:{self._port}"

    @property
    def api_url(self) -> str:
        """What WIZ_API_URL takes."""
        return f"{self.url}/graphql"

    @property
    def token_url(self) -> str:
        """What WIZ_TOKEN_URL takes."""
        return f"{self.url}/oauth/token"

    @property
    def audience(self) -> str:
        """What WIZ_AUDIENCE takes."""
        return self.desk.audience

    @property
    def client_id(self) -> str:
        """The first client's id."""
        return self.desk.clients[0].client_id

    @property
    def client_secret(self) -> str:
        """The first client's secret."""
        return self.desk.clients[0].client_secret

    def __enter__(self) -> Self:
        listener = self._bind()
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="wiz-emulator", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread is not None:
            self._thread.join()

    def run(self, ready: Callable[[Self], None]) -> None:
        """Serve in the foreground until SIGTERM or SIGINT; `ready` is called once the port is bound."""
        listener = self._bind()
        # A page is ten thousand short-lived objects and no cycles: the default collector takes a third of the time.
        gc.set_threshold(200_000, 20, 20)
        ready(self)
        # uvicorn stops at these signals, then raises them again: without handlers of ours that would kill the caller.
        before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self._server.run([listener])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _bind(self) -> socket.socket:
        listener = _listen(self._port)
        self._port = listener.getsockname()[1]
        return listener


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError as error:
        listener.close()
        raise PermanentError(f"Can't listen on {_HOST}:{port}: {error.strerror}. Choose another port.") from error
    listener.listen(128)
    return listener


def _config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(service), lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=2
    )
