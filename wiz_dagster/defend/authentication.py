"""Who may post: a check of the request's headers against the one secret that the settings name.

Given and expected are compared as digests, in constant time, whatever their lengths. Client certificates are checked
in the handshake, see `tls.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers

from wiz_dagster.defend.settings import AUTHORIZATION, ReceiverSettings


@dataclass(frozen=True)
class Authentication:
    """How requests are believed.

    Attributes:
        accepts: whether the headers hold the secret.
        challenge: what a 401 asks for; None: HTTP has no word for it.
    """

    accepts: Callable[[Headers], bool]
    challenge: str | None = None


def authentication(settings: ReceiverSettings) -> Authentication:
    """What `WIZ_DEFEND_AUTH` and its companions ask for."""
    if settings.auth == "basic" and settings.username and settings.password:
        expected = f"{settings.username}:{settings.password.get_secret_value()}".encode()
        return Authentication(_check(AUTHORIZATION, _basic, expected), 'Basic realm="wiz-dagster", charset="UTF-8"')
    if settings.auth == "token" and settings.token:
        expected = settings.token.get_secret_value().encode()
        if settings.token_header.lower() == AUTHORIZATION.lower():
            return Authentication(_check(AUTHORIZATION, _bearer, expected), 'Bearer realm="wiz-dagster"')
        return Authentication(_check(settings.token_header, bytes, expected))
    return Authentication(lambda _headers: True)


def _check(header: str, secret_of: Callable[[bytes], bytes | None], expected: bytes) -> Callable[[Headers], bool]:
    name = header.lower().encode()
    wanted = hashlib.sha256(expected).digest()

    def accepts(headers: Headers) -> bool:
        values = [value for key, value in headers.raw if key == name]
        if len(values) != 1:  # of two, another program may have checked the other one
            return False
        given = secret_of(values[0])
        return given is not None and hmac.compare_digest(hashlib.sha256(given).digest(), wanted)

    return accepts


def _basic(value: bytes) -> bytes | None:
    """User name, colon and password, as they were before base64 (RFC 7617)."""
    encoded = _of_scheme(b"basic", value)
    try:
        return None if encoded is None else base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None


def _bearer(value: bytes) -> bytes | None:
    return _of_scheme(b"bearer", value)


def _of_scheme(scheme: bytes, value: bytes) -> bytes | None:
    given, _, rest = value.partition(b" ")
    return rest.strip(b" ") if given.lower() == scheme else None
