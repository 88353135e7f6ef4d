"""A segment that is being written: made under a lock, grown by commits, closed by a new name.

A commit that fails is undone: nothing of it counts, and no half a record ever has others behind it. What a
record looks like is in `spool_format.py`, who decides when to commit and when to close in `spool_writer.py`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from wiz_dagster.defend.spool_format import CLOSED, OPEN, framed
from wiz_dagster.landing.local_store import sync_folder

UNNAMED = ".new"
"""Ends the name, in the spool itself, of a file whose lock is not taken yet."""
_ATTEMPTS = 3


class OpenSegment:
    """One file; `size` is how much of it is durable. After `usable` turned false it may only be forgotten."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self.usable = True
        self._descriptor = descriptor

    @property
    def day(self) -> str:
        """The UTC day that all its records were received on."""
        return self.path.parent.name

    @classmethod
    def create(cls, spool: Path, received_at: datetime) -> OpenSegment:
        """An empty one in the folder of that moment's day, locked before readers see it; its name is durable."""
        for _ in range(_ATTEMPTS - 1):
            # A run may just have dropped the empty folder, another writer at its start the file without a lock.
            with suppress(FileNotFoundError):
                return cls._create(spool, received_at)
        return cls._create(spool, received_at)

    @classmethod
    def _create(cls, spool: Path, received_at: datetime) -> OpenSegment:
        name = f"{received_at:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"
        folder = spool / received_at.date().isoformat()
        folder.mkdir(mode=0o700, exist_ok=True)
        unnamed = spool / f".{name}{UNNAMED}"
        made = cls(unnamed, os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            fcntl.flock(made._descriptor, fcntl.LOCK_EX)
            made.path = unnamed.rename(folder / f"{name}{OPEN}")
            sync_folder(folder)
            sync_folder(spool)  # always: if another writer made the day's folder, it may not have got so far
        except BaseException:
            made.give_up()
            raise
        return made

    def commit(self, bodies: Iterable[tuple[datetime, bytes]]) -> None:
        """Write and sync the bodies with their moments of receipt; after an OSError none of them counts."""
        data = b"".join(framed(received_at, body, self.size) for received_at, body in bodies)
        try:
            self._write(data)
        except OSError:
            self._cut_back()
            raise
        try:
            os.fdatasync(self._descriptor)
            if not os.fstat(self._descriptor).st_nlink:
                raise FileNotFoundError(errno.ENOENT, "the segment was deleted while it was written", str(self.path))
        except OSError:
            # What a failed sync left on the disk can't be known, and a second one would report success.
            self.give_up()
            raise
        self.size += len(data)

    def close(self) -> None:
        """Give it to the readers. After an OSError it stays `.open`, which they read all the same."""
        if not self.size:
            self.give_up()
            return
        self.usable = False
        try:
            os.fsync(self._descriptor)
            self.path.rename(self.path.with_suffix(CLOSED))
            with suppress(FileNotFoundError):  # a run has taken it already, and the folder of a past day with it
                sync_folder(self.path.parent)
        finally:
            os.close(self._descriptor)  # not before: an unlocked `.open` has no writer

    def give_up(self) -> None:
        """Leave it as it is, or delete it when nothing in it counts."""
        self.usable = False
        with suppress(OSError):
            if not self.size:
                self.path.unlink()
        with suppress(OSError):
            os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        offset = self.size
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written

    def _cut_back(self) -> None:
        """Remove what a failed write left, so that no half a record has others behind it."""
        if not self.size:
            self.give_up()
            return
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            self.give_up()
