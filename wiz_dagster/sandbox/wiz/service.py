"""What the emulator answers to one request, without the HTTP around it: OAuth, GraphQL, faults, a log of requests.

Errors have Wiz's shape: HTTP 200, `errors[].extensions.code`, `data` null. HTTP itself is `server`'s business.
"""

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from wiz_dagster.sandbox.wiz.faults import Fault, Faults
from wiz_dagster.sandbox.wiz.paging import Page, Paging
from wiz_dagster.sandbox.wiz.projection import BadQueryError
from wiz_dagster.sandbox.wiz.queries import RootSelection, read_query
from wiz_dagster.sandbox.wiz.roots import BY_FIELD
from wiz_dagster.sandbox.wiz.tokens import Client, TokenDesk

_LOG_LENGTH = 20_000
_HTML = b"<html><head><title>%d</title></head><body><h1>Something went wrong</h1><hr>gateway</body></html>"


@dataclass(frozen=True)
class Request:
    """One line of the log: what was asked and what came of it. Never holds a token or a secret."""

    root: str | None
    """Root field, "token", or None when the query couldn't be read."""
    variables: Mapping[str, Any]
    status: int
    code: str | None = None
    """The GraphQL error's code, or the kind of the fault that spoiled the answer, or "rate_limit"."""


@dataclass(frozen=True)
class Reply:
    """An answer on its way out; `faults` are those that concern its sending."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


class Refused(Exception):  # noqa: N818  # an answer, not a failure of the emulator
    """The request ends with this code inside HTTP 200."""

    def __init__(self, code: str, message: str, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


@dataclass
class Service:
    """The emulated tenant's API."""

    paging: Paging
    desk: TokenDesk
    faults: Faults
    requests: deque[Request] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))
    counts: Counter[tuple[str | None, int, str | None]] = field(default_factory=Counter)

    def token(self, form: Mapping[str, Any]) -> Reply:
        """Answer to POST /oauth/token."""
        struck = self.faults.strike("token")
        reply = _broken(struck)
        if reply is None:
            status, answer = self.desk.grant(form)
            reply = Reply(status, orjson.dumps(answer), faults=tuple(struck))
        self._log(Request("token", {}, reply.status, _spoiled(struck)))
        return reply

    def graphql(self, body: bytes, authorization: str) -> Reply:
        """Answer to POST /graphql."""
        query, variables, selected, problem = _read(body)
        root = selected[0].field if selected else None
        has_cursor = any(one.arguments.get("after") for one in selected)
        struck = self.faults.strike(root, has_cursor=has_cursor)
        reply, code = self._reply(query, selected, problem, authorization, struck)
        self._log(Request(root, variables, reply.status, _spoiled(struck) or code))
        return reply

    def _log(self, request: Request) -> None:
        self.requests.append(request)
        self.counts[request.root, request.status, request.code] += 1

    def _reply(
        self, query: str, selected: list[RootSelection], problem: str | None, authorization: str, struck: list[Fault]
    ) -> tuple[Reply, str | None]:
        if broken := _broken(struck):
            return broken, None
        if any(fault.kind == "expire_tokens" for fault in struck):
            self.desk.expire_all()
        client = self.desk.holder(authorization)
        path = [one.key for one in selected[:1]]
        limited = self._limited(client)
        if limited:
            return limited, "rate_limit"
        try:
            answer = self._answer(query, selected, problem, client, struck)
        except Refused as refused:
            answer = {"errors": [_error(refused.code, str(refused), path, refused.retry_after)], "data": None}
        code = answer["errors"][0]["extensions"]["code"] if "errors" in answer else None
        return Reply(200, orjson.dumps(answer), faults=tuple(struck)), code

    def _limited(self, client: Client | None) -> Reply | None:
        wait = self.desk.wait_of(client) if client else None
        limit = self.desk.rate_limit
        if wait is None or limit is None:
            return None
        if limit.in_body:
            error = _error("RATE_LIMIT_EXCEEDED", "Rate limit exceeded", [])
            return Reply(200, orjson.dumps({"errors": [error], "data": None}))
        return Reply(429, _HTML % 429, "text/html", {"Retry-After": f"{math.ceil(wait)}"} if limit.retry_after else {})

    def _answer(
        self,
        query: str,
        selected: list[RootSelection],
        problem: str | None,
        client: Client | None,
        struck: list[Fault],
    ) -> dict[str, Any]:
        if client is None:
            raise Refused("UNAUTHENTICATED", "Access token is missing, invalid or expired")
        for fault in struck:
            if fault.kind == "error":
                raise Refused(fault.code, fault.message, fault.retry_after)
        if problem is not None:
            raise Refused("BAD_USER_INPUT", problem)
        data = {}
        for one in selected:
            root = BY_FIELD[one.field]
            if root.scope not in client.scopes:
                raise Refused(
                    "UNAUTHORIZED", f"Access denied, at least one of the required scopes is missing: {root.scope}"
                )
            try:
                page = self.paging.page(root, query, one.arguments)
            except BadQueryError as error:
                raise Refused("BAD_USER_INPUT", str(error)) from error
            data[one.key] = one.connection(_connection(page, one.arguments, struck))
        beside = [_error(f.code, f.message, [selected[0].key]) for f in struck if f.kind == "errors_beside_data"]
        return {"data": data, "errors": beside} if beside else {"data": data}


