"""What a node with TLS and logins needs besides its settings: a certificate authority, two users, their roles.

Written as files: the node from Maven Central has no API for users. The passwords are made anew at each start; the
node's folder keeps their hashes alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
from pathlib import Path
from typing import NamedTuple

from wiz_dagster.elasticsearch.roles import ROLES, RUN_ROLE, SETUP_ROLE
from wiz_dagster.sandbox.certificates import AUTHORITY, SERVER, make_authority, make_certificate

SETUP_USER = "wiz-setup"
RUN_USER = "wiz-run"
PBKDF2_ROUNDS = 10_000


class Security(NamedTuple):
    """The settings of a secure node and how to get in: the role `setup` and the role `run`, a user each."""

    settings: dict[str, str]
    ca_certs: Path
    setup_password: str
    run_password: str
    setup_user: str = SETUP_USER
    run_user: str = RUN_USER


def secure_node(folder: Path, config: Path) -> Security:
    """Write certificates, users and roles into the node's configuration."""
    tls = config / "tls"
    tls.mkdir(mode=0o700)
    make_authority(tls)
    make_certificate(tls, "node", SERVER)
    ca_certs = folder / AUTHORITY
    shutil.copyfile(tls / AUTHORITY, ca_certs)
    passwords = {SETUP_USER: secrets.token_urlsafe(24), RUN_USER: secrets.token_urlsafe(24)}
    (config / "users").write_text("".join(f"{name}:{_hashed(password)}\n" for name, password in passwords.items()))
    (config / "users_roles").write_text(f"{SETUP_ROLE}:{SETUP_USER}\n{RUN_ROLE}:{RUN_USER}\n")
    (config / "roles.yml").write_text("".join(f"{name}: {json.dumps(role)}\n" for name, role in ROLES.items()))
    settings = {
        "xpack.security.enabled": "true",
        "xpack.security.http.ssl.enabled": "true",
        "xpack.security.http.ssl.certificate": str(tls / "node.crt"),
        "xpack.security.http.ssl.key": str(tls / "node.key"),
    }
    return Security(settings, ca_certs, passwords[SETUP_USER], passwords[RUN_USER])


def _hashed(password: str) -> str:
    """The password as Elasticsearch's file realm keeps it (PBKDF2 with HMAC-SHA512, 32 bytes)."""
    salt = secrets.token_bytes(32)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ROUNDS, 32)
    return f"{{PBKDF2}}{PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
