"""A partition's documents as one NDJSON file: `documents/<namespace>/<dataset>/<day>.ndjson` below the landing zone.

Written whole or not at all, without holding it in memory: first under a temporary name on a local disk, then put in
place in one step. Who may read a landing zone's files may read these: folders 0700, files 0600.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import fsspec

from wiz_dagster.landing.local_store import make_private, sync_folder
from wiz_dagster.landing.storage_errors import explained

BUFFER_BYTES = 1 << 20


class DocumentFile:
    """One partition's file; `root_url` is the landing zone's, a path or any fsspec URL."""

    def __init__(self, root_url: str, namespace: str, dataset: str, day: str) -> None:
        self._root_url = root_url
        self.path = f"documents/{namespace}/{dataset}/{day}.ndjson"
        self._filesystem, root = fsspec.url_to_fs(root_url)
        self._target = f"{root}/{self.path}"
        self._local = "file" in self._filesystem.protocol
        self._temporary_prefix = f".{day}.ndjson.tmp-"

    @property
    def url(self) -> str:
        """Where the file is."""
        return str(self._filesystem.unstrip_protocol(self._target))

    def exists(self) -> bool:
        """Whether the partition has been written."""
        with explained(self._root_url, self.path, "read"):
            self._filesystem.invalidate_cache()
            return bool(self._filesystem.exists(self._target))

    def write(self, documents: Iterable[bytes]) -> int:
        """Replaces the file by these documents, a line each, or leaves it as it was; returns its size."""
        with explained(self._root_url, self.path, "write"):
            descriptor, name = tempfile.mkstemp(dir=self._local_folder(), prefix=self._temporary_prefix)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES) as file:
                for document in documents:
                    with explained(self._root_url, self.path, "write"):
                        file.write(document)
                        file.write(b"\n")
                file.flush()
                os.fsync(descriptor)
            size = temporary.stat().st_size
            with explained(self._root_url, self.path, "write"):
                if self._local:
                    temporary.replace(self._target)
                    sync_folder(Path(self._target).parent)
                else:
                    self._filesystem.put_file(name, self._target)
        finally:
            temporary.unlink(missing_ok=True)
        return size

    def lines(self) -> Iterator[bytes]:
        """The documents, in the order written; FileNotFoundError when the partition was never written."""
        with explained(self._root_url, self.path, "read"), self._filesystem.open(self._target, "rb") as file:
            yield from file

    def _local_folder(self) -> Path | None:
        """The folder for the temporary file: the target's own where that makes the last step a rename."""
        if not self._local:
            return None
        folder = Path(self._target).parent
        make_private(folder)
        # Writers of one partition take turns: what lies here was left by one that was killed.
        for left in folder.glob(f"{self._temporary_prefix}*"):
            left.unlink(missing_ok=True)
        return folder
