"""Where the landing zone keeps its files: a folder, or any file system that fsspec knows, behind one small interface.

Every write is whole or absent, and the one file that is ever replaced under competition, the manifest, is replaced by
compare-and-swap. What the files hold is not known here.
"""

from pathlib import Path
from typing import Protocol

import fsspec

from wiz_dagster.errors import SettingsError
from wiz_dagster.landing.local_store import LocalStore
from wiz_dagster.landing.remote_store import RemoteStore
from wiz_dagster.landing.storage_errors import shown_url


class Store(Protocol):
    """Files by relative path ("issue/2026-11-24/manifest.json"); failures are PermanentError or TransientError."""

    @property
    def url(self) -> str:
        """The place, as shown to people."""

    def read(self, path: str) -> bytes:
        """The whole file; FileNotFoundError when there is none."""

    def put(self, path: str, data: bytes) -> None:
        """Write the file whole, in one atomic step; replaces."""

    def replace_if(self, path: str, data: bytes, expected: bytes | None) -> bool:
        """Write the file only if it still holds `expected` (None: only if absent); False when it doesn't."""

    def delete(self, path: str) -> None:
        """Remove the file; an absent one is no error."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    def list(self, folder: str) -> list[str]:
        """Names of the files and folders directly in `folder`, sorted; none when it doesn't exist."""


def open_store(url: str) -> Store:
    """The store at `url`: a plain path, file://..., or any fsspec URL (s3://bucket/prefix, memory://name).

    Raises SettingsError when the URL's scheme is unknown or needs a package that isn't installed.
    """
    if "://" not in url or url.startswith(("file://", "local://")):
        return LocalStore(Path(url.removeprefix("file://").removeprefix("local://")).expanduser().absolute())
    try:
        filesystem, root = fsspec.url_to_fs(url, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise SettingsError(
            f"WIZ_LANDING_URL: can't open {shown_url(url)}: {error}; use a folder, or install what the scheme needs "
            f"(for s3://: pip install 'wiz_dagster[s3]')."
        ) from error
    return RemoteStore(shown_url(url), filesystem, root)
