"""The doctor on Elasticsearch's side: does it answer, may the runs do what they do, is there what setup installs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from elasticsearch import ApiError, Elasticsearch

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.doctor.finding import Finding, find
from wiz_dagster.elasticsearch.client import ROLES_DOCUMENT, connect, server_version, translated
from wiz_dagster.elasticsearch.latest_index import inspect_views
from wiz_dagster.elasticsearch.latest_views import views_of
from wiz_dagster.elasticsearch.roles import ROLES, RUN_ROLE
from wiz_dagster.elasticsearch.templates import Installed, Outcome, inspect
from wiz_dagster.errors import PermanentError, WizDagsterError
from wiz_dagster.settings import read_elasticsearch_settings

OLDEST = (8, 19)
IN_WORDS = {
    Outcome.UNCHANGED: (True, "is there"),
    Outcome.RESPECTED: (True, "belongs to Elastic's integration and is left as it is"),
    Outcome.ABSENT: (False, "is not there; run wiz-dagster setup"),
    Outcome.OUTDATED: (False, "is of other settings or another version; run wiz-dagster setup"),
}


def examine_elasticsearch(
    environment: Mapping[str, str], datasets: Sequence[Dataset], retention: Mapping[str, str | None]
) -> Iterator[Finding]:
    """Settings, version, privileges, then each template and view; what needs an answer is left out without one."""
    try:
        settings = read_elasticsearch_settings(environment)
        client = connect(settings)
    except WizDagsterError as error:
        yield Finding("Elasticsearch settings", False, str(error))
        return
    login = "an API key" if settings.api_key else settings.username or "no login"
    yield Finding("Elasticsearch settings", True, f"{settings.url} with {login}, namespace {settings.namespace}")
    with client:
        reached = find("Elasticsearch", lambda: _version(client))
        yield reached
        if reached.ok:
            yield find("Elasticsearch privileges", lambda: _privileges(client))
            yield from _templates(client, datasets, retention)
            yield from _views(client, datasets)


def _version(client: Elasticsearch) -> str:
    version = server_version(client)
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < OLDEST:
        raise PermanentError(f"version {version} is too old; 8.19 and later are supported.")
    return f"version {version} answers"


def _privileges(client: Elasticsearch) -> str:
    """What the role of the runs grants, asked for this login."""
    role = ROLES[RUN_ROLE]
    try:
        with translated():
            answer = client.security.has_privileges(cluster=role["cluster"], index=role["indices"])
    except PermanentError as error:
        if _without_security(error.__cause__):
            return "security is switched off; everything is allowed"
        raise
    missing = [name for name, granted in answer["cluster"].items() if not granted]
    missing += [
        f"{name} on {pattern}"
        for pattern, privileges in answer["index"].items()
        for name, granted in privileges.items()
        if not granted
    ]
    if missing:
        raise PermanentError(f"missing {', '.join(missing)}; give the login the role {RUN_ROLE} ({ROLES_DOCUMENT}).")
    return f"all that the role {RUN_ROLE} grants"


def _without_security(error: BaseException | None) -> bool:
    """A server without security knows no such address, or says that security isn't enabled."""
    if not isinstance(error, ApiError):
        return False
    return error.status_code == 405 or "security" in str(error.body).lower() or "no handler" in str(error.body)


def _templates(
    client: Elasticsearch, datasets: Sequence[Dataset], retention: Mapping[str, str | None]
) -> Iterator[Finding]:
    try:
        inspected: Sequence[Installed] = inspect(client, datasets, retention)
    except WizDagsterError as error:
        yield Finding("index templates", False, str(error))
        return
    for one in inspected:
        ok, words = IN_WORDS[one.outcome]
        yield Finding(f"index template of {one.dataset}", ok, f"{one.template} {words}")


def _views(client: Elasticsearch, datasets: Sequence[Dataset]) -> Iterator[Finding]:
    try:
        inspected = inspect_views(client, views_of(datasets))
    except WizDagsterError as error:
        yield Finding("latest views", False, str(error))
        return
    for one in inspected:
        ok, words = IN_WORDS[one.outcome]
        detail = " ".join((f"{one.view.index} {words}.", *one.warnings))
        yield Finding(f"latest view {one.view.name}", ok and not one.warnings, detail)
