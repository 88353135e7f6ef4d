"""All that a run, a receiver or a command leaves behind or shows, as bytes to look for a secret or a payload in."""

from __future__ import annotations

import base64
import sqlite3
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import zstandard

SQLITE = b"SQLite format 3\0"
ZSTD = b"\x28\xb5\x2f\xfd"


def forms(secret: str, user: str = "") -> dict[str, bytes]:
    """A secret as it may be written: plain, in a URL, in JSON, in Base64 and as the login of HTTP Basic."""
    return {
        "plain": secret.encode(),
        "quoted": quote(secret, safe="").encode(),
        "base64": base64.b64encode(secret.encode()).rstrip(b"="),
        "basic": base64.b64encode(f"{user}:{secret}".encode()).rstrip(b"="),
    }


def files_below(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Each file by its path; what is compressed in it, or in a column of its tables, under names of its own."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            data = path.read_bytes()
            yield str(path), data
            if data.startswith(ZSTD):
                yield f"{path} (unpacked)", zstandard.ZstdDecompressor().stream_reader(data).read()
            if data.startswith(SQLITE):
                yield from _cells(path)


def found_in(texts: Iterator[tuple[str, bytes]], wanted: dict[str, bytes]) -> set[str]:
    """Where any of the forms stands."""
    return {name for name, data in texts if any(form in data for form in wanted.values())}


def may_hold_payload(name: str) -> bool:
    """Whether the file is one that exists to keep what Wiz sent, or documents made of it."""
    return name.endswith(".ndjson.zst (unpacked)") or "/dead-letters." in name or "/spool/" in name


def open_to_others(*folders: Path) -> dict[str, str]:
    """Files and folders that are more than their owner's, with their mode."""
    paths = [path for folder in folders if folder.exists() for path in (folder, *folder.rglob("*"))]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    return {str(path): oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)}


def _cells(path: Path) -> Iterator[tuple[str, bytes]]:
    """What Dagster keeps compressed in its tables."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as tables:
        names = [name for (name,) in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for number, row in enumerate(tables.execute(f'SELECT * FROM "{name}"')):
                for cell in row:
                    if isinstance(cell, bytes):
                        yield f"{path} ({name} {number})", _unpacked(cell)


def _unpacked(cell: bytes) -> bytes:
    try:
        return zlib.decompress(cell)
    except zlib.error:
        return cell
