"""Connects to Elasticsearch and tells in our words what went wrong there.

The client neither retries nor compresses: the bulk writer decides about these. Works with servers 8.19 and 9.x, and
with builds that lack `GET /`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import orjson
from elastic_transport import (
    ConnectionTimeout,
    NodeConfig,
    RequestsHttpNode,
    SerializationError,
    TlsError,
    TransportError,
)
from elasticsearch import (
    ApiError,
    AuthenticationException,
    AuthorizationException,
    Elasticsearch,
    UnsupportedProductError,
)
from elasticsearch.serializer import JsonSerializer, NdjsonSerializer

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.settings import ElasticsearchSettings

REQUEST_SECONDS = 120.0
CONNECTIONS = 16
ROLES_DOCUMENT = "docs/elasticsearch.md"
LOGIN = re.compile(r"\b(basic|bearer|apikey)\s+\S+", re.IGNORECASE)
"""A login as it goes out, which something between us and the server may repeat."""
TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})


class _Orjson(JsonSerializer):
    """JSON by orjson; bytes are JSON already."""

    mimetype: ClassVar[str] = "application/vnd.elasticsearch+json"

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else orjson.dumps(data, default=self.default)

    def loads(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise SerializationError("The answer isn't JSON.") from error


class _PlainOrjson(_Orjson):
    mimetype: ClassVar[str] = "application/json"


class _NdjsonBytes(NdjsonSerializer):
    """A bulk body is complete bytes when it comes here: it goes out uncopied."""

    mimetype: ClassVar[str] = "application/vnd.elasticsearch+x-ndjson"

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else b"".join(orjson.dumps(line) + b"\n" for line in data)


def connect(settings: ElasticsearchSettings) -> Elasticsearch:
    """Make a client for the settings' cluster, closed by the caller; nothing is sent yet."""
    options: dict[str, Any] = {}
    if settings.api_key:
        options["api_key"] = settings.api_key.get_secret_value()
    elif settings.username and settings.password:
        options["basic_auth"] = (settings.username, settings.password.get_secret_value())
    if settings.ca_certs:
        options["ca_certs"] = str(settings.ca_certs)
    return Elasticsearch(
        settings.url,
        node_class=_node_class(settings.proxy_url),
        serializers={kind.mimetype: kind() for kind in (_Orjson, _PlainOrjson, _NdjsonBytes)},
        request_timeout=REQUEST_SECONDS,
        connections_per_node=CONNECTIONS,
        max_retries=0,
        retry_on_timeout=False,
        http_compress=False,
        **options,
    )


def server_version(client: Elasticsearch) -> str:
    """The version of the cluster's nodes, the oldest one; fails in our words when the cluster can't be asked."""
    with translated():
        nodes = client.nodes.info(filter_path="nodes.*.version")["nodes"]
    return min((str(node["version"]) for node in nodes.values()), key=_version_key)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client's exceptions into PermanentError or TransientError, with what to do and without documents."""
    try:
        yield
    except (ApiError, TransportError) as error:
        raise translate(error) from error


def translate(error: Exception) -> PermanentError | TransientError:
    """Say in our words what an exception of the client means."""
    if isinstance(error, AuthenticationException):
        return PermanentError(
            "Elasticsearch refused the login (401): check ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USERNAME and "
            "ELASTICSEARCH_PASSWORD."
        )
    if isinstance(error, AuthorizationException):
        return PermanentError(_forbidden(error))
    if isinstance(error, UnsupportedProductError | SerializationError):
        return PermanentError("What answers at ELASTICSEARCH_URL isn't Elasticsearch: check the address.")
    if isinstance(error, ApiError):
        return _api_error(error)
    if isinstance(error, TlsError):
        return PermanentError(
            f"No trusted TLS connection to Elasticsearch ({_cause(error)}): set ELASTICSEARCH_CA_CERTS to the "
            "certificate of the authority that signed the server's, and check https in ELASTICSEARCH_URL."
        )
    if isinstance(error, ConnectionTimeout):
        return TransientError(f"Elasticsearch didn't answer within {REQUEST_SECONDS:.0f} s.")
    return TransientError(
        f"Elasticsearch can't be reached ({_cause(error)}): check ELASTICSEARCH_URL and ELASTICSEARCH_PROXY_URL, and "
        "that the server runs."
    )


def error_reason(error: ApiError) -> tuple[str, str]:
    """Type and reason of an answer that is an error, without logins; empty texts when the body has none."""
    body = error.body
    cause = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(cause, Mapping):
        kind, reason = str(cause.get("type", "")), str(cause.get("reason", ""))
    else:
        kind, reason = str(cause or ""), ""
    return LOGIN.sub(r"\1 …", kind), LOGIN.sub(r"\1 …", reason)


def _api_error(error: ApiError) -> PermanentError | TransientError:
    kind, reason = error_reason(error)
    if kind.endswith(("parse_exception", "parsing_exception")):
        reason = ""  # it may quote the document
    said = ": ".join(part for part in (kind, reason[:300]) if part) or "no reason given"
    if error.status_code in TRANSIENT_STATUS:
        return TransientError(f"Elasticsearch can't do it now ({error.status_code}, {said}).")
    return PermanentError(f"Elasticsearch refused the request ({error.status_code}, {said}).")


def _forbidden(error: ApiError) -> str:
    kind, reason = error_reason(error)
    if kind == "cluster_block_exception":
        return f"Elasticsearch blocks the write (403, {reason[:300]}): often a full disk or a read-only index."
    return (
        f"Elasticsearch forbids it (403, {reason[:400] or kind or 'no reason given'}): give the user or API key the "
        f"role that {ROLES_DOCUMENT} shows."
    )


def _node_class(proxy_url: str | None) -> type[RequestsHttpNode]:
    """The client has no setting for a proxy; a node of the requests library takes one for its session."""

    class Node(RequestsHttpNode):
        def __init__(self, config: NodeConfig) -> None:
            super().__init__(config)
            self.session.trust_env = False
            self.session.max_redirects = 0
            if proxy_url:
                self.session.proxies = {"http": proxy_url, "https": proxy_url}

    return Node


def _cause(error: BaseException) -> str:
    """What the operating system or the TLS library said; the HTTP libraries' own texts wrap it many times."""
    queue: list[object] = [error]
    for found in queue:
        if isinstance(found, ssl.SSLCertVerificationError):
            return found.verify_message
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        if isinstance(found, BaseException):
            inner = (
                *getattr(found, "errors", ()),
                *found.args,
                getattr(found, "reason", None),
                found.__cause__,
                found.__context__,
            )
            queue += [part for part in inner if isinstance(part, BaseException) and part not in queue]
    return type(queue[-1]).__name__


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split(".") if part.isdigit())
