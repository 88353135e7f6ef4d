"""What Wiz may answer, as rows: the faults that the emulator commits, and what must come of them.

The rows are run in `test_wiz_answers.py`. `HEALTHY` is what a run without faults asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.sandbox.wiz.tokens import Client

HEALTHY = {"token 200": 1, "auditLogEntries 200": 2}
QUOTED = "finding: password of vm-17 is hunter2"
"""What the emulator's errors say; as Wiz's may quote a finding, no message may repeat it."""
FOR_EVER = None


@dataclass(frozen=True)
class Case:
    name: str
    faults: tuple[Fault, ...] = ()
    asked: Mapping[str, int] = field(default_factory=dict)
    """Requests by root, status and what spoiled the answer."""
    says: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    """Page sizes asked for, one request after the other."""
    pauses: tuple[float, ...] = ()
    """Seconds that the whole tenant was told to rest; 0 for a wait of the client's own choice."""
    settings: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[Client, ...] = (Client(),)


def code(name: str, **how: Any) -> Fault:
    return Fault("error", root="auditLogEntries", code=name, message=QUOTED, **how)


def status(number: int, **how: Any) -> Fault:
    return Fault("status", root=how.pop("root", "auditLogEntries"), status=number, **how)


def page(kind: str, **how: Any) -> Fault:
    return Fault(kind, root="auditLogEntries", **how)


HEALING = [
    Case("nothing wrong", sizes=(40, 40)),
    Case(
        "UNAUTHENTICATED once: the token is renewed",
        (code("UNAUTHENTICATED"),),
        {"token 200": 2, "auditLogEntries 200 UNAUTHENTICATED": 1},
    ),
    Case("HTTP 401 once: the token is renewed", (status(401),), {"token 200": 2, "auditLogEntries 401 status": 1}),
    Case(
        "tokens expire in the middle of the walk",
        (page("expire_tokens", skip=1),),
        {"token 200": 2, "auditLogEntries 200 UNAUTHENTICATED": 1},
    ),
    Case(
        "RATE_LIMIT_EXCEEDED inside HTTP 200",
        (code("RATE_LIMIT_EXCEEDED", times=3),),
        {"auditLogEntries 200 RATE_LIMIT_EXCEEDED": 3},
        pauses=(0, 0, 0),
    ),
    Case(
        "RATE_LIMIT_EXCEEDED that says how long to wait",
        (code("RATE_LIMIT_EXCEEDED", retry_after="7"),),
        {"auditLogEntries 200 RATE_LIMIT_EXCEEDED": 1},
        pauses=(7,),
    ),
    Case(
        "a rate limit told by text alone",
        (replace(code(""), message="Rate limit exceeded, try later"),),
        {"auditLogEntries 200 ": 1},
        pauses=(0,),
    ),
    Case(
        "HTTP 429 with Retry-After",
        (status(429, retry_after="20", times=2),),
        {"auditLogEntries 429 status": 2},
        pauses=(20, 20),
    ),
    Case(
        "HTTP 429 with Retry-After as a date that has passed",
        (status(429, retry_after=formatdate(0, usegmt=True)),),
        {"auditLogEntries 429 status": 1},
        pauses=(0,),
    ),
    Case(
        "HTTP 429 with a Retry-After of hours",
        (status(429, retry_after="7200"),),
        {"auditLogEntries 429 status": 1},
        pauses=(300,),
    ),
    Case("HTTP 429 without Retry-After", (status(429, times=2),), {"auditLogEntries 429 status": 2}, pauses=(0, 0)),
    Case("HTTP 503 with Retry-After", (status(503, retry_after="5"),), {"auditLogEntries 503 status": 1}, pauses=(5,)),
    Case("INTERNAL once: same page again", (code("INTERNAL"),), {"auditLogEntries 200 INTERNAL": 1}, sizes=(40,) * 3),
    Case(
        "INTERNAL again: a smaller page",
        (code("INTERNAL", times=2),),
        {"auditLogEntries 200 INTERNAL": 2, "auditLogEntries 200": 3},
        sizes=(40, 40, 20, 20, 20),
    ),
    Case("an unknown code", (code("NEVER_HEARD_OF", times=2),), {"auditLogEntries 200 NEVER_HEARD_OF": 2}),
    *(
        Case(f"HTTP {number} in HTML", (status(number, times=3),), {f"auditLogEntries {number} status": 3})
        for number in (500, 502, 503)
    ),
    *(
        Case(
            f"HTTP {number}, too slow: a smaller page",
            (status(number, times=2),),
            {f"auditLogEntries {number} status": 2, "auditLogEntries 200": 6},
            sizes=(40, 20, *[10] * 6),
        )
        for number in (504, 408)
    ),
    Case("a cut connection", (page("cut", times=3),), {"auditLogEntries 200 cut": 3}),
    Case("HTTP 200 that isn't JSON", (page("not_json", times=2),), {"auditLogEntries 200 not_json": 2}),
    Case(
        "errors beside a whole page: asked again",
        (page("errors_beside_data", code="INTERNAL", message=QUOTED, skip=1),),
        {"auditLogEntries 200 INTERNAL": 1},
    ),
    Case("nodes null", (page("null_page", times=2),), {"auditLogEntries 200": 4}),
    Case("no pageInfo", (page("no_page_info", skip=1, times=2),), {"auditLogEntries 200": 4}),
    Case("an empty cursor with more to come", (page("empty_cursor", times=2),), {"auditLogEntries 200": 4}),
    Case("a repeated cursor", (page("repeated_cursor", times=2),), {"auditLogEntries 200": 4}),
    Case("an empty page with more to come", (page("empty_page"),), {"auditLogEntries 200": 3}),
    Case("as many empty pages in a row as are legal", (page("empty_page", times=10),), {"auditLogEntries 200": 12}),
    Case(
        "the token endpoint stumbles",
        (status(503, root="token", times=2), status(429, root="token", retry_after="0", skip=2)),
        {"token 503 status": 2, "token 429 status": 1},
    ),
    Case("the token endpoint cuts the connection", (Fault("cut", root="token"),), {"token 200 cut": 1}),
]


