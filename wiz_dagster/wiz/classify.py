"""What a failed request to Wiz means: decided once, here, from status, GraphQL error code and connection error.

A `Problem` says what happened, in a sentence fit for a log, and what the client may do about it; the doing is in
`client.py` and `token.py`. No part of an answer's body enters a sentence but an error's code and, for a refused query,
Wiz's own message, cut short.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import Any

import requests
from gql.transport.exceptions import TransportConnectionFailed, TransportError
from graphql import ExecutionResult

from wiz_dagster.wiz.transport import Answer

LONGEST_PAUSE = 300.0
"""Seconds; a longer Retry-After is cut to it, the next attempt then asks again."""

_MESSAGE_CHARACTERS = 200


class Action(Enum):
    """What may help."""

    FAIL = "a person has to act"
    NEW_TOKEN = "a fresh token, once"  # noqa: S105
    RETRY = "the same request later"


@dataclass(frozen=True)
class Problem:
    """Why a request failed. `text` is a sentence without its full stop."""

    text: str
    action: Action = Action.RETRY
    attempts: int = 8
    pause: float | None = None
    """Seconds that the whole tenant must rest; 0: as long as the client sees fit; None: no need."""
    smaller_page_after: int | None = None
    """The number of failed attempts from which a smaller page is worth trying."""


_SCOPE_MISSING = "Wiz refuses the query: give the service account the scope {scope}"
_REFUSED = "Wiz refuses the query or a filter ({detail}): correct the filters, or update wiz_dagster to Wiz's schema"
_CODES: Mapping[str, Problem] = {
    "UNAUTHENTICATED": Problem("Wiz doesn't accept the token", Action.NEW_TOKEN),
    "UNAUTHORIZED": Problem(_SCOPE_MISSING, Action.FAIL),
    "FORBIDDEN": Problem(_SCOPE_MISSING, Action.FAIL),
    "FORBIDDEN_IP": Problem(
        "Wiz refuses this machine's IP address: add it to the tenant's list of allowed addresses", Action.FAIL
    ),
    "BAD_USER_INPUT": Problem(_REFUSED, Action.FAIL),
    "GRAPHQL_PARSE_FAILED": Problem(_REFUSED, Action.FAIL),
    "GRAPHQL_VALIDATION_FAILED": Problem(_REFUSED, Action.FAIL),
    "NOT_FOUND": Problem(_REFUSED, Action.FAIL),
    "RATE_LIMIT_EXCEEDED": Problem("Wiz's rate limit is exceeded: lower WIZ_REQUESTS_PER_SECOND", pause=0),
    "INTERNAL": Problem("Wiz reports an internal error", smaller_page_after=2),
}
_STATUSES: Mapping[int, Problem] = {
    401: _CODES["UNAUTHENTICATED"],
    403: Problem(
        "Wiz answers with HTTP 403: give the service account the scope {scope}, or this machine's IP address access",
        Action.FAIL,
    ),
    404: Problem("Wiz answers with HTTP 404: check WIZ_API_URL", Action.FAIL),
    408: Problem("Wiz answers with HTTP 408, too slow", smaller_page_after=1),
    429: _CODES["RATE_LIMIT_EXCEEDED"],
    504: Problem("Wiz's gateway answers with HTTP 504, too slow", smaller_page_after=1),
}


def answer_problem(result: ExecutionResult, answer: Answer | None, scope: str | None) -> Problem | None:
    """Return what is wrong with a GraphQL answer; None when it is whole. `errors` beside `data` is a failure."""
    status = answer.status if answer else HTTPStatus.OK
    if not result.errors:
        if status >= HTTPStatus.BAD_REQUEST:
            return status_problem(status, answer, scope)
        return None if isinstance(result.data, dict) else Problem("Wiz's answer holds no data and no error", attempts=3)
    errors: list[Any] = list(result.errors) if isinstance(result.errors, list) else [result.errors]
    problems = [_error_problem(error, status, answer, scope) for error in errors]
    return min(problems, key=lambda problem: list(Action).index(problem.action))


def failure_problem(error: TransportError, answer: Answer | None, scope: str | None) -> Problem:
    """Return what kept a GraphQL answer from coming. Raises what gql wrapped when it isn't a connection's failure."""
    if isinstance(error, TransportConnectionFailed):
        if not isinstance(error.__cause__, requests.RequestException):
            raise error.__cause__ or error
        return connection_problem(error.__cause__, "WIZ_API_URL")
    if answer is None:
        raise error
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        return status_problem(answer.status, answer, scope)
    return Problem(
        f"Wiz's answer isn't GraphQL JSON (HTTP {answer.status}, {_media_type(answer)}, {answer.size} bytes):"
        " if it stays so, check WIZ_API_URL and the proxy",
        attempts=3,
    )


def connection_problem(error: requests.RequestException, variable: str) -> Problem:
    """Return what a failed connection to the address in the setting `variable` means."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Problem(f"The certificate at {variable} isn't trusted: name its authority in WIZ_CA_CERTS", Action.FAIL)
    if isinstance(error, requests.exceptions.ProxyError):
        return Problem(f"The proxy to {variable} fails: check WIZ_PROXY_URL")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return Problem(f"{variable} or WIZ_PROXY_URL is not a usable address: correct it", Action.FAIL)
    if isinstance(error, requests.ReadTimeout):
        return Problem(f"No complete answer came in time from {variable}", smaller_page_after=1)
    kind = type(error).__name__
    return Problem(
        f"The host of {variable} can't be reached or cuts the connection ({kind}):"
        " check the address, the network and, behind a proxy, WIZ_PROXY_URL"
    )