def _read(body: bytes) -> tuple[str, dict[str, Any], list[RootSelection], str | None]:
    """The query's text, its variables and root fields, and what is wrong with it if anything is."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", {}, [], "The body isn't JSON."
    query = asked.get("query") if isinstance(asked, dict) else None
    variables = asked.get("variables") or {} if isinstance(asked, dict) else {}
    if not isinstance(query, str) or not isinstance(variables, dict):
        return "", {}, [], "The body needs a query (text) and may have variables (object)."
    try:
        return query, variables, read_query(query).select(variables), None
    except BadQueryError as error:
        return query, variables, [], str(error)


def _spoiled(struck: list[Fault]) -> str | None:
    """The kind of the fault that leaves nothing of the answer, if one does."""
    return next((fault.kind for fault in struck if fault.kind in ("status", "not_json", "cut")), None)


def _broken(struck: list[Fault]) -> Reply | None:
    """The answer of a gateway that gave up, when a fault says so."""
    for fault in struck:
        if fault.kind == "status":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            return Reply(fault.status, _HTML % fault.status, "text/html", headers, tuple(struck))
        if fault.kind == "not_json":
            return Reply(200, _HTML % 200, "text/html", {}, tuple(struck))
    return None


def _error(code: str, message: str, path: list[str], retry_after: str | None = None) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": code, "exception": {"message": message, "path": path}}
    if retry_after is not None:
        extensions["retryAfter"] = retry_after
    return {"message": message, "path": path, "extensions": extensions}


def _connection(page: Page, arguments: Mapping[str, Any], struck: list[Fault]) -> dict[str, Any]:
    """The connection as a node dict for the projection, with the page faults applied."""
    info = {"hasNextPage": page.has_next, "endCursor": page.end_cursor}
    connection: dict[str, Any] = {
        "nodes": page.nodes,
        "pageInfo": info,
        "totalCount": page.total,
        "maxCountReached": False,
    }
    for fault in struck:
        if fault.kind == "empty_page":
            connection |= {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": page.detour}}
        elif fault.kind == "repeated_cursor":
            connection["pageInfo"] = {"hasNextPage": True, "endCursor": arguments.get("after")}
        elif fault.kind == "empty_cursor":
            connection["pageInfo"] = {"hasNextPage": True, "endCursor": ""}
        elif fault.kind == "no_page_info":
            del connection["pageInfo"]
        elif fault.kind == "null_page":
            connection["nodes"] = None
        elif fault.kind == "null_nodes":
            connection["nodes"] = [None] * fault.count + page.nodes
        elif fault.kind == "wrong_total":
            connection["totalCount"] = fault.count
    return connection