NO_SCOPES = (Client(scopes=frozenset()),)
CREDENTIALS = ("WIZ_CLIENT_ID, WIZ_CLIENT_SECRET and WIZ_AUDIENCE", "service account hasn't expired")
PERMANENT = [
    Case(
        "UNAUTHENTICATED always",
        (code("UNAUTHENTICATED", times=FOR_EVER),),
        {"token 200": 2, "auditLogEntries 200 UNAUTHENTICATED": 2},
        ("WIZ_API_URL, WIZ_TOKEN_URL and WIZ_AUDIENCE belong together", "service account hasn't expired"),
    ),
    Case(
        "HTTP 401 always",
        (status(401, times=FOR_EVER),),
        {"token 200": 2, "auditLogEntries 401 status": 2},
        ("WIZ_API_URL, WIZ_TOKEN_URL and WIZ_AUDIENCE belong together",),
    ),
    Case(
        "UNAUTHORIZED",
        (),
        {"token 200": 1, "auditLogEntries 200 UNAUTHORIZED": 1},
        ("give the service account the scope admin:audit",),
        clients=NO_SCOPES,
    ),
    Case(
        "UNAUTHORIZED beside data",
        (page("errors_beside_data", code="UNAUTHORIZED", message=QUOTED),),
        {"token 200": 1, "auditLogEntries 200 UNAUTHORIZED": 1},
        ("give the service account the scope admin:audit",),
    ),
    Case(
        "UNAUTHORIZED in the middle of the walk",
        (code("UNAUTHORIZED", skip=1),),
        {**HEALTHY, "auditLogEntries 200": 1, "auditLogEntries 200 UNAUTHORIZED": 1},
        ("give the service account the scope admin:audit",),
    ),
    Case(
        "FORBIDDEN_IP",
        (code("FORBIDDEN_IP", times=FOR_EVER),),
        {"token 200": 1, "auditLogEntries 200 FORBIDDEN_IP": 1},
        ("this machine's IP address", "list of allowed addresses"),
    ),
    Case(
        "BAD_USER_INPUT: the schema has drifted",
        (replace(code("BAD_USER_INPUT", times=FOR_EVER), message="Cannot query field aiEngines"),),
        {"token 200": 1, "auditLogEntries 200 BAD_USER_INPUT": 1},
        ("Cannot query field aiEngines", "correct the filters, or update wiz_dagster to Wiz's schema"),
    ),
    Case(
        "NOT_FOUND",
        (replace(code("NOT_FOUND", times=FOR_EVER), message="Resource not found"),),
        {"token 200": 1, "auditLogEntries 200 NOT_FOUND": 1},
        ("Wiz refuses the query or a filter",),
    ),
    *(
        Case(
            f"HTTP {number}",
            (status(number, times=FOR_EVER),),
            {"token 200": 1, f"auditLogEntries {number} status": 1},
            says,
        )
        for number, says in (
            (403, ("scope admin:audit", "IP address")),
            (404, ("check WIZ_API_URL",)),
            (400, ("HTTP 400", "check WIZ_API_URL and the filters")),
            (302, ("redirect", "correct WIZ_API_URL")),
        )
    ),
    Case(
        "a wrong client secret",
        (),
        {"token 401": 1},
        CREDENTIALS,
        settings={"WIZ_CLIENT_SECRET": "wrong-hunter2"},
    ),
    Case("a wrong audience", (), {"token 403": 1}, CREDENTIALS, settings={"WIZ_AUDIENCE": "beyond-api"}),
    Case("an expired service account", (), {"token 401": 1}, CREDENTIALS, clients=(Client("somebody", "else"),)),
    Case(
        "a token address that answers with a page",
        (Fault("not_json", root="token", times=FOR_EVER),),
        {"token 200 not_json": 1},
        ("WIZ_TOKEN_URL holds no access token", "correct the address"),
    ),
    Case(
        "a token address that doesn't exist",
        (status(404, root="token", times=FOR_EVER),),
        {"token 404 status": 1},
        ("WIZ_TOKEN_URL answers with HTTP 404", "correct the address"),
    ),
    Case("a page over 500", (), {}, ("WIZ_PAGE_SIZE", "500"), settings={"WIZ_PAGE_SIZE": "501"}),
    Case("no client id", (), {}, ("WIZ_CLIENT_ID", "not set"), settings={"WIZ_CLIENT_ID": ""}),
]


