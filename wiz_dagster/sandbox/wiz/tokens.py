"""Who may ask: clients with secrets and scopes, the tokens handed to them, and how many requests each may send.

The token endpoint's answers follow OAuth 2.0's client credentials grant (RFC 6749, sections 4.4 and 5).
"""

import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wiz_dagster.sandbox.wiz.roots import ROOTS

AUDIENCE = "wiz-api"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105  # guards invented data on the loopback interface
ALL_SCOPES = frozenset(root.scope for root in ROOTS)


@dataclass(frozen=True)
class Client:
    """A service account of the emulated tenant."""

    client_id: str = CLIENT_ID
    client_secret: str = field(default=CLIENT_SECRET, repr=False)
    scopes: frozenset[str] = ALL_SCOPES


@dataclass(frozen=True)
class RateLimit:
    """A token bucket a client: `burst` requests at once, then `per_second`.

    Beyond it HTTP 429, with Retry-After unless told otherwise; `in_body`: RATE_LIMIT_EXCEEDED inside HTTP 200 instead.
    """

    per_second: float
    burst: int
    retry_after: bool = True
    in_body: bool = False


@dataclass
class TokenDesk:
    """Hands out tokens and knows whose they are."""

    clients: tuple[Client, ...] = (Client(),)
    audience: str = AUDIENCE
    lifetime: float = 86_400.0
    """Seconds that a token handed out from now on is valid."""
    rate_limit: RateLimit | None = None
    _tokens: dict[str, tuple[Client, float]] = field(default_factory=dict)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def grant(self, form: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """HTTP status and JSON answer to a request for a token."""
        if form.get("grant_type") != "client_credentials":
            return 400, _refusal("unsupported_grant_type", "grant_type must be client_credentials")
        client = self._client(str(form.get("client_id", "")))
        if client is None or not _same_secret(client.client_secret, str(form.get("client_secret", ""))):
            return 401, _refusal("access_denied", "Unauthorized")
        if form.get("audience") != self.audience:
            return 403, _refusal("access_denied", "Service not enabled within domain: unknown audience")
        token = secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[token] = (client, time.monotonic() + self.lifetime)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": int(self.lifetime)}

    def holder(self, authorization: str) -> Client | None:
        """The client whose token the Authorization header carries, None when it is missing, unknown or expired."""
        kind, _, token = authorization.partition(" ")
        with self._lock:
            client, until = self._tokens.get(token, (None, 0.0))
        if client is None or kind.lower() != "bearer" or time.monotonic() >= until:
            return None
        return self._client(client.client_id)

    def expire_all(self) -> None:
        """Every token handed out so far is worth nothing any more."""
        with self._lock:
            self._tokens.clear()

    def wait_of(self, client: Client) -> float | None:
        """None when the client may send a request now (it is counted), else the seconds until it may."""
        limit = self.rate_limit
        if limit is None:
            return None
        now = time.monotonic()
        with self._lock:
            left, since = self._buckets.get(client.client_id, (float(limit.burst), now))
            left = min(float(limit.burst), left + (now - since) * limit.per_second)
            allowed = left >= 1.0
            self._buckets[client.client_id] = (left - 1.0 if allowed else left, now)
        return None if allowed else (1.0 - left) / limit.per_second

    def _client(self, client_id: str) -> Client | None:
        return next((client for client in self.clients if client.client_id == client_id), None)


def _same_secret(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refusal(error: str, description: str) -> dict[str, Any]:
    return {"error": error, "error_description": description}
