"""Wiz's end of a webhook: posts bodies to a receiver, again where it says 503, some of them twice, some in arrays.

What the bodies are comes from `wiz/defend_bodies.py`; how Wiz proves who it is from `receivers.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from wiz_dagster.errors import TransientError
from wiz_dagster.sandbox.receivers import Receiver
from wiz_dagster.sandbox.wiz.source import Node

SIZES = (1, 1, 1, 1, 3)
"""Bodies of one request, in turn."""
AGAIN = 4
"""Each so many-th body is sent once more."""
TIMEOUT = (10.0, 60.0)
RETRIES = Retry(total=8, status_forcelist=(503,), allowed_methods=("POST",), backoff_factor=0.1, raise_on_status=False)


@dataclass(frozen=True)
class Sent:
    """What was sent: bodies, how many of them once more, how many of all were answered with 2xx."""

    bodies: int
    redelivered: int
    accepted: int


def send(receiver: Receiver, bodies: Sequence[Node]) -> Sent:
    """Send each body, then some of them again.

    Raises `TransientError` when the receiver can't be reached or still says 503 after all tries.
    """
    again = bodies[::AGAIN]
    accepted = 0
    with receiver.way.session() as session:
        session.mount(receiver.url, HTTPAdapter(max_retries=RETRIES))
        for some in (*_requests(bodies), *([body] for body in again)):
            if 200 <= _post(session, receiver.url, some) < 300:
                accepted += len(some)
    return Sent(len(bodies), len(again), accepted)


def answer_to_wrong_secret(receiver: Receiver) -> int | None:
    """The status with which the receiver answers somebody who doesn't know the secret; None: it ends the connection."""
    with receiver.way.with_wrong_secret().session() as session:
        try:
            return _post(session, receiver.url, [{"id": "made up"}])
        except TransientError:
            return None


def _requests(bodies: Sequence[Node]) -> Iterator[Sequence[Node]]:
    rest = list(bodies)
    sizes = cycle(SIZES)
    while rest:
        size = next(sizes)
        yield rest[:size]
        del rest[:size]


def _post(session: requests.Session, url: str, bodies: Sequence[Node]) -> int:
    """The status of the answer."""
    payload = orjson.dumps(bodies[0] if len(bodies) == 1 else bodies)
    try:
        answer = session.post(url, payload, headers={"Content-Type": "application/json"}, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise TransientError(f"The receiver at {url} can't be reached: {type(error).__name__}.") from None
    if answer.status_code == 503:
        raise TransientError(f"The receiver at {url} can't keep events at the moment (503).")
    return answer.status_code
