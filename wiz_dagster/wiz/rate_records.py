"""The record of a request budget: the next free slot and the end of a pause, in a local file or in Redis.

Both kinds do the same arithmetic (the generic cell rate algorithm) atomically and return seconds to wait; neither
waits. Any positive rate works, below one request a second too.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from wiz_dagster.errors import PermanentError, SettingsError, TransientError

BURST = 2
"""Requests that may leave at once after an idle time."""

_RECORD = struct.Struct("<dd")


class RateRecord(Protocol):
    """A record that several processes share."""

    def reserve(self) -> float:
        """Take the next free slot; return the seconds until it, 0 or less when it is now."""

    def pause(self, seconds: float) -> None:
        """Free no slot for `seconds` from now."""

    def paused(self) -> float:
        """Return the seconds that a pause still lasts, 0 or less when there is none."""


def _horizon(step: float) -> float:
    """Seconds ahead beyond which a time can only stem from a clock that was set back, or from damage."""
    return max(600.0, 100 * step)


@dataclass(frozen=True)
class FileRecord:
    """Two doubles, wall clock, in a file of a local file system (flock doesn't hold over network shares).

    The file is opened for each call: a fork then shares no lock, and a file that was cleared away is made again.
    Raises PermanentError when the file can't be used.
    """

    path: Path
    requests_per_second: float

    def reserve(self) -> float:
        """See RateRecord."""
        step = 1 / self.requests_per_second

        def take(now: float, free: float, until: float) -> tuple[float, float, float]:
            slot = max(free, until, now - (BURST - 1) * step)
            return slot + step, until, slot - now

        return self._change(take)

    def pause(self, seconds: float) -> None:
        """See RateRecord."""
        self._change(lambda now, free, until: (free, max(until, now + seconds), 0))

    def paused(self) -> float:
        """See RateRecord."""
        return self._change(lambda now, free, until: (free, until, until - now))

    def _change(self, change: Callable[[float, float, float], tuple[float, float, float]]) -> float:
        try:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                now = time.time()
                record = os.pread(descriptor, _RECORD.size, 0)
                free, until = _RECORD.unpack(record) if len(record) == _RECORD.size else (0.0, 0.0)
                latest = now + _horizon(1 / self.requests_per_second)
                # Not `> latest`: NaN compares with nothing and must count as damage too.
                free, until = (moment if moment <= latest else now for moment in (free, until))
                free, until, wait = change(now, free, until)
                os.pwrite(descriptor, _RECORD.pack(free, until), 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise PermanentError(
                f"The request budget {self.path} can't be used ({error.strerror}): make it writable,"
                " or name another local folder, or a Redis, in WIZ_RATE_LIMIT_URL."
            ) from None
        return wait

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        with suppress(FileNotFoundError):
            return os.open(self.path, flags, 0o600)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self.path, flags, 0o600)


class RedisRecord:
    """The same two numbers in a Redis hash, changed by one script that takes Redis's clock: for several machines.

    Raises SettingsError when the redis package is missing or the URL is invalid, TransientError when Redis fails.
    """

    def __init__(self, url: str, key: str, requests_per_second: float) -> None:
        try:
            import redis
        except ImportError:
            raise SettingsError(
                "WIZ_RATE_LIMIT_URL names a Redis, which needs a package: pip install 'wiz_dagster[redis]'."
            ) from None
        try:
            connection = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=10)
        except ValueError:
            raise SettingsError("WIZ_RATE_LIMIT_URL is not a valid Redis URL, such as redis://host:6379/0.") from None
        self._failure = redis.RedisError
        self._script = connection.register_script(files(__package__).joinpath("rate_limit.lua").read_text("utf-8"))
        self._key = key
        self._step = 1 / requests_per_second

    def reserve(self) -> float:
        """See RateRecord."""
        return self._run("reserve")

    def pause(self, seconds: float) -> None:
        """See RateRecord."""
        self._run("pause", seconds)

    def paused(self) -> float:
        """See RateRecord."""
        return self._run("paused")

    def _run(self, command: str, seconds: float = 0.0) -> float:
        arguments: list[str | int | float] = [command, self._step, BURST, _horizon(self._step), seconds]
        try:
            return float(self._script(keys=[self._key], args=arguments))
        except self._failure as error:
            raise TransientError(
                f"The request budget in Redis can't be used ({type(error).__name__}):"
                " check that the Redis of WIZ_RATE_LIMIT_URL runs, and the login in it."
            ) from None
