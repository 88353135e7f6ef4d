"""A strict bulk endpoint that answers as Elasticsearch does when something is wrong; all else is tried on a real node.

Each request takes the next fault of the script, or none; what was accepted is kept by id, so that a document that is
lost or written twice shows.
"""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Item = dict[str, Any]


@dataclass
class Fault:
    """What one request meets instead of success: a status for all of it, a lost answer, or answers of its own by id."""

    status: int = 200
    lose_answer: bool = False
    items: dict[str, Item] = field(default_factory=dict)


@dataclass
class ScriptedBulk:
    """The server's memory: what it holds, what it was sent, what it does next."""

    script: list[Fault] = field(default_factory=list)
    refuses: Callable[[bytes], int] = lambda body: 0
    seconds: float = 0.0
    documents: dict[str, Any] = field(default_factory=dict)
    requests: list[list[str]] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, Any] | None:
        parts = urlsplit(path)
        assert parts.path.endswith("/_bulk")
        assert headers["content-encoding"] == "gzip"
        assert headers["content-type"] == "application/vnd.elasticsearch+x-ndjson; compatible-with=8"
        text = gzip.decompress(body)
        assert text.endswith(b"\n")
        operations = list(_operations(text))
        with self._lock:
            self.requests.append([operation[1] for operation in operations])
            self.queries.append(parse_qs(parts.query))
            fault = self.script.pop(0) if self.script else Fault()
            status = self.refuses(text) or fault.status
        if status != 200:
            return status, {"error": {"type": "refused", "reason": "as scripted"}, "status": status}
        with self._lock:
            items = [
                {action: fault.items.get(name) or self._do(action, name, source)} for action, name, source in operations
            ]
        return None if fault.lose_answer else (200, {"errors": False, "items": items})

    def _do(self, action: str, name: str, source: Any) -> Item:
        if action == "delete":
            return {"status": 200 if self.documents.pop(name, None) is not None else 404}
        if name in self.documents:
            return {"status": 409, "error": {"type": "version_conflict_engine_exception"}}
        self.documents[name] = source
        return {"status": 201}

    @contextmanager
    def busy(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        time.sleep(self.seconds)
        yield
        with self._lock:
            self._now -= 1


def _operations(text: bytes) -> Iterator[tuple[str, str, Any]]:
    lines = iter(text.splitlines())
    for line in lines:
        ((action, about),) = json.loads(line).items()
        yield action, about["_id"], json.loads(next(lines)) if action == "create" else None


@contextmanager
def scripted_bulk(bulk: ScriptedBulk) -> Iterator[ScriptedBulk]:
    """Serves `bulk` on 127.0.0.1 at `bulk.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with bulk.busy():
                answer = bulk.answer(self.path, self.headers, body)
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/vnd.elasticsearch+json; compatible-with=8")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            """Nothing: the tests look at the memory."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    bulk.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield bulk
    finally:
        server.shutdown()
        server.server_close()
