"""HTTP to Wiz: the session that token and API share, and gql's transport with a deadline for the whole answer.

Answers are handed on as parsed JSON together with what a decision needs (status, Retry-After, size); no body is ever
logged. What an answer means is decided in `classify.py`.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

import requests
from gql import GraphQLRequest
from gql.transport.requests import RequestsHTTPTransport
from gql.transport.requests import log as gql_log
from graphql import ExecutionResult
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, ReadTimeoutError

from wiz_dagster import __version__
from wiz_dagster.lenient_json import read_json
from wiz_dagster.settings import WizSettings

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 115.0
"""For a whole answer: Wiz's gateway gives up after about 120 s, so longer waits bring nothing."""

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Answer:
    """An HTTP answer without its body; `size` in bytes, decoded."""

    status: int
    content_type: str
    retry_after: str | None
    size: int


class DeadlineAdapter(HTTPAdapter):
    """Reads an answer to its end within `ANSWER_SECONDS`, however slowly its bytes drip.

    `answer` and `body` hold it; the response that requests sees has no content, so that neither a second copy of a page
    is made nor a library's message can quote it.
    """

    answer: Answer | None = None
    body: bytes = b""

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """Send as requests does, but read the answer here. Raises the errors of requests."""
        self.answer, self.body = None, b""
        deadline = time.monotonic() + ANSWER_SECONDS
        options |= {"stream": True, "timeout": (CONNECT_SECONDS, ANSWER_SECONDS)}
        response = super().send(request, **options)
        try:
            self.body = _read(response.raw, deadline)
        except ReadTimeoutError:
            raise requests.ReadTimeout("no complete answer in time") from None
        except HTTPError as error:
            raise requests.ConnectionError(f"answer cut short ({type(error).__name__})") from None
        finally:
            response.raw.close()
        response.raw = BytesIO()
        headers = response.headers
        self.answer = Answer(
            response.status_code, headers.get("Content-Type", ""), headers.get("Retry-After"), len(self.body)
        )
        return response


def _read(raw: BaseHTTPResponse, deadline: float) -> bytes:
    chunks: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise requests.ReadTimeout("no complete answer in time")
        if (socket := getattr(raw.connection, "sock", None)) is not None:
            socket.settimeout(left)
        # read1 returns what has come; read would wait for a whole chunk, one dripping byte after another.
        if not (chunk := raw.read1(_CHUNK, decode_content=True)):
            return b"".join(chunks)
        chunks.append(chunk)


def open_session(settings: WizSettings, adapter: DeadlineAdapter) -> requests.Session:
    """A session that names the product, uses the settings' proxy and certificates, and retries nothing by itself."""
    session = requests.Session()
    # Settings alone decide: no proxy from the environment, and no .netrc, which would replace the Authorization header.
    session.trust_env = False
    session.headers["User-Agent"] = f"wiz-dagster/{__version__}"
    session.verify = str(settings.ca_certs) if settings.ca_certs else True
    if settings.proxy_url:
        session.proxies = {"http": settings.proxy_url, "https": settings.proxy_url}
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


class WizTransport(RequestsHTTPTransport):
    """gql's transport for one thread at a time: `answer` belongs to its last request."""

    def __init__(self, settings: WizSettings) -> None:
        super().__init__(
            url=settings.api_url,
            verify=str(settings.ca_certs) if settings.ca_certs else True,
            json_deserialize=self._parse,
            allow_redirects=False,
        )
        self._settings = settings
        self._adapter = DeadlineAdapter()
        # At debug level gql logs whole questions and answers, which hold findings.
        gql_log.setLevel(logging.INFO)

    def connect(self) -> None:
        """Open the session."""
        self.session = open_session(self._settings, self._adapter)

    def close(self) -> None:
        """Close the session."""
        super().close()  # type: ignore[no-untyped-call]

    @property
    def answer(self) -> Answer | None:
        """The last answer; None when none came."""
        return self._adapter.answer

    def ask(self, token: str, query: str, variables: Mapping[str, Any]) -> ExecutionResult:
        """Send one query. Raises gql's TransportError, whose text may hold a whole body: never pass it on."""
        return self.execute(_Question(query, variables), extra_args={"headers": {"Authorization": f"Bearer {token}"}})

    def _parse(self, _: str) -> dict[str, Any]:
        # The bytes, not the text that requests guesses from them: bad UTF-8 must fail, not become U+FFFD.
        text, self._adapter.body = self._adapter.body, b""
        body = read_json(text)
        if not isinstance(body, dict):
            raise TypeError("not a GraphQL answer")
        return body


class _Question(GraphQLRequest):
    """A query sent as it is written; gql would print its parsed form anew for each page (3 ms)."""

    def __init__(self, query: str, variables: Mapping[str, Any]) -> None:
        super().__init__(_parsed(query), variable_values=dict(variables))
        self._payload = {"query": query, "variables": self.variable_values}

    @property
    def payload(self) -> dict[str, Any]:
        return self._payload


@lru_cache(maxsize=64)
def _parsed(query: str) -> GraphQLRequest:
    return GraphQLRequest(query)
