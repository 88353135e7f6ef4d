"""Wiz's end of the webhook in a campaign: each body is sent until the receiver acknowledges it, some once more.

A thread of its own, since a receiver that is down must not hold up the rest of the workload.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import requests

from wiz_dagster.sandbox.chaos.sent_bodies import SentBody
from wiz_dagster.sandbox.receivers import Receiver

AGAIN = 4
"""Each so many-th body is sent once more, acknowledged though it is."""
PAUSE = 0.3
TIMEOUT = (3.0, 15.0)
JSON = {"Content-Type": "application/json"}


class WebhookSender:
    """Sends the bodies one after the other, evenly over `seconds`; `sent` are those that were begun."""

    def __init__(self, receiver: Callable[[], Receiver], bodies: Sequence[SentBody], seconds: float) -> None:
        self.sent: list[SentBody] = []
        self._receiver = receiver
        self._bodies = bodies
        self._pause = seconds / max(len(bodies), 1)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, seconds: float) -> bool:
        """Begin no further body; whether the last one was acknowledged within so many seconds."""
        self._over.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        for number, body in enumerate(self._bodies):
            if self._over.wait(self._pause):
                return
            self.sent.append(body)
            while not self._post(body):
                threading.Event().wait(PAUSE)
            body.acknowledged = True
            if number % AGAIN == 0:
                self._post(body)

    def _post(self, body: SentBody) -> bool:
        """Whether the receiver acknowledged it; each time over a new connection, as Wiz may."""
        receiver = self._receiver()
        try:
            with receiver.way.session() as session:
                return session.post(receiver.url, body.payload, headers=JSON, timeout=TIMEOUT).ok
        except requests.RequestException:
            return False
