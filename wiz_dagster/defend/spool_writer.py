"""The spool's writing side, for asyncio: `append` returns when the body is on disk.

One task commits: all bodies that wait share one write and one sync, in a thread, so that the event loop keeps
answering. Several writers, in any processes, may share a spool: each has its own segments.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wiz_dagster.defend.open_segment import UNNAMED, OpenSegment
from wiz_dagster.defend.spool import has_no_writer
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.local_store import make_private

_log = logging.getLogger(__name__)

SEGMENT_SECONDS = 2.0
SEGMENT_BYTES = 8_000_000
COMMIT_BYTES = 8_000_000


class SpoolError(TransientError):
    """The spool can't keep a body now: no space, no folder, a failing disk; nothing of the body counts."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    received_at: datetime
    body: bytes
    kept: asyncio.Future[None]

    @property
    def day(self) -> str:
        return self.received_at.date().isoformat()


class SpoolWriter:
    """Appends to one spool; used within one event loop. How many bodies wait at a time is bounded by the caller."""

    def __init__(
        self, spool: Path, segment_seconds: float = SEGMENT_SECONDS, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._spool = spool.absolute()
        self._segment_seconds = segment_seconds
        self._segment_bytes = segment_bytes
        self._inode: int | None = None
        self._segment: OpenSegment | None = None
        self._close_at = 0.0
        self._waiting: deque[_Waiting] = deque()
        self._something = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Make the spool's folder; SpoolError where that can't be. The first `append` does it if nobody did before."""
        try:
            make_private(self._spool)
            for left in self._spool.glob(f".*{UNNAMED}"):
                if has_no_writer(left):
                    left.unlink(missing_ok=True)
            self._inode = self._spool.stat().st_ino
        except OSError as error:
            raise self._refusal(error) from error

    async def append(self, body: bytes) -> None:
        """Returns once the body is durable; SpoolError when it can't be, and after `close`.

        Whoever is cancelled here doesn't know: the body may be kept.
        """
        if self._closing:
            raise SpoolError(f"The spool {self._spool} takes no more: its writer was closed.")
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        one = _Waiting(datetime.now(UTC), body, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._something.set()
        try:
            await one.kept
        except asyncio.CancelledError:
            with suppress(ValueError):  # on its way to the disk, or there
                self._waiting.remove(one)
            raise

    async def close(self) -> None:
        """Finish what was taken and close the segment."""
        self._closing = True
        self._something.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting or not self._closing:
                await self._wait()
                if group := self._next_group():
                    await self._commit(group)
                segment = self._segment
                if segment and (loop.time() >= self._close_at or segment.size >= self._segment_bytes):
                    await asyncio.to_thread(self._close_segment)
            await asyncio.to_thread(self._close_segment)
        finally:
            _settle(self._waiting, SpoolError(f"The spool {self._spool} takes no more: its writer ended."))
            self._waiting.clear()

    async def _wait(self) -> None:
        """Until there is a body, or the open segment is due."""
        if not self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._close_at if self._segment else None):
                    await self._something.wait()
        self._something.clear()

    def _next_group(self) -> Sequence[_Waiting]:
        """What waits now, as far as it is of one day and not too much for one write."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting:
            one = self._waiting[0]
            if group and (one.day != group[0].day or size + len(one.body) > COMMIT_BYTES):
                break
            group.append(self._waiting.popleft())
            size += len(one.body)
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        had = self._segment
        failure: SpoolError | None = SpoolError(f"The spool {self._spool} can't tell whether it kept this.")
        try:
            await asyncio.to_thread(self._store, group)
            failure = None
        except SpoolError as error:
            failure = error
        finally:
            _settle(group, failure)
        if self._segment is not had:
            self._close_at = loop.time() + self._segment_seconds

    def _store(self, group: Sequence[_Waiting]) -> None:
        """In a thread, one at a time: the group into the open segment, or into a new one."""
        self._check_folder()
        if self._segment and self._segment.day != group[0].day:
            self._close_segment()
        try:
            segment = self._segment or OpenSegment.create(self._spool, group[0].received_at)
            self._segment = segment
            segment.commit((one.received_at, one.body) for one in group)
        except OSError as error:
            if self._segment and not self._segment.usable:
                self._segment = None
            raise self._refusal(error) from error

    def _check_folder(self) -> None:
        """SpoolError when the spool isn't the folder that it was at the start.

        A lost mount leaves the empty folder below it: what is written there would be hidden once the mount is back.
        By the inode alone, since a file system that comes back may have another device number.
        """
        if self._inode is None:
            self.prepare()
        try:
            inode = self._spool.stat().st_ino
        except OSError as error:
            self._abandon()
            raise self._refusal(error) from error
        if inode != self._inode:
            self._abandon()
            raise SpoolError(
                f"The spool {self._spool} is another folder than at the start: is its file system mounted? "
                "Mount it, or start again with the folder that is there now."
            )

    def _abandon(self) -> None:
        if self._segment:
            self._segment.give_up()
            self._segment = None

    def _close_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.close()
        except OSError as error:
            _log.warning("%s could not be closed (%s); it is read as it is.", segment.path, error.strerror or error)

    def _refusal(self, error: OSError) -> SpoolError:
        return SpoolError(f"The spool {self._spool} can't take events: {error.strerror or error}.")


def _settle(group: Sequence[_Waiting] | deque[_Waiting], failure: SpoolError | None) -> None:
    for one in group:
        if one.kept.done():
            continue
        if failure is None:
            one.kept.set_result(None)
        else:
            one.kept.set_exception(failure)
