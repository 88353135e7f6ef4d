"""An Elasticsearch that accepts every bulk request and keeps nothing, fast enough not to be what is measured.

A bulk request is answered at once or after a fixed wait, with an item for each action, trimmed when the client asks for
that by `filter_path`, else as long as a real one's. Searches find nothing. Run as a program, it prints its address and
serves until it is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop
from isal import igzip

from wiz_dagster.datasets import DATASETS
from wiz_dagster.elasticsearch.templates import template_name

END_OF_HEAD = b"\r\n\r\n"
ANSWERS = {
    "/": {"name": "n", "cluster_name": "c", "version": {"number": "9.3.2", "build_flavor": "default"}, "tagline": "t"},
    "/_index_template": {
        "index_templates": [
            {"name": template_name(dataset), "index_template": {"index_patterns": []}} for dataset in DATASETS
        ]
    },
    "/_search": {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": []}},
    "_pit": {"id": "point"},
    "_field_caps": {"indices": ["bencheland"], "fields": {}},
    "_mapping": {"bencheland": {"mappings": {"properties": {}}}},
}
"""By the path, or its last part; anything else is answered by an empty object."""
ITEM = (
    b'{"%b":{"_index":".ds-logs-wiz.vulnerability-default-2026.01.01-000001","_id":"AAAAAAAAAAAAAAAAAAAAAA",'
    b'"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":100000,'
    b'"_primary_term":1,"status":201}}'
)
TRIMMED = b'{"%b":{"status":201}}'


def bulk_answer(target: str, body: bytes) -> bytes:
    """An item for each document of a decompressed body."""
    action = b"create" if body.startswith(b'{"create"') else b"index"
    item = (TRIMMED if "filter_path" in target else ITEM) % action
    items = b",".join([item] * (body.count(b"\n") // 2))
    return b'{"errors":false,"took":1,"items":[%b]}' % items


class Accepting(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._parts: list[bytes] = []
        self._size = 0
        self._expected: int | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps what answers are written to."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Collects a request and answers it when it is complete."""
        self._parts.append(data)
        self._size += len(data)
        if self._expected is None:
            start = b"".join(self._parts)
            if END_OF_HEAD not in start:
                return
            head = start[: start.index(END_OF_HEAD)].lower()
            _, found, length = head.partition(b"content-length:")
            body = int(length.split(b"\r\n", 1)[0]) if found else 0
            self._expected = len(head) + len(END_OF_HEAD) + body
        if self._size >= self._expected:
            head, _, body_bytes = b"".join(self._parts).partition(END_OF_HEAD)
            self._parts, self._size, self._expected = [], 0, None
            self._answer(head, body_bytes)

    def _answer(self, head: bytes, body: bytes) -> None:
        target = head.split(b" ", 2)[1].decode()
        path = urlsplit(target).path
        if path.endswith("/_bulk"):
            answer = bulk_answer(target, igzip.decompress(body) if b"gzip" in _encoding(head) else body)
            asyncio.get_running_loop().call_later(self._wait, self._send, answer)
        else:
            known = ANSWERS.get(path) or ANSWERS.get(path.rpartition("/")[2]) or {}
            self._send(orjson.dumps(known), empty=head.startswith(b"HEAD"))

    def _send(self, answer: bytes, *, empty: bool = False) -> None:
        head = b"HTTP/1.1 200 OK\r\nx-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\n"
        self._transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(answer), b"" if empty else answer))


def _encoding(head: bytes) -> bytes:
    return head.lower().partition(b"content-encoding:")[2].split(b"\r\n", 1)[0]


async def _serve(wait: float) -> None:
    serving = await asyncio.get_running_loop().create_server(lambda: Accepting(wait), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{serving.sockets[0].getsockname()[1]}", flush=True)
    await serving.serve_forever()


def main() -> None:
    """Serve on a free port of the loopback interface; the first line of output is the address."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wait", type=float, default=0.0, help="seconds before a bulk request is answered")
    uvloop.run(_serve(parser.parse_args().wait))


if __name__ == "__main__":
    main()
