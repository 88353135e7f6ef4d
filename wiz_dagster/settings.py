"""The settings that come from the environment: one model a side, each field under the name of its variable.

The models validate and fill in defaults; nothing here opens a connection or looks at `os.environ` by itself. What
varies by dataset stands in the file named by `WIZ_CONFIG`, see `dataset_settings.py`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from wiz_dagster.errors import SettingsError

LEGACY_TOKEN_HOSTS = frozenset({"auth.wiz.io", "auth0.gov.wiz.io"})
"""Auth0 realms that still want the audience `beyond-api` (reference: OAuth endpoints of Wiz)."""
NAMESPACE = re.compile(r"[^A-Z\\/*?\"<>| ,#:\-]{1,100}")
"""What Elasticsearch allows as the namespace of a data stream."""


def _http_url(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address such as https://host.example")
    if parts.username or parts.password:
        raise ValueError("expected an address without user name and password; they have variables of their own")
    return value.strip().rstrip("/")


def _api_url(value: str) -> str:
    url = _http_url(value)
    return url if url.endswith("/graphql") else f"{url}/graphql"


def _proxy_url(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected a proxy address such as http://proxy.example:3128")
    return value.strip()


def _existing_file(value: str) -> Path:
    path = Path(value).expanduser()
    if not path.is_file():
        raise ValueError("expected the path of an existing file")
    return path


def _certificates(value: str) -> Path:
    path = _existing_file(value)
    try:
        # The HTTP libraries would only find out with the first request, and say something else.
        ssl.create_default_context(cafile=path)
    except OSError:  # ssl.SSLError is one
        raise ValueError("expected a file of certificates in PEM format") from None
    return path


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", str(value).strip())
    if not found:
        raise ValueError("expected seconds, or a number with s, m or h, such as 30s")
    return timedelta(seconds=float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"])


def _namespace(value: str) -> str:
    if not NAMESPACE.fullmatch(value):
        raise ValueError('expected at most 100 lower-case characters without - \\ / * ? " < > | , # : or a space')
    return value


HttpUrl = Annotated[str, BeforeValidator(_http_url)]
ApiUrl = Annotated[str, BeforeValidator(_api_url)]
ProxyUrl = Annotated[str, BeforeValidator(_proxy_url)]
ExistingFile = Annotated[Path, BeforeValidator(_existing_file)]
Certificates = Annotated[Path, BeforeValidator(_certificates)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Namespace = Annotated[str, BeforeValidator(_namespace)]


class Settings(BaseModel):
    """What all models of settings share; the alias of a field is its variable."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore", hide_input_in_errors=True)


class TenantSettings(Settings):
    """Whose data is landed; all that the webhook's landing needs of Wiz's side."""

    client_id: str = Field(alias="WIZ_CLIENT_ID", min_length=1)
    api_url: ApiUrl = Field(alias="WIZ_API_URL")


class WizSettings(TenantSettings):
    """Wiz's API: who asks, where, and how much a second."""

    client_secret: SecretStr = Field(alias="WIZ_CLIENT_SECRET", min_length=1)
    token_url: HttpUrl = Field(default="https://auth.app.wiz.io/oauth/token", alias="WIZ_TOKEN_URL")
    audience: str = Field(default="", alias="WIZ_AUDIENCE")
    proxy_url: ProxyUrl | None = Field(default=None, alias="WIZ_PROXY_URL")
    ca_certs: Certificates | None = Field(default=None, alias="WIZ_CA_CERTS")
    requests_per_second: float = Field(default=3.0, gt=0, allow_inf_nan=False, alias="WIZ_REQUESTS_PER_SECOND")
    rate_limit_url: str | None = Field(default=None, alias="WIZ_RATE_LIMIT_URL")
    page_size: int = Field(default=500, ge=1, le=500, alias="WIZ_PAGE_SIZE")
    window_lag: Duration = Field(default=timedelta(seconds=30), alias="WIZ_WINDOW_LAG")

    @model_validator(mode="before")
    @classmethod
    def _derive_audience(cls, values: Any) -> Any:
        if isinstance(values, dict) and not (values.get("WIZ_AUDIENCE") or values.get("audience")):
            token_url = str(values.get("WIZ_TOKEN_URL") or values.get("token_url") or "")
            legacy = urlsplit(token_url).hostname in LEGACY_TOKEN_HOSTS
            values = {**values, "WIZ_AUDIENCE": "beyond-api" if legacy else "wiz-api"}
        return values


