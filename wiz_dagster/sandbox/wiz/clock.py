"""The tenant's clock: it stands still or runs with the machine's, may be set ahead or behind, and may be stopped.

What lies after its present moment doesn't exist yet, so a clock that is set back takes back what it has shown.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Begins at `now`; with `live` it runs. Safe to change while others read it."""

    def __init__(self, now: datetime, *, live: bool = False) -> None:
        self._start = now.astimezone(UTC)
        self._since = datetime.now(UTC) if live else None
        self._ahead = timedelta()
        self._earliest = self._latest = self._start
        self._lock = threading.Lock()

    @property
    def now(self) -> datetime:
        """The present moment, UTC."""
        with self._lock:
            return self._look()

    @property
    def shown(self) -> tuple[datetime, datetime]:
        """The earliest and the latest moment that it may have shown so far."""
        with self._lock:
            self._look()
            return self._earliest, self._latest

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of where it would be; negative when it is behind."""
        return self._ahead.total_seconds()

    @property
    def stopped(self) -> bool:
        """Whether it stands still."""
        return self._since is None

    def set_ahead(self, seconds: float) -> None:
        """Jump to so many seconds ahead of where it would be, behind with a negative number."""
        with self._lock:
            self._look()
            self._ahead = timedelta(seconds=seconds)
            self._look()

    def stop(self) -> datetime:
        """Stand still from now on, at no moment earlier than any that was shown; returns it."""
        with self._lock:
            self._ahead = timedelta()
            self._look()
            self._start, self._since = self._latest, None
            return self._start

    def _look(self) -> datetime:
        now = self._start + self._ahead + (datetime.now(UTC) - self._since if self._since else timedelta())
        self._earliest, self._latest = min(self._earliest, now), max(self._latest, now)
        return now