TRANSIENT = [
    *(
        Case(
            f"HTTP {number}",
            (status(number, times=FOR_EVER),),
            {"token 200": 1, f"auditLogEntries {number} status": 8},
            (says, "Gave up after 8 attempts"),
        )
        for number, says in (
            (429, "lower WIZ_REQUESTS_PER_SECOND"),
            (502, "HTTP 502"),
            (503, "HTTP 503"),
            (504, "HTTP 504, too slow"),
        )
    ),
    *(
        Case(
            name,
            (code(name, times=FOR_EVER),),
            {"token 200": 1, f"auditLogEntries 200 {name}": attempts},
            (says, f"Gave up after {attempts} attempts"),
        )
        for name, attempts, says in (
            ("RATE_LIMIT_EXCEEDED", 8, "lower WIZ_REQUESTS_PER_SECOND"),
            ("INTERNAL", 8, "internal error"),
            ("NEVER_HEARD_OF", 3, "Wiz reports an error (NEVER_HEARD_OF)"),
            ("vm-17 has no code", 3, "Wiz reports an error (without a known code)"),
        )
    ),
    Case(
        "cut connections",
        (page("cut", times=FOR_EVER),),
        {"token 200": 1, "auditLogEntries 200 cut": 8},
        ("The host of WIZ_API_URL can't be reached or cuts the connection",),
    ),
    Case(
        "HTTP 200 that isn't JSON",
        (page("not_json", times=FOR_EVER),),
        {"token 200": 1, "auditLogEntries 200 not_json": 3},
        ("isn't GraphQL JSON (HTTP 200, text/html", "check WIZ_API_URL and the proxy"),
    ),
    Case(
        "errors beside the second page",
        (page("errors_beside_data", code="INTERNAL", message=QUOTED, skip=1, times=FOR_EVER),),
        {"token 200": 1, "auditLogEntries 200": 1, "auditLogEntries 200 INTERNAL": 8},
        ("internal error",),
    ),
    *(
        Case(kind, (page(kind, times=FOR_EVER, skip=skip),), {"token 200": 1, "auditLogEntries 200": 3 + skip}, (says,))
        for kind, skip, says in (
            ("null_page", 0, "nodes is not a list"),
            ("no_page_info", 1, "pageInfo is missing"),
            ("empty_cursor", 0, "more pages are announced without a cursor"),
        )
    ),
    Case(
        "a repeated cursor",
        (page("repeated_cursor", times=FOR_EVER),),
        {"token 200": 1, "auditLogEntries 200": 4},
        ("a cursor came twice",),
    ),
    Case(
        "more empty pages than are legal",
        (page("empty_page", times=FOR_EVER),),
        {"token 200": 1, "auditLogEntries 200": 11},
        ("11 empty pages in a row",),
    ),
    Case(
        "the token endpoint stays down",
        (status(503, root="token", times=FOR_EVER),),
        {"token 503 status": 5},
        ("The host of WIZ_TOKEN_URL answers with HTTP 503",),
    ),
    Case(
        "an unreachable API host",
        (),
        {"token 200": 1},
        ("The host of WIZ_API_URL can't be reached", "Gave up after 8 attempts"),
        settings={"WIZ_API_URL": "http://127.0.0.1:{closed}"},
    ),
    Case(
        "an unreachable token host",
        (),
        {},
        ("The host of WIZ_TOKEN_URL can't be reached", "Gave up after 5 attempts"),
        settings={"WIZ_TOKEN_URL": "http://127.0.0.1:{closed}/oauth/token"},
    ),
]
