"""The live tenant's detections, posted to a receiver as they come: what Wiz's automation rule does all the time."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from wiz_dagster.errors import TransientError
from wiz_dagster.sandbox.defend_sender import send
from wiz_dagster.sandbox.receivers import Receiver
from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.tenant import Tenant

RULE = AutomationRule("sandbox-live", "Detections, as they come")
EVERY_SECONDS = 5.0
LEAST, MOST = timedelta(hours=1), timedelta(days=1)
"""How far back the first events lie: since the demo, within these."""


class LiveWebhook:
    """Sends what is new, now and then; what the receiver doesn't take is sent again."""

    def __init__(self, receiver: Receiver, tenant: Tenant, demo: datetime) -> None:
        """`demo` is the moment until which the demo has sent everything."""
        self._receiver, self._tenant = receiver, tenant
        self._since = max(tenant.now - MOST, min(demo, tenant.now - LEAST))
        self._next = 0.0

    def send_new(self) -> None:
        """Send what came since the last time, if some seconds have passed."""
        if time.monotonic() < self._next:
            return
        until = self._tenant.now
        try:
            send(self._receiver, bodies(self._tenant, self._since, until, RULE))
            self._since = until
        except TransientError:
            pass  # the same again next time; whether the receiver still runs is watched elsewhere
        self._next = time.monotonic() + EVERY_SECONDS
