"""The doctor on Wiz's side: settings, a token, and for each dataset whether the service account may read it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from wiz_dagster.dataset_settings import filter_by
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.doctor.finding import Finding, find
from wiz_dagster.errors import SettingsError
from wiz_dagster.settings import WizSettings, read_wiz_settings
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.rate_limit import open_budget
from wiz_dagster.wiz.token import TokenSource
from wiz_dagster.wiz.windows import format_time


def examine_wiz(environment: Mapping[str, str], datasets: Sequence[Dataset]) -> Iterator[Finding]:
    """Settings, then the token, then a finding a dataset."""
    try:
        settings = read_wiz_settings(environment)
    except SettingsError as error:
        yield Finding("Wiz settings", False, str(error))
        return
    pace = f"{settings.requests_per_second:g} requests a second"
    yield Finding("Wiz settings", True, f"{settings.api_url}, audience {settings.audience}, {pace}")
    token = find("Wiz token", lambda: _token(settings))
    yield token
    if token.ok:
        with WizClient(settings, open_budget(settings)) as client:
            for dataset in datasets:
                yield find(f"Wiz scope of {dataset.name}", lambda dataset=dataset: _one_node(client, dataset))  # type: ignore[misc]


def _token(settings: WizSettings) -> str:
    TokenSource(settings).current(time.sleep)
    return f"issued by {settings.token_url}"


def _one_node(client: WizClient, dataset: Dataset) -> str:
    """Ask for one node, of the last day where the dataset has days; none is as good an answer."""
    now = datetime.now(UTC)
    wanted = filter_by(dataset, {})
    if (filter_field := dataset.walks[0].filter_field) is not None:
        wanted[filter_field] = {"after": format_time(now - timedelta(days=1)), "before": format_time(now)}
    variables = {"first": 1, "after": None, "filterBy": wanted, "withCount": False}
    client.execute(dataset.query(), variables, scope=dataset.scope)
    return f"{dataset.scope} is there; {dataset.root} answers"
