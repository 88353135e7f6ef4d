"""Throw-away certificates for the sandbox's services, made by the openssl command: an authority and what it signs.

They are valid for a year, for this machine alone; the private files are their owner's alone.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from wiz_dagster.errors import PermanentError

AUTHORITY = "ca.crt"
"""The authority's certificate, in the folder of all."""
SERVER, CLIENT = "serverAuth", "clientAuth"

_LEAF = "subjectAltName=IP:127.0.0.1,DNS:localhost\nkeyUsage=digitalSignature\nextendedKeyUsage="
_KEY = ("-newkey", "rsa:2048", "-nodes", "-sha256")


def can_be_made() -> bool:
    """Whether this machine has what makes them."""
    return shutil.which("openssl") is not None


def make_authority(folder: Path) -> None:
    """`ca.crt` and `ca.key` in a folder that others can't enter. Raises `PermanentError` when openssl can't."""
    _openssl(
        folder, "req", "-x509", *_KEY, "-subj", "/CN=wiz-dagster sandbox CA",
        "-days", "365", "-keyout", "ca.key", "-out", AUTHORITY,
    )  # fmt: skip


def make_certificate(folder: Path, name: str, purpose: str) -> None:
    """`<name>.crt` and `<name>.key`, signed by the folder's authority; `purpose` is `SERVER` or `CLIENT`.

    A server's is for 127.0.0.1 and localhost. Raises `PermanentError` when openssl can't.
    """
    (folder / f"{name}.ext").write_text(f"{_LEAF}{purpose}\n")
    subject = "127.0.0.1" if purpose == SERVER else f"wiz-dagster sandbox {name}"
    _openssl(folder, "req", "-new", *_KEY, "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    _openssl(
        folder, "x509", "-req", "-sha256", "-in", f"{name}.csr", "-out", f"{name}.crt",
        "-CA", AUTHORITY, "-CAkey", "ca.key", "-CAcreateserial", "-days", "365", "-extfile", f"{name}.ext",
    )  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            ["openssl", *arguments],  # noqa: S607
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            umask=0o077,
        )
    except FileNotFoundError:
        raise PermanentError(
            "TLS in the sandbox needs the openssl command: install it, or start without TLS."
        ) from None
    if done.returncode:
        raise PermanentError(f"openssl couldn't make certificates: {done.stderr.strip()[-300:]}")
