"""Anything that may come over a socket: the receiver answers each request with what HTTP says, or closes.

A client is made of a number, so that a failure can be looked at again: `RECEIVER_FUZZ_FIRST` is the first one (0),
`RECEIVER_FUZZ_ANSWERS` how many answers are waited for (500); 20,000 take a few minutes. One in eight clients is slow.
"""

import gzip
import os
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from wiz_dagster_tests.defend.receiving import TOKEN, WITH_TOKEN, Running, read_all, running_receiver

ANSWERS = int(os.environ.get("RECEIVER_FUZZ_ANSWERS", "500"))
FIRST = int(os.environ.get("RECEIVER_FUZZ_FIRST", "0"))
CLIENTS = 16
MAX_BODY = 50_000
MEMORY = 150_000_000
"""Bytes that the receiver may hold at most; it starts with some 50 MB."""
SETTINGS = {
    **WITH_TOKEN,
    "WIZ_DEFEND_MAX_BODY": str(MAX_BODY),
    "WIZ_DEFEND_MAX_REQUESTS": "8",
    "WIZ_DEFEND_TIMEOUT": "0.4",
}

METHODS = ("POST",) * 8 + ("GET", "HEAD", "PUT", "OPTIONS", "TRACE", "DELETE", "PATCH", "M-SEARCH")
ODD_METHODS = ("CONNECT", "PRI", "post", "POSTT", "", "\x00", "P\xd6ST", "POST\t", " POST")
TARGETS = ("/",) * 8 + ("/healthz", "/metrics", "/?a=b", "//", "/other", "/%00", "/%ff", "/../..")
ODD_TARGETS = (
    "/%zz", "*", "http://x/", "http://", "x:443", "", "/\xfc", "/" + "x" * 3_000, "/" + "x" * 40_000, "/#a", "/\x7f",
    "/a b",
)  # fmt: skip
ODD_VERSIONS = ("HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "HTTP", "", "XTTP/1.1", "HTTP/9.9")
HEADERS = (
    "Host: x", "Host:", "Connection: close", "Connection: keep-alive", "Expect: 100-continue", "Expect: more",
    "Content-Type: text/xml", "Content-Type: \xff", "Content-Encoding: gzip", "Content-Encoding: br",
    "Content-Encoding:", "Content-Encoding: gzip, gzip", "Content-Encoding: ,", "Cookie: a=b", "Range: bytes=0-1",
    "X: " + "y" * 4_000, "X-Forwarded-For: 1.2.3.4", "X-HTTP-Method-Override: DELETE", "Trailer: X",
    "Authorization: Basic !!!", "Authorization: Bearer", "Authorization: \xff\xfe", "Authorization: Bearer wrong",
)  # fmt: skip
ODD_HEADERS = (
    "Connection: upgrade\r\nUpgrade: h2c", "Connection: upgrade\r\nUpgrade: x", "Connection: upgrade",
    "Upgrade: websocket", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Content-Length: 5",
    "Content-Length: -1", "Content-Length: 99999999999999999999999", "Content-Length: 0x10", "Content-Length: 5, 5",
    "Content-Length:", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding : chunked", "X: " + "y" * 40_000, " folded", "no colon",
    ": no name", "X\x00: y", "X: \x00", "X: y\rZ: a",
)  # fmt: skip
BODIES = (
    b"{}", b'{"id": "d1"}', b"[]", b"[{}, {}]", b"[1]", b"null", b"", b"{", b"\x00", b"\xff" * 50, b"[" * 3_000,
    b'{"a": "' + b"x" * 5_000 + b'"}', b"[" + b"{}," * 15_000 + b"{}]", b" " * (MAX_BODY + 1), b"\xef\xbb\xbf{}",
    b'{"a": 1e999}', b'{"a": ' + b"9" * 5_000 + b"}", b'"\\ud800"', b'{"a": 1, "a": 2}', b"POST / HTTP/1.1\r\n\r\n",
)  # fmt: skip
LAST = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"


class Client:
    """What one client sends, all of it decided by its number."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        requests = self._random.choice((1, 1, 1, 1, 1, 2, 3, 20))
        self.sent = b"".join(self._request() for _ in range(requests))
        if self._random.random() < 0.8:
            self.sent += LAST
        if self._random.random() < 0.1:
            self.sent = self._damaged(self.sent)
        self.slow = self._random.random() < 0.125
        self.half_closes = self._random.random() < 0.1
        self.reads = self._random.random() < 0.95

    def _request(self) -> bytes:
        one = self._random
        odd = one.random() < 0.3
        headers = one.choices(HEADERS, k=one.choice((0, 0, 1, 2)))
        if odd:
            headers += one.choices(ODD_HEADERS, k=one.choice((0, 1, 1, 3)))
        if one.random() < 0.8:
            headers.append(f"Authorization: Bearer {TOKEN}")
        body = one.choice(BODIES)
        if one.random() < 0.2:
            headers.append("Content-Encoding: gzip")
            body = self._packed(body)
        if one.random() < 0.3:
            headers.append("Transfer-Encoding: chunked")
            body = self._chunked(body)
        elif not odd or one.random() < 0.8:
            headers.append(f"Content-Length: {len(body)}")
        one.shuffle(headers)
        return "\r\n".join([self._line(odd), *headers, "", ""]).encode("latin-1") + body

    def _line(self, odd: bool) -> str:
        one = self._random
        method, target, version = one.choice(METHODS), one.choice(TARGETS), "HTTP/1.1"
        if odd:
            method = one.choice((method, method, one.choice(ODD_METHODS)))
            target = one.choice((target, target, one.choice(ODD_TARGETS)))
            version = one.choice((version, version, one.choice(ODD_VERSIONS)))
        return f"{method} {target} {version}"

    def _packed(self, body: bytes) -> bytes:
        return self._random.choice(
            (gzip.compress(body), gzip.compress(body)[:-5], gzip.compress(b" " * 3_000_000), body)
        )

    def _chunked(self, body: bytes) -> bytes:
        if self._random.random() < 0.1:
            return self._random.choice(
                (b"zz\r\n", b"-1\r\n{}\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n{}", b"2\r\n{}", b"5;" + b"x" * 99)
            )
        size = self._random.choice((1, 7, 1_000)) if len(body) < 2_000 else 4_000
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

    def _damaged(self, sent: bytes) -> bytes:
        """Cut off, or with a few bytes changed."""
        if not sent or self._random.random() < 0.5:
            return sent[: self._random.randrange(len(sent) + 1)]
        damaged = bytearray(sent)
        for _ in range(5):
            damaged[self._random.randrange(len(damaged))] = self._random.randrange(256)
        return bytes(damaged)

    def talk(self, running: Running) -> bytes:
        """What came back."""
        with running.connect() as connection:
            with suppress(OSError):  # closed by the other side
                self._send(connection)
                if self.half_closes:
                    connection.shutdown(socket.SHUT_WR)
            return read_all(connection) if self.reads else b""

    def _send(self, connection: socket.socket) -> None:
        if not self.slow:
            connection.sendall(self.sent)
            return
        step = max(1, len(self.sent) // 12)
        for start in range(0, len(self.sent), step):
            connection.sendall(self.sent[start : start + step])
            time.sleep(self._random.choice((0.0, 0.01, 0.1)))


@pytest.mark.timeout(120 + ANSWERS // 5)
def test_nothing_that_comes_brings_the_receiver_down(tmp_path: Path) -> None:
    with running_receiver(tmp_path, SETTINGS) as running:
        with _watched_memory(running.process.pid) as memory:
            clients, statuses = _talk_all(running)
        assert running.post(b'{"id": "last"}').status_code == 200
        figures = running.metrics()
        assert running.stop() == 0
        kept = running.spooled()
        log = running.log()
    print(f"\n{clients} clients, answers {dict(sorted(statuses.items()))}, {max(memory) / 1e6:.0f} MB at most")
    assert figures['wiz_defend_refused_total{reason="internal"}'] == 0
    assert {200, 400, 401, 404, 405, 413} <= statuses.keys()
    assert max(memory) < MEMORY
    assert len(kept) >= figures["wiz_defend_append_seconds_count"] > 0
    assert TOKEN not in log
    assert "Traceback" not in log
    assert " ERROR " not in log
    assert len(log.splitlines()) < 100


def _talk_all(running: Running) -> tuple[int, Counter[int]]:
    """Some clients at a time until there are answers enough; how many there were, and the statuses of their answers."""
    statuses: Counter[int] = Counter()
    number = FIRST
    with ThreadPoolExecutor(CLIENTS) as pool:
        while statuses.total() < ANSWERS:
            some = range(number, number + 4 * CLIENTS)
            for one, answers in zip(some, pool.map(lambda one: Client(one).talk(running), some), strict=True):
                found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]
                assert all(status < 500 or status == 503 for status in found), f"RECEIVER_FUZZ_FIRST={one}"
                statuses.update(found)
            assert running.process.poll() is None
            number = some.stop
    return number - FIRST, statuses


@contextmanager
def _watched_memory(pid: int) -> Iterator[list[int]]:
    """Grows by what the process holds, ten times a second."""
    process, seen, done = psutil.Process(pid), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1) and process.is_running():
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
