"""One connection's HTTP: uvicorn's httptools protocol, with the bounds that it lacks.

A head must be there in time and may not be too large, nor may anything else that is not a body; requests that are
sent ahead of their answers are few. httptools and not h11, which has a bound for heads, since it takes a third of the
time for a request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from wiz_dagster.defend.metrics import Metrics
from wiz_dagster.defend.refusals import BROKEN, HEAD_TOO_LARGE, TOO_SLOW, Reason, Refusals

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_HEAD = 32_768
"""Bytes of a head; of chunk headers and trailers, too, that come without a body between them."""
MAX_HEADERS = 100
MAX_AHEAD = 16
"""Requests that may wait for the answer of the one before."""


@dataclass(frozen=True)
class Bounds:
    """Attributes: seconds until a head must be complete, who is told of what is refused, and where all is counted."""

    seconds: float
    refusals: Refusals
    metrics: Metrics


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections that exceed a bound; everything else is uvicorn's."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], bounds: Bounds) -> None:
        super().__init__(config, server_state, app_state)
        self._bounds = bounds
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = False
        self._bytes_without_body = 0
        self._reason = BROKEN
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is awaited."""
        super().connection_made(transport)
        self._bounds.metrics.connections.set(len(self.connections))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more; the request under way learns it, also when others wait behind it."""
        self._stop_waiting()
        if self._answering is not None:
            self._answering.disconnected = True  # uvicorn tells the last one in the line alone
            self._answering.message_event.set()
        super().connection_lost(exc)
        self._bounds.metrics.connections.set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Parse it, and see whether too much came that is no body."""
        self._bytes_without_body += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._reason)
        if self._bytes_without_body > MAX_HEAD and not self.transport.is_closing():
            self._refuse(HEAD_TOO_LARGE)

    def _parse(self, data: bytes) -> None:
        """Feed the parser; a head that asks for another protocol is fed once more without the question.

        The parser takes what follows such a head for the other protocol, and some clients ask with every request.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            version = self.parser.get_http_version().encode()
            lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
            lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self._parse(b"\r\n".join([*lines, b"", rest]))

    def on_message_begin(self) -> None:
        """A head starts."""
        self._in_head = True
        self._bytes_without_body = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of a head; a trailer, which nobody checks, is left out."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A request may start if its head is within bounds, and not too many wait already."""
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            self._reason = HEAD_TOO_LARGE
            raise ValueError("ends in _refuse")
        if len(self.pipeline) >= MAX_AHEAD or self.parser.get_method() == b"CONNECT":
            raise ValueError("ends in _refuse")
        if self.parser.should_upgrade():
            return  # comes again, see `_parse`
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Body is bounded by the application, and in time."""
        self._bytes_without_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of a body is there."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next head is awaited, and the rest of a body that was answered early."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._await_head()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _refuse(self, reason: Reason) -> None:
        """Answer and close; first come the answers to what was sent before."""
        if self.pipeline or (self.cycle and not self.cycle.response_complete and not self.cycle.more_body):
            self.flow.pause_reading()  # with the next data, the parser refuses again
            return
        self._bounds.refusals.note(reason)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(reason.body)
        self.transport.write(STATUS_LINE[reason.status] + head + reason.body)
        self.transport.close()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self._bounds.seconds, self._head_is_late)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_is_late(self) -> None:
        if self.transport.is_closing():
            return
        if self._in_head:
            self._refuse(TOO_SLOW)
        else:  # nothing came, or the rest of a body whose request has its answer
            self.transport.close()