class ElasticsearchSettings(Settings):
    """The cluster that documents go to, and the data streams' namespace."""

    url: HttpUrl = Field(alias="ELASTICSEARCH_URL")
    api_key: SecretStr | None = Field(default=None, alias="ELASTICSEARCH_API_KEY")
    username: str | None = Field(default=None, alias="ELASTICSEARCH_USERNAME")
    password: SecretStr | None = Field(default=None, alias="ELASTICSEARCH_PASSWORD")
    ca_certs: Certificates | None = Field(default=None, alias="ELASTICSEARCH_CA_CERTS")
    proxy_url: ProxyUrl | None = Field(default=None, alias="ELASTICSEARCH_PROXY_URL")
    namespace: Namespace = Field(default="default", alias="WIZ_NAMESPACE")

    @model_validator(mode="after")
    def _one_login(self) -> ElasticsearchSettings:
        if self.api_key and self.username:
            raise ValueError("set ELASTICSEARCH_API_KEY or ELASTICSEARCH_USERNAME, not both")
        if bool(self.username) != bool(self.password):
            raise ValueError("ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD belong together: set both or neither")
        return self


class LandingSettings(Settings):
    """Where the raw nodes are kept: a path or a URL of a file system that fsspec knows."""

    url: str = Field(default="wiz-landing", alias="WIZ_LANDING_URL", min_length=1)


def _begun(day: date) -> date:
    if day > datetime.now(UTC).date():
        raise ValueError("expected a day that has begun, as YYYY-MM-DD")
    return day


BegunDay = Annotated[date, AfterValidator(_begun)]


def _divisor_of_an_hour(minutes: int) -> int:
    if minutes < 1 or 60 % minutes:
        raise ValueError("expected minutes that divide an hour: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60")
    return minutes


class PipelineSettings(Settings):
    """What shapes the definitions themselves; read when they load."""

    start_date: BegunDay = Field(default=date(2026, 1, 1), alias="WIZ_START_DATE")
    destination: Literal["elasticsearch", "files"] = Field(default="elasticsearch", alias="WIZ_DESTINATION")
    namespace: Namespace = Field(default="default", alias="WIZ_NAMESPACE")
    config: ExistingFile | None = Field(default=None, alias="WIZ_CONFIG")
    geoip_database: ExistingFile | None = Field(default=None, alias="WIZ_GEOIP_DATABASE")
    refresh_minutes: Annotated[int, AfterValidator(_divisor_of_an_hour)] = Field(default=5, alias="WIZ_REFRESH_MINUTES")
    edited_issues_days: int = Field(default=7, ge=1, le=365, alias="WIZ_EDITED_ISSUES_DAYS")
    keep_runs_days: int = Field(default=30, ge=1, alias="WIZ_KEEP_RUNS_DAYS")
    keep_landing_days: int | None = Field(default=None, ge=7, alias="WIZ_KEEP_LANDING_DAYS")
    keep_dead_letters_days: int | None = Field(default=None, ge=1, alias="WIZ_KEEP_DEAD_LETTERS_DAYS")
    keep_spool_days: int | None = Field(default=None, ge=1, alias="WIZ_KEEP_SPOOL_DAYS")


_Model = TypeVar("_Model", bound=Settings)


def read_wiz_settings(environment: Mapping[str, str]) -> WizSettings:
    """The settings of Wiz's side. Raises `SettingsError` naming every variable that is missing or invalid."""
    return read(WizSettings, environment)


def read_tenant_settings(environment: Mapping[str, str]) -> TenantSettings:
    """Whose data is landed. Raises `SettingsError` as above."""
    return read(TenantSettings, environment)


def read_elasticsearch_settings(environment: Mapping[str, str]) -> ElasticsearchSettings:
    """The settings of Elasticsearch's side. Raises `SettingsError` as above."""
    return read(ElasticsearchSettings, environment)


def read_landing_settings(environment: Mapping[str, str]) -> LandingSettings:
    """Where the landing zone is. Raises `SettingsError` as above."""
    return read(LandingSettings, environment)


def read_pipeline_settings(environment: Mapping[str, str]) -> PipelineSettings:
    """What the definitions depend on. Raises `SettingsError` as above."""
    return read(PipelineSettings, environment)


def variables(model: type[BaseModel]) -> tuple[str, ...]:
    """The environment variables of a model, in its order."""
    return tuple(str(field.alias) for field in model.model_fields.values())


def read(model: type[_Model], environment: Mapping[str, str]) -> _Model:
    """The settings of one model. Raises `SettingsError` naming every variable that is missing or invalid."""
    given = {name: environment[name] for name in variables(model) if environment.get(name, "").strip()}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        text = problem["msg"].removeprefix("Value error, ")
        text = "is not set; set it in the environment" if problem["type"] == "missing" else text[:1].lower() + text[1:]
        problems.append(f"{name}: {text}" if name else problem["msg"].removeprefix("Value error, "))
    return "; ".join(problems) + "."
