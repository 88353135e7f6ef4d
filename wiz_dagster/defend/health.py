"""Whether events can be kept: is the spool there, is there room, and did the last body get to disk."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from wiz_dagster.defend.occasionally import Occasionally

LOOK_SECONDS = 1.0
FAILURE_SECONDS = 10.0
"""How long a failure counts: without requests, which a proxy then sends elsewhere, nothing would ever undo it."""


class Health:
    """Asked for by `/healthz`, told by each append how it went."""

    def __init__(self, spool: Path, room: int) -> None:
        self._spool = spool
        self._room = room
        self._failed_at: float | None = None
        self._look = Occasionally(LOOK_SECONDS, self._look_at_spool)

    def note(self, *, kept: bool) -> None:
        """An append succeeded or failed."""
        self._failed_at = None if kept else time.monotonic()

    async def good(self) -> bool:
        """Whether an event would probably be kept now."""
        if self._failed_at is not None and time.monotonic() - self._failed_at < FAILURE_SECONDS:
            return False
        return await self._look()

    async def _look_at_spool(self) -> bool:
        return await asyncio.to_thread(self._has_room)

    def _has_room(self) -> bool:
        try:
            found = os.statvfs(self._spool)
        except OSError:
            return False
        return os.access(self._spool, os.W_OK | os.X_OK) and found.f_bavail * found.f_frsize >= self._room
