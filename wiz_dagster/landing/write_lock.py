"""The lock that makes two writers of one partition, or of one dataset, to one destination take turns.

On a local landing zone it is an advisory file lock, which dies with its process. An object store has none: there, what
keeps competing writers from harm is that each creates by id and deletes only while the generation stands still.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wiz_dagster.landing.local_store import LocalStore
from wiz_dagster.landing.storage_errors import explained
from wiz_dagster.landing.zone import LandingZone, dataset_folder, day_folder


@contextmanager
def write_lock(zone: LandingZone, dataset: str, day: str | None, namespace: str) -> Iterator[None]:
    """Waits until no other process on this machine writes the partition to this namespace; None: any of them."""
    if not isinstance(zone.store, LocalStore):
        yield
        return
    folder = dataset_folder(dataset) if day is None else day_folder(dataset, day)
    path = Path(zone.store.url) / folder / f".write.{namespace}.lock"
    with explained(zone.store.url, str(path.relative_to(zone.store.url)), "lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
