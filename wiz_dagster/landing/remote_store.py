"""Any other file system of fsspec as store: one whole PUT a file, and compare-and-swap by conditional PUT on S3.

Listings are never cached (the file system is opened so). On file systems that aren't S3 the compare-and-swap is exact
among the threads of one process only; between processes it is a read just before the write, so two runs of one day at
the same moment can lose a manifest there: keep to S3 or a folder when that can happen.
"""

import threading
from typing import Any

from wiz_dagster.errors import PermanentError
from wiz_dagster.landing.storage_errors import explained

# S3 answers 412 to a condition that doesn't hold and 409 to two conditional writes at once.
_LOST = {"PreconditionFailed", "ConditionalRequestConflict"}
_one_at_a_time = threading.Lock()


class RemoteStore:
    """Objects below `root` of an fsspec file system."""

    def __init__(self, url: str, filesystem: Any, root: str) -> None:
        self._url = url
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        protocol = filesystem.protocol
        self._conditional = "s3" in ((protocol,) if isinstance(protocol, str) else protocol)

    @property
    def url(self) -> str:
        """The URL, without credentials."""
        return self._url

    def read(self, path: str) -> bytes:
        """The whole object; FileNotFoundError when there is none."""
        with explained(self._url, path, "read"):
            data: bytes = self._filesystem.cat_file(self._at(path))
            return data

    def put(self, path: str, data: bytes) -> None:
        """Write the object whole; replaces."""
        self._pipe(path, data)

    def replace_if(self, path: str, data: bytes, expected: bytes | None) -> bool:
        """Write the object only if it still holds `expected` (None: only if absent)."""
        if self._conditional:
            return self._put_conditionally(path, data, expected)
        with _one_at_a_time:
            try:
                current: bytes | None = self.read(path)
            except FileNotFoundError:
                current = None
            if current != expected:
                return False
            self._pipe(path, data)
            return True

    def delete(self, path: str) -> None:
        """Remove the object; an absent one is no error."""
        with explained(self._url, path, "delete"):
            try:
                self._filesystem.rm_file(self._at(path))
            except FileNotFoundError:
                return

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        try:
            with explained(self._url, path, "read"):
                return bool(self._filesystem.info(self._at(path))["type"] == "file")
        except FileNotFoundError:
            return False

    def list(self, folder: str) -> list[str]:
        """Names of the objects and folders directly in `folder`, sorted; none when it doesn't exist."""
        try:
            with explained(self._url, folder or ".", "list"):
                found = self._filesystem.ls(self._at(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def _put_conditionally(self, path: str, data: bytes, expected: bytes | None) -> bool:
        if expected is None:
            return self._pipe(path, data, IfNoneMatch="*")
        try:
            # The tag first, then the content: if the object changes in between, the tag no longer matches.
            with explained(self._url, path, "read"):
                tag = self._filesystem.info(self._at(path))["ETag"]
            return self.read(path) == expected and self._pipe(path, data, IfMatch=tag)
        except FileNotFoundError:
            return False

    def _pipe(self, path: str, data: bytes, **condition: str) -> bool:
        """Put the object; False when the condition doesn't hold."""
        with explained(self._url, path, "write"):
            try:
                self._filesystem.pipe_file(self._at(path), data, **condition)
            except OSError as error:
                response = getattr(error.__cause__, "response", None) or {}
                if response.get("Error", {}).get("Code") in _LOST:
                    return False
                if isinstance(error, FileNotFoundError):
                    if "IfMatch" in condition:
                        return False
                    raise PermanentError(
                        f"The landing zone {self._url} (WIZ_LANDING_URL) doesn't exist: create the bucket or container."
                    ) from error
                raise
        return True

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root
