"""One request budget for a whole Wiz tenant, shared by every thread, run, process and, with Redis, machine.

A place in the line is taken under a lock that is held for microseconds; the wait for it happens outside, so nobody
waits for a sleeper and a killed process blocks no one. Urgent requests, those of a refresh, go before the line. Where
the record of the line lives is in `rate_records.py`; how often a request is tried again is decided in `client.py`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from wiz_dagster.errors import SettingsError
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz.rate_records import FileRecord, RateRecord, RedisRecord

Sleep = Callable[[float], object]

_REDIS_SCHEMES = ("redis", "rediss", "unix")


class RequestBudget(Protocol):
    """What a client asks before each request."""

    def acquire(self, sleep: Sleep = time.sleep) -> None:
        """Return when a request may leave; waits with `sleep`, which may raise to give up waiting."""

    def pause(self, seconds: float) -> None:
        """Let no request of the tenant leave for `seconds`, whoever asks."""


@dataclass(frozen=True)
class SharedBudget:
    """The budget over a record that others share; `urgent` requests go first. Errors are those of the record."""

    record: RateRecord
    urgent: bool = False

    def acquire(self, sleep: Sleep = time.sleep) -> None:
        """Wait until the record lets the request leave."""
        queued = False
        while (wait := self.record.ask(urgent=self.urgent, queued=queued)) > 0:
            sleep(wait)
            queued = True

    def pause(self, seconds: float) -> None:
        """Let no request leave for `seconds`; a longer pause that is already on stays."""
        self.record.pause(seconds)


def open_budget(settings: WizSettings, *, urgent: bool = False) -> SharedBudget:
    """Open the tenant's budget, that of an API host and client id, for requests that are `urgent` or not.

    Its record is in the user's state folder, or in the folder or the Redis that `rate_limit_url` names.
    Raises SettingsError when the URL can't be used or the redis package isn't installed.
    """
    host = urlsplit(settings.api_url).netloc.lower()
    name = sha256(f"{host}\n{settings.client_id}".encode()).hexdigest()[:32]
    url = settings.rate_limit_url
    if url and urlsplit(url).scheme in _REDIS_SCHEMES:
        return SharedBudget(RedisRecord(url, f"wiz-dagster:rate:{name}", settings.requests_per_second), urgent)
    folder = _folder(url) if url else _state_folder()
    return SharedBudget(FileRecord(folder / f"rate-{name}", settings.requests_per_second), urgent)


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if "://" in url:
        raise SettingsError("WIZ_RATE_LIMIT_URL must be a local folder, a file:/// URL of one, or a redis:// URL.")
    return Path(url).expanduser()


def _state_folder() -> Path:
    # As the XDG base directory specification has it for state that outlives a run.
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "wiz-dagster"
