"""A tiny Wiz over HTTP for faults: it plays scripted replies first, then serves the nodes it was given.

Its paging and filters are only as good as these tests need; the sandbox's emulator is the realistic one.
"""

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from wiz_dagster.wiz.windows import parse_time


@dataclass(frozen=True)
class Reply:
    body: bytes | dict[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: float = 0.0
    """Seconds between single bytes of the body."""
    cut: bool = False
    """Close the connection after half of the body."""

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


def error(code: str | None, message: str = "no", status: int = 200, data: Any = None, **headers: str) -> Reply:
    extensions = {} if code is None else {"extensions": {"code": code}}
    return Reply({"errors": [{"message": message, **extensions}], "data": data}, status, headers)


def page(nodes: Any, cursor: str | None = None, **more: Any) -> Reply:
    connection = {"nodes": nodes, "pageInfo": {"hasNextPage": cursor is not None, "endCursor": cursor}} | more
    return Reply({"data": {"things": connection}})


_time_of = lru_cache(maxsize=100_000)(parse_time)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are part of the tests."""


Script = Reply | Callable[[dict[str, Any]], Reply]


class ScriptedWiz:
    """What came is kept: `asked` the variables of each query, `headers` its headers, `token_forms` the token requests'
    forms, `peers` the address that each request of either kind came from.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.replies: deque[Script] = deque()
        self.token_replies: deque[Reply] = deque()
        self.nodes: list[dict[str, Any]] = []
        self.count = True
        self.page_cap = 500
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.token_forms: list[dict[str, str]] = []
        self.peers: list[Any] = []
        self.expires_in: Any = 86400
        self._lock = threading.Lock()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, form: bytes) -> Reply:
        with self._lock:
            self.token_forms.append({name: values[0] for name, values in parse_qs(form.decode()).items()})
            if self.token_replies:
                return self.token_replies.popleft()
            return Reply({"access_token": f"token-{len(self.token_forms)}", "expires_in": self.expires_in})

    def graphql(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        variables = orjson.loads(body).get("variables") or {}
        with self._lock:
            self.asked.append(variables)
            self.headers.append(dict(headers))
            script = self.replies.popleft() if self.replies else self.serve
        return script if isinstance(script, Reply) else script(variables)

    def serve(self, variables: dict[str, Any]) -> Reply:
        ((name, bounds),) = (item for item in variables["filterBy"].items() if isinstance(item[1], dict))
        after, before = parse_time(bounds["after"]), parse_time(bounds["before"])
        assert after is not None
        assert before is not None
        found = [
            node for node in self.nodes if (moment := _time_of(node.get(name))) is not None and after < moment < before
        ]
        start = int(variables["after"] or 0)
        end = start + min(variables["first"], self.page_cap)
        total = {"totalCount": len(found)} if variables["withCount"] and self.count else {}
        return page(found[start:end], str(end) if end < len(found) else None, **total)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        wiz = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                wiz.peers.append(self.client_address)
                token = urlsplit(self.path).path == "/token"
                self._send(wiz.token(body) if token else wiz.graphql(body, dict(self.headers)))

            def _send(self, reply: Reply) -> None:
                content = reply.content()
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(content)))
                for name, value in ({"Content-Type": "application/json"} | dict(reply.headers)).items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                try:
                    if reply.cut:
                        self.wfile.write(content[: len(content) // 2])
                        self.close_connection = True
                    elif reply.drip:
                        for byte in content:
                            self.wfile.write(bytes([byte]))
                            time.sleep(reply.drip)
                    else:
                        self.wfile.write(content)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
