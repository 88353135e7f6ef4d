"""Where messages go, and how late a dataset may be before one is sent.

The webhook's address and the mail server's password are secrets: neither is ever part of a message, an error or a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from wiz_dagster.settings import Certificates, Duration, HttpUrl, ProxyUrl, Settings, read

DEFAULT_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _address(value: str) -> str:
    name, _, host = value.strip().rpartition("@")
    if not (name and host) or any(mark.isspace() or mark in '<>,;"' for mark in value.strip()):
        raise ValueError("expected mail addresses such as security@example.com")
    return value.strip()


def _addresses(value: object) -> object:
    return [one for one in value.split(",") if one.strip()] if isinstance(value, str) else value


def _webhook(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value().strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address such as https://hooks.slack.com/services/...")
    return SecretStr(value.get_secret_value().strip())


Address = Annotated[str, AfterValidator(_address)]


class AlertSettings(Settings):
    """Who is told, over which ways; without a webhook and without recipients nobody is."""

    webhook: Annotated[SecretStr, AfterValidator(_webhook)] | None = Field(default=None, alias="WIZ_ALERT_WEBHOOK")
    proxy_url: ProxyUrl | None = Field(default=None, alias="WIZ_ALERT_PROXY_URL")
    ca_certs: Certificates | None = Field(default=None, alias="WIZ_ALERT_CA_CERTS")
    email_to: Annotated[tuple[Address, ...], BeforeValidator(_addresses)] = Field(
        default=(), alias="WIZ_ALERT_EMAIL_TO"
    )
    email_from: Address | None = Field(default=None, alias="WIZ_ALERT_EMAIL_FROM")
    smtp_host: str | None = Field(default=None, alias="WIZ_ALERT_SMTP_HOST")
    smtp_port: int = Field(default=587, ge=1, le=65535, alias="WIZ_ALERT_SMTP_PORT")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(default="starttls", alias="WIZ_ALERT_SMTP_TLS")
    smtp_username: str | None = Field(default=None, alias="WIZ_ALERT_SMTP_USERNAME")
    smtp_password: SecretStr | None = Field(default=None, alias="WIZ_ALERT_SMTP_PASSWORD")
    stale_after: Duration = Field(default=timedelta(minutes=30), gt=timedelta(0), alias="WIZ_ALERT_STALE_AFTER")
    dagster_url: HttpUrl | None = Field(default=None, alias="WIZ_DAGSTER_URL")

    @model_validator(mode="before")
    @classmethod
    def _usual_port(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("WIZ_ALERT_SMTP_PORT"):
            usual = DEFAULT_PORTS.get(str(values.get("WIZ_ALERT_SMTP_TLS", "starttls")))
            values = {**values, "WIZ_ALERT_SMTP_PORT": usual or DEFAULT_PORTS["starttls"]}
        return values

    @model_validator(mode="after")
    def _complete(self) -> AlertSettings:
        if self.email_to and not (self.email_from and self.smtp_host):
            raise ValueError("WIZ_ALERT_EMAIL_TO needs WIZ_ALERT_EMAIL_FROM and WIZ_ALERT_SMTP_HOST; set both")
        if self.smtp_host and not self.email_to:
            raise ValueError("WIZ_ALERT_SMTP_HOST needs WIZ_ALERT_EMAIL_TO, who gets the mails; set it")
        if bool(self.smtp_username) != bool(self.smtp_password):
            raise ValueError("WIZ_ALERT_SMTP_USERNAME and WIZ_ALERT_SMTP_PASSWORD belong together: set both or neither")
        if self.smtp_password and self.smtp_tls == "none":
            raise ValueError("WIZ_ALERT_SMTP_TLS=none would send WIZ_ALERT_SMTP_PASSWORD readable by others; use TLS")
        return self


def read_alert_settings(environment: Mapping[str, str]) -> AlertSettings:
    """All that alerts are told. Raises `SettingsError` naming every variable that is invalid or missing its fellow."""
    return read(AlertSettings, environment)
