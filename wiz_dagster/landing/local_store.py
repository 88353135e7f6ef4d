"""A local folder as store: temporary name, fsync, rename, fsync of the folder; private to the user.

A kill leaves at most a temporary file, whose name holds the time it was made, so that the landing zone can sweep it.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wiz_dagster.landing.stamps import new_stamp
from wiz_dagster.landing.storage_errors import explained


class LocalStore:
    """Files below `root`; folders are made 0700 and files 0600, whatever the umask allows more."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self._root)

    def read(self, path: str) -> bytes:
        """The whole file; FileNotFoundError when there is none."""
        with explained(self.url, path, "read"):
            return (self._root / path).read_bytes()

    def put(self, path: str, data: bytes) -> None:
        """Write the file whole, in one atomic step that outlives a power cut; replaces."""
        with explained(self.url, path, "write"):
            target = self._root / path
            make_private(target.parent)
            temporary = target.with_name(f".{target.name}.{new_stamp()}-{secrets.token_hex(4)}.tmp")
            try:
                _write_synced(temporary, data)
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            sync_folder(target.parent)

    def replace_if(self, path: str, data: bytes, expected: bytes | None) -> bool:
        """Write the file only if it still holds `expected` (None: only if absent), locking its folder."""
        with self._locked(path):
            try:
                current: bytes | None = self.read(path)
            except FileNotFoundError:
                current = None
            if current != expected:
                return False
            self.put(path, data)
            return True

    def delete(self, path: str) -> None:
        """Remove the file; an absent one is no error."""
        with explained(self.url, path, "delete"):
            (self._root / path).unlink(missing_ok=True)

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        with explained(self.url, path, "read"):
            return (self._root / path).is_file()

    def list(self, folder: str) -> list[str]:
        """Names of the files and folders directly in `folder`, sorted; none when it doesn't exist."""
        with explained(self.url, folder or ".", "list"):
            try:
                return sorted(entry.name for entry in (self._root / folder).iterdir())
            except FileNotFoundError:
                return []

    @contextmanager
    def _locked(self, path: str) -> Iterator[None]:
        lock = (self._root / path).with_name(".lock")
        with explained(self.url, path, "lock"):
            make_private(lock.parent)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with explained(self.url, path, "lock"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def make_private(folder: Path) -> None:
    """Make the folder and its missing parents, each 0700 (Path.mkdir would give the parents the default mode)."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for part in reversed(missing):
        part.mkdir(mode=0o700, exist_ok=True)
        sync_folder(part.parent)


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
