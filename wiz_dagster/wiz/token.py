"""The access token: OAuth client credentials, asked for once, shared by the threads of a client, renewed in time."""

import threading
import time
from dataclasses import dataclass
from http import HTTPStatus

import orjson
import requests

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz.classify import Action, Problem, connection_problem, retry_after
from wiz_dagster.wiz.rate_limit import Sleep
from wiz_dagster.wiz.retries import delay
from wiz_dagster.wiz.transport import DeadlineAdapter, open_session

ATTEMPTS = 5
EARLY_SECONDS = 300.0
"""How long before its end a token is renewed; half its life for a token that lives shorter than twice that."""
DEFAULT_LIFE_SECONDS = 3600.0
"""Assumed when Wiz doesn't say how long a token lives."""

_CREDENTIALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_RETRIED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True)
class _Token:
    text: str
    renew_at: float


class TokenSource:
    """Hands out a valid token; thread safe."""

    def __init__(self, settings: WizSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def current(self, sleep: Sleep) -> str:
        """Return a token that is valid for some minutes more, asking for one when needed.

        Raises PermanentError when the credentials are refused, TransientError when the endpoint doesn't answer.
        """
        with self._lock:
            if self._token is None or time.monotonic() >= self._token.renew_at:
                self._token = self._fetch(sleep)
            return self._token.text

    def refuse(self, token: str) -> None:
        """Forget `token`, which Wiz did not accept, unless another thread has replaced it already."""
        with self._lock:
            if self._token is not None and self._token.text == token:
                self._token = None

    def _fetch(self, sleep: Sleep) -> _Token:
        for attempt in range(1, ATTEMPTS + 1):
            outcome = self._ask()
            if isinstance(outcome, _Token):
                return outcome
            if outcome.action is Action.FAIL:
                raise PermanentError(f"{outcome.text}.")
            if attempt < ATTEMPTS:
                sleep(max(delay(attempt), outcome.pause or 0.0))
        raise TransientError(f"{outcome.text}. Gave up after {ATTEMPTS} attempts.")

    def _ask(self) -> _Token | Problem:
        adapter = DeadlineAdapter()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
            "audience": self._settings.audience,
        }
        with open_session(self._settings, adapter) as session:
            try:
                response = session.post(
                    self._settings.token_url,
                    data=form,
                    headers={"Accept": "application/json"},
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                return connection_problem(error, "WIZ_TOKEN_URL")
        if response.status_code != HTTPStatus.OK:
            return _refusal(response.status_code, retry_after(response.headers.get("Retry-After")))
        return _token(adapter.body)


def _refusal(status: int, pause: float | None) -> Problem:
    if status in _CREDENTIALS:
        return Problem(
            f"Wiz issues no token (HTTP {status}): check WIZ_CLIENT_ID, WIZ_CLIENT_SECRET and WIZ_AUDIENCE,"
            " and that the service account hasn't expired",
            Action.FAIL,
        )
    if status in _RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(f"The host of WIZ_TOKEN_URL answers with HTTP {status}: if it stays so, check it", pause=pause)
    return Problem(f"The host of WIZ_TOKEN_URL answers with HTTP {status}: correct the address", Action.FAIL)


def _token(answer: bytes) -> _Token | Problem:
    try:
        body = orjson.loads(answer)
        text, life = body["access_token"], float(body.get("expires_in") or DEFAULT_LIFE_SECONDS)
    except (ValueError, TypeError, KeyError, AttributeError):
        text, life = None, 0.0
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not text:
        return Problem("The answer of WIZ_TOKEN_URL holds no access token: correct the address", Action.FAIL)
    return _Token(text, time.monotonic() + life - min(EARLY_SECONDS, life / 2))
