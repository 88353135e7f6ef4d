"""The spool as its readers see it: segments, their records, what waits.

`<spool>/<UTC day received>/<time>-<random>.segment` holds the bodies received within about two seconds, a record each;
`.open` is one that a writer holds by `flock`, or that a dead one left. Many bodies share a segment since they then
share a sync: that takes several times the events of one file each, and leaves Dagster few files to list
(`benchmarks/spool.py`). The writing side is in `spool_writer.py`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from wiz_dagster.defend.spool_format import CLOSED, OPEN, record_at, records_behind
from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.landing.local_store import sync_folder


@dataclass(frozen=True, slots=True)
class Segment:
    """A file that no writer holds; `modified` is when it was last written, in seconds since 1970."""

    folder: Path
    day: str
    name: str
    size: int
    modified: float

    @property
    def path(self) -> Path:
        """The file; made when it is asked for, since a long list of paths takes longer than listing the folder."""
        return self.folder / self.name


@dataclass(frozen=True)
class Record:
    """A request's body as received, and when."""

    received_at: datetime
    body: bytes


@dataclass(frozen=True)
class Backlog:
    """What may be read and wasn't removed yet; `oldest` is when the segment that waits longest was last written."""

    segments: int
    bytes: int
    oldest: datetime | None


def segments(spool: Path) -> list[Segment]:
    """All that may be read now, the oldest first; empty if there is no spool."""
    found: list[Segment] = []
    for day in _days(spool):
        folder = spool / day
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            of_day = [one for entry in entries if (one := _segment(folder, day, entry))]
            of_day.sort(key=lambda one: one.name)
            found += of_day
    return found


def records(segment: Segment) -> Iterator[Record]:
    """The segment's whole records in the order received.

    A torn tail that a dead writer left was never acknowledged and is left out. PermanentError after the last record if
    anything else is no record. FileNotFoundError when the file is gone: another run has landed and removed it.
    """
    data = segment.path.read_bytes()
    damage = None
    offset = 0
    while offset < len(data):
        record = record_at(data, offset)
        if record is None:
            behind = list(records_behind(data, offset))
            if segment.name.endswith(OPEN) and all(one.commit <= offset for one in behind):
                break
            damage = offset if damage is None else damage
            offset = behind[0].start if behind else len(data)
        else:
            yield Record(record.received_at, record.body)
            offset = record.end
    if damage is not None:
        raise PermanentError(
            f"{segment.path} is damaged at byte {damage}; its whole records were read. Restore it from a copy, or "
            "delete it to give up the rest."
        )


def remove(segments: Iterable[Segment]) -> None:
    """Delete the segments for good, and the empty folders of past days; what is gone already is no error."""
    folders = set()
    try:
        for one in segments:
            one.path.unlink(missing_ok=True)
            folders.add(one.folder)
        for folder in folders:
            with suppress(FileNotFoundError):
                sync_folder(folder)
    except OSError as error:
        raise TransientError(f"What was landed can't be removed from the spool: {error}.") from error
    today = datetime.now(UTC).date().isoformat()
    for spool in {folder.parent for folder in folders}:
        for day in _days(spool):
            if day < today:
                with suppress(OSError):  # not empty, or another run was first
                    (spool / day).rmdir()


def backlog(spool: Path) -> Backlog:
    """What waits, in figures; looks at every file."""
    found = segments(spool)
    oldest = min((one.modified for one in found), default=None)
    return Backlog(
        segments=len(found),
        bytes=sum(one.size for one in found),
        oldest=None if oldest is None else datetime.fromtimestamp(oldest, UTC),
    )


def has_no_writer(path: Path) -> bool:
    """Whether the file is there and no writer holds it; writers only lock files that they have just made."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _days(spool: Path) -> list[str]:
    """The names of the day folders, the oldest first."""
    try:
        with os.scandir(spool) as entries:
            return sorted(entry.name for entry in entries if _is_day(entry.name))
    except FileNotFoundError:
        return []


def _is_day(name: str) -> bool:
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def _segment(folder: Path, day: str, entry: os.DirEntry[str]) -> Segment | None:
    name = entry.name
    if not (name.endswith(CLOSED) or (name.endswith(OPEN) and has_no_writer(folder / name))):
        return None
    try:
        # After the lock: an `.open` that its writer has renamed meanwhile comes under its new name at the next look.
        status = entry.stat()
    except FileNotFoundError:
        return None
    return Segment(folder, day, name, status.st_size, status.st_mtime)
