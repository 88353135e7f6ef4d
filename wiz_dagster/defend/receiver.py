"""The receiver as an ASGI application: what a posted body goes through before it is acknowledged.

Path and method, credentials, room for one more request, the body and its bounds, JSON or not, the disk; only then 200.
Sockets, TLS and the limits of connections are in `server.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wiz_dagster.defend.authentication import authentication
from wiz_dagster.defend.body import count_objects, read_body
from wiz_dagster.defend.health import Health
from wiz_dagster.defend.metrics import Metrics
from wiz_dagster.defend.refusals import (
    BUSY,
    GONE,
    INTERNAL,
    NOT_KEPT,
    WRONG_CREDENTIALS,
    WRONG_METHOD,
    WRONG_PATH,
    Reason,
    Refusals,
    Refused,
)
from wiz_dagster.defend.settings import HEALTH_PATH, METRICS_PATH, ReceiverSettings
from wiz_dagster.defend.spool_writer import SpoolError


class Writer(Protocol):
    """What keeps the bodies: `SpoolWriter`."""

    async def append(self, body: bytes) -> None:
        """Return once the body is durable; `SpoolError` when it can't be."""

    async def close(self) -> None:
        """Finish what was taken."""


class Receiver:
    """One receiver's state and its endpoints."""

    def __init__(self, settings: ReceiverSettings, writer: Writer, metrics: Metrics, refusals: Refusals) -> None:
        self._settings = settings
        self._writer = writer
        self._metrics = metrics
        self._refusals = refusals
        self._authentication = authentication(settings)
        self._health = Health(settings.spool, settings.max_body)
        self._in_progress = 0

    def application(self) -> Starlette:
        """The program that uvicorn runs; closes the writer at its end."""
        application = Starlette(
            routes=[
                Route(self._settings.path, self._events, methods=["POST"]),
                Route(HEALTH_PATH, self._healthz, methods=["GET"]),
                Route(METRICS_PATH, self._metrics_text, methods=["GET"]),
            ],
            exception_handlers={
                HTTPException: self._refuse,
                ClientDisconnect: self._let_go,
                Exception: self._apologize,
            },
            lifespan=self._lifespan,
        )
        application.router.redirect_slashes = False
        return application

    @asynccontextmanager
    async def _lifespan(self, _application: Starlette) -> AsyncIterator[None]:
        yield
        await self._writer.close()

    async def _events(self, request: Request) -> Response:
        self._authenticate(request)
        if self._in_progress >= self._settings.max_requests:
            raise Refused(BUSY)
        self._in_progress += 1
        self._metrics.in_progress.set(self._in_progress)
        try:
            body = await read_body(request, self._settings.max_body, self._settings.seconds)
            events = count_objects(body)
            if events:
                await self._keep(body)
        finally:
            self._in_progress -= 1
            self._metrics.in_progress.set(self._in_progress)
        self._metrics.requests.inc()
        self._metrics.events.inc(events)
        self._metrics.bytes.inc(len(body))
        return JSONResponse({"accepted": events})

    async def _keep(self, body: bytes) -> None:
        try:
            with self._metrics.append.time():
                await self._writer.append(body)
        except SpoolError as error:
            self._health.note(kept=False)
            raise Refused(NOT_KEPT) from error
        self._health.note(kept=True)

    async def _healthz(self, _request: Request) -> Response:
        good = await self._health.good()
        return JSONResponse({"status": "ok" if good else "events can't be kept"}, 200 if good else 503)

    async def _metrics_text(self, request: Request) -> Response:
        self._authenticate(request)
        return Response(await self._metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _authenticate(self, request: Request) -> None:
        if not self._authentication.accepts(request.headers):
            challenge = self._authentication.challenge
            raise Refused(WRONG_CREDENTIALS, {"WWW-Authenticate": challenge} if challenge else None)

    async def _refuse(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        reason = error.reason if isinstance(error, Refused) else _routing_reason(error)
        self._refusals.note(reason, str(error.__cause__ or ""))
        return Response(reason.body, reason.status, error.headers, "application/json")

    async def _let_go(self, _request: Request, _error: Exception) -> Response:
        self._refusals.note(GONE)
        return Response(status_code=400)  # nobody reads it

    async def _apologize(self, _request: Request, _error: Exception) -> Response:
        # The server logs the exception itself: its type and place, see `logs.py`.
        self._refusals.note(INTERNAL)
        return Response(INTERNAL.body, INTERNAL.status, media_type="application/json")


def _routing_reason(error: HTTPException) -> Reason:
    return WRONG_METHOD if error.status_code == WRONG_METHOD.status else WRONG_PATH
