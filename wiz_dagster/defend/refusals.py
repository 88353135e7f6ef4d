"""Why a request or a connection is refused: the answer that it gets, how it is counted, and what the log tells of it.

No answer and no line of the log holds anything of the request itself. A flood of bad requests doesn't flood the log.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import orjson
from starlette.exceptions import HTTPException

from wiz_dagster.defend.metrics import Metrics

RETRY_AFTER = {"Retry-After": "5"}
"""Seconds; goes with every 503."""
LOG_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reason:
    """Attributes: the name it is counted under, the status, and the sentence that the answer holds."""

    name: str
    status: int
    sentence: str

    @property
    def body(self) -> bytes:
        """The answer's JSON."""
        return orjson.dumps({"error": self.sentence})


BROKEN = Reason("broken_http", 400, "This is not HTTP.")
NOT_JSON = Reason("not_json", 400, "The body is not JSON.")
NOT_AN_OBJECT = Reason("not_an_object", 400, "The body is neither a JSON object nor an array of objects.")
NOT_GZIP = Reason("not_gzip", 400, "The body is not what its content encoding says.")
WRONG_CREDENTIALS = Reason("credentials", 401, "The credentials are missing or wrong.")
WRONG_PATH = Reason("path", 404, "There is nothing at this path.")
WRONG_METHOD = Reason("method", 405, "This path doesn't take this method.")
TOO_SLOW = Reason("too_slow", 408, "The request took too long to arrive.")
TOO_LARGE = Reason("too_large", 413, "The body is too large.")
WRONG_ENCODING = Reason("encoding", 415, "The body may be encoded with gzip or not at all.")
HEAD_TOO_LARGE = Reason("head_too_large", 431, "The request's head is too large.")
INTERNAL = Reason("internal", 500, "Something went wrong here.")
BUSY = Reason("busy", 503, "Too many requests are under way; send it again.")
NOT_KEPT = Reason("spool", 503, "Events can't be kept at the moment; send it again.")
# Without an answer: there is nobody to answer to, or not yet.
GONE = Reason("gone", 0, "The client went before its request had arrived.")
TOO_MANY_CONNECTIONS = Reason("connections", 0, "Too many connections are open.")
NO_HANDSHAKE = Reason("handshake", 0, "The TLS handshake failed.")

REASONS = (
    BROKEN, NOT_JSON, NOT_AN_OBJECT, NOT_GZIP, WRONG_CREDENTIALS, WRONG_PATH, WRONG_METHOD, TOO_SLOW, TOO_LARGE,
    WRONG_ENCODING, HEAD_TOO_LARGE, INTERNAL, BUSY, NOT_KEPT, GONE, TOO_MANY_CONNECTIONS, NO_HANDSHAKE,
)  # fmt: skip


class Refused(HTTPException):
    """Ends a request with the reason's answer."""

    def __init__(self, reason: Reason, headers: dict[str, str] | None = None) -> None:
        super().__init__(
            reason.status, reason.sentence, {**(RETRY_AFTER if reason.status == 503 else {}), **(headers or {})}
        )
        self.reason = reason


class Refusals:
    """Counts what is refused and logs it, each reason once a minute at most."""

    def __init__(self, metrics: Metrics) -> None:
        self._counter = metrics.refused
        self._last: dict[Reason, float] = {}
        self._unsaid: dict[Reason, int] = {}
        for reason in REASONS:
            self._counter.labels(reason.name)

    def note(self, reason: Reason, detail: str = "") -> None:
        """One more; `detail` is a sentence for the log that says more, and holds nothing of the request."""
        self._counter.labels(reason.name).inc()
        now = time.monotonic()
        if now - self._last.get(reason, -LOG_SECONDS) < LOG_SECONDS:
            self._unsaid[reason] = self._unsaid.get(reason, 0) + 1
            return
        self._last[reason] = now
        unsaid = self._unsaid.pop(reason, 0)
        more = f" ({unsaid} more since the last such line)" if unsaid else ""
        _log.warning("refused: %s%s", detail or reason.sentence, more)
