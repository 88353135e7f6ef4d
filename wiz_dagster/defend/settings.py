"""The receiver's settings, and the place of the spool, which Dagster's side reads too.

The models check what a variable says by itself and beside the others; whether files hold what they must is found out
where they are opened (`tls.py`), whether the port is free in `server.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from wiz_dagster.settings import Duration, ExistingFile, Settings, read

AUTHORIZATION = "Authorization"
HEALTH_PATH = "/healthz"
METRICS_PATH = "/metrics"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise ValueError("expected a path such as /wiz, of letters, digits and . _ ~ / -")
    if value in {HEALTH_PATH, METRICS_PATH}:
        raise ValueError(f"expected another path than {HEALTH_PATH} and {METRICS_PATH}, which have a use of their own")
    return value


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError("expected the name of a header, such as X-Wiz-Token")
    return value


def _sendable(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if _CONTROL.search(secret) or secret != secret.strip():
        raise ValueError("expected no control characters, and no spaces before or behind: a header can't carry them")
    return value


def _username(value: str) -> str:
    if ":" in value or _CONTROL.search(value):
        raise ValueError("expected a name without a colon and control characters")
    return value


class SpoolSettings(Settings):
    """Where received events wait until they are landed; all that Dagster needs of this side."""

    spool: Annotated[Path, AfterValidator(Path.expanduser)] = Field(default=Path("wiz-spool"), alias="WIZ_DEFEND_SPOOL")


class ReceiverSettings(SpoolSettings):
    """Where the receiver listens, whom it believes, and how much it takes at a time."""

    auth: Literal["basic", "token", "none"] = Field(alias="WIZ_DEFEND_AUTH")
    address: str = Field(default="127.0.0.1", alias="WIZ_DEFEND_ADDRESS")
    port: int = Field(default=9588, ge=0, le=65535, alias="WIZ_DEFEND_PORT")
    path: Annotated[str, AfterValidator(_path)] = Field(default="/", alias="WIZ_DEFEND_PATH")
    username: Annotated[str, AfterValidator(_username)] | None = Field(default=None, alias="WIZ_DEFEND_USERNAME")
    password: SecretStr | None = Field(default=None, alias="WIZ_DEFEND_PASSWORD")
    token: Annotated[SecretStr, AfterValidator(_sendable)] | None = Field(default=None, alias="WIZ_DEFEND_TOKEN")
    token_header: Annotated[str, AfterValidator(_header_name)] = Field(
        default=AUTHORIZATION, alias="WIZ_DEFEND_TOKEN_HEADER"
    )
    tls_cert: ExistingFile | None = Field(default=None, alias="WIZ_DEFEND_TLS_CERT")
    tls_key: ExistingFile | None = Field(default=None, alias="WIZ_DEFEND_TLS_KEY")
    client_ca: ExistingFile | None = Field(default=None, alias="WIZ_DEFEND_CLIENT_CA")
    client_cert: Literal["required", "optional"] | None = Field(default=None, alias="WIZ_DEFEND_CLIENT_CERT")
    max_body: int = Field(default=5_000_000, ge=1, le=100_000_000, alias="WIZ_DEFEND_MAX_BODY")
    timeout: Duration = Field(
        default=timedelta(seconds=30), gt=timedelta(0), le=timedelta(hours=1), alias="WIZ_DEFEND_TIMEOUT"
    )
    max_requests: int = Field(default=64, ge=1, le=10_000, alias="WIZ_DEFEND_MAX_REQUESTS")

    @property
    def seconds(self) -> float:
        """`timeout` in seconds."""
        return self.timeout.total_seconds()

    @model_validator(mode="after")
    def _complete(self) -> ReceiverSettings:
        if self.auth == "basic" and not (self.username and self.password):
            raise ValueError("WIZ_DEFEND_AUTH=basic needs WIZ_DEFEND_USERNAME and WIZ_DEFEND_PASSWORD; set both")
        if self.auth == "token" and not self.token:
            raise ValueError("WIZ_DEFEND_AUTH=token needs WIZ_DEFEND_TOKEN; set it")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("WIZ_DEFEND_TLS_CERT and WIZ_DEFEND_TLS_KEY belong together: set both or neither")
        if self.client_ca and not self.tls_cert:
            raise ValueError("WIZ_DEFEND_CLIENT_CA needs TLS: set WIZ_DEFEND_TLS_CERT and WIZ_DEFEND_TLS_KEY too")
        if self.client_cert and not self.client_ca:
            raise ValueError("WIZ_DEFEND_CLIENT_CERT needs WIZ_DEFEND_CLIENT_CA, the authority to check it by; set it")
        return self


def read_spool_settings(environment: Mapping[str, str]) -> SpoolSettings:
    """Where the spool is. Raises `SettingsError`; the receiver's other variables don't matter."""
    return read(SpoolSettings, environment)


def read_receiver_settings(environment: Mapping[str, str]) -> ReceiverSettings:
    """All that the receiver is told. Raises `SettingsError` naming every variable that is missing or invalid."""
    return read(ReceiverSettings, environment)
