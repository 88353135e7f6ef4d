"""Settings: each variable read, checked and named in the message when it is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from wiz_dagster.dataset_settings import filter_by, read_dataset_settings
from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.errors import SettingsError
from wiz_dagster.settings import (
    read_elasticsearch_settings,
    read_landing_settings,
    read_pipeline_settings,
    read_wiz_settings,
)

WIZ = {"WIZ_CLIENT_ID": "an-id", "WIZ_CLIENT_SECRET": "a-secret", "WIZ_API_URL": "https://api.us1.app.wiz.io"}


@pytest.mark.parametrize(
    "given",
    [
        "https://api.us1.app.wiz.io",
        "https://api.us1.app.wiz.io/",
        "https://api.us1.app.wiz.io/graphql",
        " https://api.us1.app.wiz.io/graphql/ ",
    ],
)
def test_the_api_address_may_be_pasted_in_every_usual_form(given: str) -> None:
    assert read_wiz_settings({**WIZ, "WIZ_API_URL": given}).api_url == "https://api.us1.app.wiz.io/graphql"


def test_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"WIZ_CLIENT_ID.*WIZ_API_URL.*WIZ_CLIENT_SECRET"):
        read_wiz_settings({"WIZ_CLIENT_SECRET": "  "})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WIZ_API_URL", "api.us1.app.wiz.io"),
        ("WIZ_API_URL", "https://user:password@api.example"),
        ("WIZ_TOKEN_URL", "ftp://auth.example"),
        ("WIZ_PROXY_URL", "proxy"),
        ("WIZ_CA_CERTS", "/nowhere/ca.pem"),
        ("WIZ_REQUESTS_PER_SECOND", "0"),
        ("WIZ_REQUESTS_PER_SECOND", "inf"),
        ("WIZ_PAGE_SIZE", "501"),
        ("WIZ_WINDOW_LAG", "half a minute"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        read_wiz_settings({**WIZ, name: value})
    assert "password" not in str(caught.value).replace("user name and password", "")


def test_a_file_that_holds_no_certificate_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(SettingsError, match="WIZ_CA_CERTS: expected a file of certificates in PEM format"):
        read_wiz_settings({**WIZ, "WIZ_CA_CERTS": str(file)})
    elastic = {"ELASTICSEARCH_URL": "https://127.0.0.1:1", "ELASTICSEARCH_CA_CERTS": str(file)}
    with pytest.raises(SettingsError, match="ELASTICSEARCH_CA_CERTS: expected a file of certificates"):
        read_elasticsearch_settings(elastic)


def test_no_message_or_representation_holds_a_secret() -> None:
    settings = read_wiz_settings({**WIZ, "WIZ_CLIENT_SECRET": "hush-hush"})
    assert "hush" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        read_wiz_settings({**WIZ, "WIZ_CLIENT_SECRET": "hush-hush", "WIZ_PAGE_SIZE": "many"})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("token_url", "audience"),
    [
        ("https://auth.app.wiz.io/oauth/token", "wiz-api"),
        ("https://auth.wiz.io/oauth/token", "beyond-api"),
        ("https://auth0.gov.wiz.io/oauth/token", "beyond-api"),
        ("https://auth.app.wiz.us/oauth/token", "wiz-api"),
    ],
)
def test_the_audience_follows_the_token_address_unless_set(token_url: str, audience: str) -> None:
    assert read_wiz_settings({**WIZ, "WIZ_TOKEN_URL": token_url}).audience == audience
    assert read_wiz_settings({**WIZ, "WIZ_TOKEN_URL": token_url, "WIZ_AUDIENCE": "mine"}).audience == "mine"


def test_durations_take_a_unit_and_rates_any_positive_number() -> None:
    settings = read_wiz_settings({**WIZ, "WIZ_WINDOW_LAG": "2m", "WIZ_REQUESTS_PER_SECOND": "0.25"})
    assert settings.window_lag == timedelta(minutes=2)
    assert settings.requests_per_second == 0.25


@pytest.mark.parametrize(
    "login",
    [
        {"ELASTICSEARCH_USERNAME": "elastic"},
        {"ELASTICSEARCH_PASSWORD": "hush-hush"},
        {
            "ELASTICSEARCH_API_KEY": "hush-hush",
            "ELASTICSEARCH_USERNAME": "elastic",
            "ELASTICSEARCH_PASSWORD": "hush-hush",
        },
    ],
)
def test_a_half_or_double_login_is_refused(login: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="ELASTICSEARCH_USERNAME") as caught:
        read_elasticsearch_settings({"ELASTICSEARCH_URL": "https://es.example", **login})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("namespace", ["", "default", "prod_1", "team.security"])
def test_a_namespace_that_elasticsearch_allows_is_taken(namespace: str) -> None:
    settings = read_elasticsearch_settings({"ELASTICSEARCH_URL": "https://es.example", "WIZ_NAMESPACE": namespace})
    assert settings.namespace == (namespace or "default")


@pytest.mark.parametrize("namespace", ["Prod", "a-b", "a b", "a/b", "x" * 101])
def test_a_namespace_that_elasticsearch_refuses_is_refused_here(namespace: str) -> None:
    with pytest.raises(SettingsError, match="WIZ_NAMESPACE"):
        read_elasticsearch_settings({"ELASTICSEARCH_URL": "https://es.example", "WIZ_NAMESPACE": namespace})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WIZ_START_DATE", "soon"),
        ("WIZ_START_DATE", "2999-01-01"),
        ("WIZ_DESTINATION", "s3"),
        ("WIZ_CONFIG", "/nowhere.yaml"),
    ],
)
def test_what_shapes_the_definitions_is_checked_too(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_pipeline_settings({name: value})


def test_an_empty_environment_has_defaults_for_definitions_and_landing_zone() -> None:
    assert read_pipeline_settings({}).destination == "elasticsearch"
    assert read_landing_settings({}).url == "wiz-landing"


def test_an_empty_config_file_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "wiz.yaml"
    path.write_text("")
    assert read_dataset_settings(path, DATASETS) == read_dataset_settings(None, DATASETS)
    path.write_text("datasets:\n  issue:\n")
    assert read_dataset_settings(path, DATASETS)["issue"].lookback == 3


def test_the_config_file_sets_what_varies_by_dataset(tmp_path: Path) -> None:
    path = tmp_path / "wiz.yaml"
    path.write_text(
        "datasets:\n"
        "  issue: {tags: [mine], lookback: 5, retention: 90d, filters: {severity: [HIGH]}}\n"
        "  audit: {enabled: false}\n"
        "  defend: {tags: [pushed], retention: 30d, start_date: 2026-01-01}\n"
    )
    settings = read_dataset_settings(path, DATASETS)
    assert settings["issue"].tags == ["mine"]
    assert (settings["issue"].lookback, settings["issue"].retention) == (5, "90d")
    assert filter_by(dataset_named("issue"), settings["issue"].filters) == {"severity": ["HIGH"]}
    assert not settings["audit"].enabled
    assert (settings["defend"].tags, settings["defend"].retention) == (["pushed"], "30d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: {}", r"unknown key dataset; did you mean datasets\?"),
        ("datasets: {issues: {}}", r"unknown key datasets.issues; did you mean datasets.issue\?"),
        (
            "datasets: {issue: {all_statuses: false}}",
            r"issue.all_statuses: Wiz returns all of them by itself; leave it out",
        ),
        *(
            (f"datasets: {{defend: {{{given}}}}}", rf"defend.{given.split(':')[0]}: Wiz sends the dataset by itself")
            for given in ("page_size: 100", "all_statuses: true", "lookback: 2", "filters: {severity: [HIGH]}")
        ),
        ("datasets: {issue: {start_date: 2999-01-01}}", r"issue.start_date: expected a day that has begun"),
        ("datasets: {issue: {start_date: 2026-01-01 10:00:00}}", r"issue.start_date: Input should be a valid date"),
        ("datasets: {issue: {page_size: 501}}", r"issue.page_size: Input should be less than or equal to 500"),
        (
            "datasets: {audit: {filters: {project: [p]}}}",
            r"filters: Wiz has no filter 'project' for audit; it has: status",
        ),
        ("datasets: {issue: {tag: [a]}}", r"unknown key datasets.issue.tag; did you mean datasets.issue.tags\?"),
        ("datasets: {issue: {lookback: 0}}", r"datasets.issue.lookback"),
        ("datasets: {issue: {lookback: x}}", r"datasets.issue.lookback"),
        ("datasets: {issue: {retention: forever}}", r"datasets.issue.retention.*90d"),
        ("datasets: {audit: {filters: {severity: [HIGH]}}}", r"no filter 'severity' for audit"),
        ("datasets: [issue]", r"datasets must be a mapping"),
        ("- 1", r"must be a mapping"),
        ("datasets: {issue: [", r"can't be read as YAML"),
    ],
)
def test_a_wrong_config_file_is_refused_with_the_key_and_the_nearest_known_one(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "wiz.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_dataset_settings(path, DATASETS)
