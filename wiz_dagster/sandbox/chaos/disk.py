"""A small disk of the campaign's own, that can be full for a while: a tmpfs in a mount namespace of this process.

Only root may mount one; it goes with the last process of the campaign, however that ends. Everybody else works in a
plain folder, whose disk is never made full.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
MEGABYTES = 1500
TRIES = 20
PAGES_LEFT = 4
"""Pages of 4 kB that a full disk still has: a manifest may fit where a part doesn't."""


class Disk:
    """The folder `path`, on a file system of its own where that can be. Make it before any thread is started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True)
        self.own = _alone() and _mount(path, "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0700", "wiz-dagster-chaos")

    def fill(self) -> bool:
        """Let the disk have next to no room; False where that can't be done."""
        # What is written between the look and the change makes it fail.
        return self.own and any(self._resize(f"{(self._used_pages() + PAGES_LEFT) * 4}k") for _ in range(TRIES))

    def empty(self) -> None:
        """Give it its room again."""
        if self.own:
            self._resize(f"{MEGABYTES}m")

    def close(self) -> None:
        """Take it away with all that it holds."""
        if self.own:
            subprocess.run(["umount", "--lazy", self.path], check=False)  # noqa: S603, S607

    def _used_pages(self) -> int:
        state = os.statvfs(self.path)
        return (state.f_blocks - state.f_bfree) * state.f_bsize // 4096

    def _resize(self, size: str) -> bool:
        return _mount(self.path, "-o", f"remount,size={size}")


def _alone() -> bool:
    """Whether this process now has mounts of its own."""
    if sys.platform != "linux" or os.geteuid():
        return False
    return ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0 and _mount("/", "--make-rprivate")


def _mount(path: Path | str, *options: str) -> bool:
    command = ["mount", *options, str(path)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603
