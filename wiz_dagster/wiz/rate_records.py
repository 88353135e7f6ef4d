"""The record of a request budget: who may leave next and when, and the end of a pause, in a local file or in Redis.

Both kinds do the same arithmetic (the generic cell rate algorithm, with a line and turns) atomically and return seconds
to wait; neither waits. Any positive rate works, below one request a second too.

`ready` is when the next request may leave, whoever's it is. `free` is the end of the line: who comes takes its next
slot, so that each waits once and the first to come is the first to go. An urgent request takes no slot; it says until
when it wants the next one (`wanted`), and who is due then comes again a step later. It may come late by a step, for
which the burst makes up: longer would leave slots unused. After an urgent request one of the line has its turn
(`turn`), so that neither kind waits for ever for the other.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from wiz_dagster.errors import PermanentError, SettingsError, TransientError

BURST = 2
"""Requests that may leave at once after an idle time."""
SLACK = 1e-5
"""Seconds that a request may leave too early: sums of steps are not exact."""

_RECORD = struct.Struct("<5d")


class RateRecord(Protocol):
    """A record that several processes share."""

    def ask(self, *, urgent: bool, queued: bool) -> float:
        """Let a request leave, and return 0 or less; or return the seconds after which to ask again, `queued`."""

    def pause(self, seconds: float) -> None:
        """Let nothing leave for `seconds` from now."""


@dataclass
class Line:
    """The numbers of the record, in wall-clock seconds, and the arithmetic on them; `rate_limit.lua` does the same."""

    ready: float = 0.0
    free: float = 0.0
    until: float = 0.0
    wanted: float = 0.0
    turn: float = 0.0
    """1 after an urgent request, 0 after one of the line."""

    def ask(self, now: float, step: float, *, urgent: bool, queued: bool) -> float:
        """See RateRecord; `step` is the seconds between two requests."""
        earliest = now - (BURST - 1) * step
        if not urgent and (not queued or self.until > now):
            slot = max(self.free, self.until, earliest)
            self.free = slot + step
            if slot > now:
                return slot - now
        wait = max(self.ready, self.until) - now
        if wait > SLACK:
            if urgent:
                self.wanted = now + wait + step
            return wait
        if urgent and self.turn and self.free > self.ready + step / 2:
            self.wanted = now + 2 * step
            return step
        if not urgent and self.wanted > now and not self.turn:
            return step
        self.ready = max(self.ready, earliest) + step
        if urgent:
            self.free = max(self.free, earliest) + step
            self.wanted = 0.0
        self.turn = float(urgent)
        return 0.0


def _horizon(step: float) -> float:
    """Seconds ahead beyond which a time can only stem from a clock that was set back, or from damage."""
    return max(600.0, 100 * step)


@dataclass(frozen=True)
class FileRecord:
    """The numbers of a `Line` in a file of a local file system (flock doesn't hold over network shares).

    The file is opened for each call: a fork then shares no lock, and a file that was cleared away is made again.
    Raises PermanentError when the file can't be used.
    """

    path: Path
    requests_per_second: float

    def ask(self, *, urgent: bool, queued: bool) -> float:
        """See RateRecord."""
        step = 1 / self.requests_per_second
        return self._change(lambda line, now: line.ask(now, step, urgent=urgent, queued=queued))

    def pause(self, seconds: float) -> None:
        """See RateRecord."""

        def rest(line: Line, now: float) -> float:
            line.until = max(line.until, now + seconds)
            return 0.0

        self._change(rest)

    def _change(self, change: Callable[[Line, float], float]) -> float:
        try:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                now = time.time()
                record = os.pread(descriptor, _RECORD.size, 0)
                numbers = _RECORD.unpack(record) if len(record) == _RECORD.size else ()
                latest = now + _horizon(1 / self.requests_per_second)
                # Not `> latest`: NaN compares with nothing and must count as damage too.
                line = Line(*(number if number <= latest else now for number in numbers))
                wait = change(line, now)
                os.pwrite(descriptor, _RECORD.pack(*astuple(line)), 0)
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
    """The same numbers in a Redis hash, changed by one script that takes Redis's clock: for several machines.

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

    def ask(self, *, urgent: bool, queued: bool) -> float:
        """See RateRecord."""
        return self._run("ask", int(urgent), int(queued))

    def pause(self, seconds: float) -> None:
        """See RateRecord."""
        self._run("pause", seconds)

    def _run(self, command: str, *arguments: float) -> float:
        given: list[str | int | float] = [command, self._step, BURST, SLACK, _horizon(self._step), *arguments]
        try:
            return float(self._script(keys=[self._key], args=given))
        except self._failure as error:
            raise TransientError(
                f"The request budget in Redis can't be used ({type(error).__name__}):"
                " check that the Redis of WIZ_RATE_LIMIT_URL runs, and the login in it."
            ) from None