def status_problem(status: int, answer: Answer | None, scope: str | None) -> Problem:
    """Return what an HTTP status from 300 on means."""
    problem = _STATUSES.get(status)
    if problem is None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        problem = Problem(f"Wiz answers with HTTP {status}")
    elif problem is None and status < HTTPStatus.BAD_REQUEST:
        problem = Problem(f"Wiz answers with a redirect (HTTP {status}): correct WIZ_API_URL", Action.FAIL)
    elif problem is None:
        problem = Problem(f"Wiz refuses the request (HTTP {status}): check WIZ_API_URL and the filters", Action.FAIL)
    return _filled(problem, answer, scope)


def retry_after(text: str | None) -> float | None:
    """Return the seconds that Retry-After asks for, given as such or as a date; None without a readable one."""
    text = (text or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, IndexError):
            return None
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _error_problem(error: Any, status: int, answer: Answer | None, scope: str | None) -> Problem:
    message = error.get("message") if isinstance(error, dict) else None
    extensions = error.get("extensions") if isinstance(error, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    # Whatever doesn't look like a code could be anything, a finding's text too.
    code = code if isinstance(code, str) and re.fullmatch(r"[A-Z0-9_]{1,40}", code) else None
    if code is None and isinstance(message, str) and "rate limit exceeded" in message.lower():
        code = "RATE_LIMIT_EXCEEDED"
    problem = _CODES.get(code or "")
    if problem is None and status == HTTPStatus.BAD_REQUEST:
        problem = _CODES["BAD_USER_INPUT"]
    elif problem is None and status > HTTPStatus.BAD_REQUEST:
        return status_problem(status, answer, scope)
    elif problem is None:
        problem = Problem(f"Wiz reports an error ({code or 'without a known code'})", attempts=3)
    problem = _filled(problem, answer, scope, _cut(message))
    return _with_wait_of(extensions, problem) if problem.pause == 0 else problem


def _with_wait_of(extensions: Any, problem: Problem) -> Problem:
    """A rate limit's wait as the error itself gives it; no public source shows one, and none is counted on."""
    asked = retry_after(str(extensions.get("retryAfter"))) if isinstance(extensions, dict) else None
    return problem if asked is None else replace(problem, pause=asked)


def _filled(problem: Problem, answer: Answer | None, scope: str | None, detail: str = "no reason given") -> Problem:
    text = problem.text.replace("{scope}", scope or "that the query needs").replace("{detail}", detail)
    asked = retry_after(answer.retry_after) if answer and problem.action is Action.RETRY else None
    return replace(problem, text=text, pause=problem.pause if asked is None else asked)


def _cut(message: object) -> str:
    text = " ".join(message.split()) if isinstance(message, str) else "no reason given"
    return text if len(text) <= _MESSAGE_CHARACTERS else text[:_MESSAGE_CHARACTERS] + "…"


def _media_type(answer: Answer) -> str:
    found = re.match(r"[\w.+-]{1,30}/[\w.+-]{1,60}", answer.content_type, re.ASCII)
    return found[0] if found else "no content type"
