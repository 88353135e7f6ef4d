"""The client against the real node, and against small servers that do what a healthy node doesn't."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from wiz_dagster.elasticsearch.client import connect, server_version, translated
from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.settings import ElasticsearchSettings

PRODUCT = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/vnd.elasticsearch+json"}


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives every request the same answer; yields its address and the request lines so far."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            seen.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def test_the_version_is_read_without_the_root_endpoint(elasticsearch: Elasticsearch) -> None:
    assert server_version(elasticsearch).split(".")[0] in {"8", "9"}


def test_a_bulk_body_of_bytes_arrives(elasticsearch: Elasticsearch, namespace: str) -> None:
    index = f"client-{namespace}"
    answer = elasticsearch.bulk(operations=b'{"create":{"_id":"1"}}\n{"text":"\xc3\xa4"}\n', index=index, refresh=True)
    assert answer["items"][0]["create"]["status"] == 201
    assert elasticsearch.get(index=index, id="1")["_source"] == {"text": "ä"}
    elasticsearch.indices.delete(index=index)


def test_an_unreachable_server_is_transient_and_says_why() -> None:
    with (
        connect(ElasticsearchSettings(url="http://127.0.0.1:1")) as client,
        pytest.raises(TransientError, match=r"can't be reached \(Connection refused\): check ELASTICSEARCH_URL"),
    ):
        server_version(client)


def test_a_busy_server_is_asked_once() -> None:
    with (
        answering(429, b'{"error":{"type":"circuit_breaking_exception","reason":"too much"}}', PRODUCT) as (url, seen),
        connect(ElasticsearchSettings(url=url)) as client,
    ):
        with pytest.raises(TransientError, match="429, circuit_breaking_exception: too much"):
            server_version(client)
        assert len(seen) == 1


@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_what_is_not_elasticsearch_is_told_apart(content_type: str) -> None:
    with (
        answering(200, b"<html>", {"Content-Type": content_type}) as (url, _),
        connect(ElasticsearchSettings(url=url)) as client,
        pytest.raises(PermanentError, match="isn't Elasticsearch"),
    ):
        server_version(client)


def test_a_redirect_is_not_followed() -> None:
    with (
        answering(200, b"{}", PRODUCT) as (elsewhere, reached),
        answering(302, b"", {"Location": elsewhere}) as (url, _),
        connect(ElasticsearchSettings(url=url)) as client,
    ):
        with pytest.raises((PermanentError, TransientError)):
            server_version(client)
        assert reached == []


def test_requests_go_through_the_proxy() -> None:
    with (
        answering(200, b'{"nodes":{"a":{"version":"9.3.2"},"b":{"version":"8.19.8"}}}', PRODUCT) as (proxy, seen),
        connect(ElasticsearchSettings(url="http://elastic.example:9200", proxy_url=proxy)) as client,
    ):
        assert server_version(client) == "8.19.8"
        assert seen[0].startswith("GET http://elastic.example:9200/")


def test_a_refused_document_is_not_in_the_message() -> None:
    body = b'{"error":{"type":"document_parsing_exception","reason":"Preview of field\'s value: \'secret-value\'"}}'
    with (
        answering(400, body, PRODUCT) as (url, _),
        connect(ElasticsearchSettings(url=url, username="u", password=SecretStr("secret-value"))) as client,
    ):
        with pytest.raises(PermanentError, match="400, document_parsing_exception") as caught, translated():
            client.index(index="a", document={"field": "secret-value"})
        assert "secret-value" not in str(caught.value)
