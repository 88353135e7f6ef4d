"""Where a node's files lie and which user it runs as: Elasticsearch refuses to run as root.

A caller who is root starts the node as `nobody`, who can't enter root's private folders: a data folder in such a place
gets a link to one below `/var/tmp`, which goes with it. Everyone else runs the node as themselves.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from wiz_dagster.errors import PermanentError

LINK = "node"
OWNER = "for"
LOCK = "lock"


class Account(NamedTuple):
    """The user and group a node runs as."""

    uid: int
    gid: int


def node_account() -> Account:
    """`nobody` when the caller is root, else the caller."""
    if os.geteuid():
        return Account(os.geteuid(), os.getegid())
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def reachable(path: Path) -> bool:
    """Whether the node's user may enter the folder and all folders above it."""
    account = node_account()
    return all(_may_enter(folder.stat(), account) for folder in (path, *path.resolve().parents))


def base_folder() -> Path:
    """The folder of servers and nodes: in the caller's cache, or below /var/tmp for root. Made when absent."""
    if os.geteuid():
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        base, mode = Path(cache) / "wiz-dagster", 0o700
    else:
        base, mode = Path("/var/tmp/wiz-dagster"), 0o711  # noqa: S108 (ownership is checked below)
    base.mkdir(mode=mode, parents=True, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.geteuid():
        raise PermanentError(f"{base} belongs to another user: remove it, the sandbox keeps its own files there.")
    base.chmod(mode)
    return base


def temporary_node_folder() -> Path:
    """A new folder for one node's life, in the node user's hands."""
    sweep()
    return _give(Path(tempfile.mkdtemp(dir=_nodes(), prefix="fresh-")))


def lasting_node_folder(data_dir: Path) -> Path:
    """The folder to keep a node's files in for a given data folder: itself, or what it links to when out of reach."""
    data_dir = data_dir.absolute()
    if not data_dir.is_dir():
        data_dir.mkdir(parents=True)
        data_dir.chmod(0o700 if os.geteuid() else 0o711)
    link = data_dir / LINK
    if link.is_dir():
        return link.resolve()
    if reachable(data_dir):
        link.mkdir(mode=0o700)
        return _give(link)
    sweep()
    folder = Path(tempfile.mkdtemp(dir=_nodes(), prefix="kept-"))
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    (folder / OWNER).write_text(str(link))
    return _give(folder)


def sweep() -> None:
    """Remove what nobody needs: fresh folders of killed starters, kept folders whose data folder was deleted."""
    for folder in _nodes().glob("fresh-*"):
        if (folder / LOCK).is_file() and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in _nodes().glob("kept-*"):
        link = Path((folder / OWNER).read_text()) if (folder / OWNER).is_file() else None
        if link and link.resolve() != folder.resolve() and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: Path) -> bool:
    """Whether a node's keeper holds the folder."""
    if not (folder / LOCK).is_file():
        return False
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _nodes() -> Path:
    nodes = base_folder() / "nodes"
    nodes.mkdir(mode=0o711, exist_ok=True)
    return nodes


def _give(folder: Path) -> Path:
    if not os.geteuid():
        os.chown(folder, *node_account())
    return folder


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
