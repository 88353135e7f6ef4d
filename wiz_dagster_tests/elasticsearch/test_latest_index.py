"""The indices and filtered aliases of the latest views on the real node: made, renewed, and told apart from others'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import Field
from wiz_dagster.elasticsearch.latest_index import ensure_view, find_view, index_body, inspect_views, install_views
from wiz_dagster.elasticsearch.latest_views import VIEWS, LatestView, views_of
from wiz_dagster.elasticsearch.templates import Outcome
from wiz_dagster_tests.elasticsearch.latest_helpers import view_named

ISSUE = dataset_named("issue")


@dataclass(frozen=True)
class GrownDataset(Dataset):
    """A dataset with more fields than its table has, or others."""

    more: tuple[Field, ...] = ()

    def fields(self) -> tuple[Field, ...]:
        return (*super().fields(), *self.more)


def grown(*more: Field) -> GrownDataset:
    return GrownDataset(**{name: getattr(ISSUE, name) for name in Dataset.__dataclass_fields__}, more=more)


@pytest.fixture
def view(elasticsearch: Elasticsearch, namespace: str) -> Iterator[LatestView]:
    view = view_named("issue", namespace)
    yield view
    elasticsearch.indices.delete(index=[view.index, f"{view.alias}-v3"], ignore_unavailable=True)


def outcomes(client: Elasticsearch, view: LatestView, dataset: Dataset = ISSUE) -> list[Outcome]:
    """What looking, installing and looking again come to."""
    pairs = [(view, dataset)]
    steps = (inspect_views, install_views, inspect_views)
    return [done.outcome for step in steps for done in step(client, pairs)]


def test_kibanas_pages_find_the_views_by_their_names() -> None:
    names = {view.name: (view.alias, view.index) for view in VIEWS}
    vulnerability = "security_solution-wiz.vulnerability_latest"
    misconfiguration = "security_solution-wiz.misconfiguration_latest"
    assert names == {
        "vulnerability": (vulnerability, f"{vulnerability}-dagster-v1"),
        "misconfiguration": (misconfiguration, f"{misconfiguration}-dagster-v1"),
        "issue": ("wiz.issue_latest", "wiz.issue_latest-dagster-v1"),
    }
    assert [view.name for view, _ in views_of(DATASETS)] == ["issue", "vulnerability", "misconfiguration"]


@pytest.mark.parametrize(("view", "dataset"), views_of(DATASETS), ids=lambda one: one.name)
def test_a_view_has_the_fields_of_its_dataset_and_a_namespace_that_varies(view: LatestView, dataset: Dataset) -> None:
    body = index_body(view, dataset)
    properties = body["mappings"]["properties"]
    assert properties["data_stream"]["properties"]["namespace"]["type"] == "keyword"
    for name in [field.name for field in dataset.fields()] + [view.gone_field or "@timestamp"]:
        definition = body["mappings"]
        for part in name.split("."):
            definition = definition["properties"][part]
    assert body["settings"]["index"]["number_of_shards"] > 1
    assert body["settings"]["index"]["mapping"]["ignore_malformed"] is False


def test_a_view_is_made_once_behind_its_filtered_alias(elasticsearch: Elasticsearch, view: LatestView) -> None:
    assert outcomes(elasticsearch, view) == [Outcome.ABSENT, Outcome.INSTALLED, Outcome.UNCHANGED]
    assert outcomes(elasticsearch, view) == [Outcome.UNCHANGED] * 3
    present = find_view(elasticsearch, view)
    assert present is not None
    assert present.shown == view.shown


def test_before_a_write_an_absent_view_is_made_and_an_old_one_is_left(
    elasticsearch: Elasticsearch, view: LatestView
) -> None:
    made, _ = ensure_view(elasticsearch, view, ISSUE)
    assert made.shown == view.shown
    assert ensure_view(elasticsearch, view, grown(Field("wiz.issue.added", "keyword", "", "")))[0] == made


def test_an_index_without_its_alias_gets_it_back(elasticsearch: Elasticsearch, view: LatestView) -> None:
    install_views(elasticsearch, [(view, ISSUE)])
    elasticsearch.indices.delete_alias(index=view.index, name=view.alias)
    assert outcomes(elasticsearch, view)[:1] == [Outcome.OUTDATED]
    elasticsearch.indices.delete_alias(index=view.index, name=view.alias)
    assert ensure_view(elasticsearch, view, ISSUE)[0].shown == view.shown


def test_another_filter_is_put_right(elasticsearch: Elasticsearch, view: LatestView) -> None:
    install_views(elasticsearch, [(replace(view, shown={"match_all": {}}), ISSUE)])
    assert outcomes(elasticsearch, view) == [Outcome.OUTDATED, Outcome.INSTALLED, Outcome.UNCHANGED]


def test_an_index_that_exists_gets_new_fields(elasticsearch: Elasticsearch, view: LatestView) -> None:
    install_views(elasticsearch, [(view, ISSUE)])
    more = grown(Field("wiz.issue.added", "keyword", "", ""))
    assert outcomes(elasticsearch, view, more) == [Outcome.OUTDATED, Outcome.INSTALLED, Outcome.UNCHANGED]
    mapping = elasticsearch.indices.get_mapping(index=view.index)[view.index]["mappings"]["properties"]
    assert mapping["wiz"]["properties"]["issue"]["properties"]["added"]["type"] == "keyword"


def test_a_field_of_another_type_asks_for_a_rebuild(elasticsearch: Elasticsearch, view: LatestView) -> None:
    install_views(elasticsearch, [(view, ISSUE)])
    changed = grown(Field("wiz.issue.severity", "long", "", ""))
    (done,) = install_views(elasticsearch, [(view, changed)])
    assert any("delete it and materialize every day of wiz/latest/issue" in warning for warning in done.warnings)
    (found,) = inspect_views(elasticsearch, [(view, changed)])
    assert found.outcome is Outcome.OUTDATED


def test_an_index_of_somebody_else_behind_the_alias_is_named(elasticsearch: Elasticsearch, view: LatestView) -> None:
    foreign = f"{view.alias}-v3"
    elasticsearch.indices.create(index=foreign, aliases={view.alias: {}})
    pairs = [(view, ISSUE)]
    for done in (*install_views(elasticsearch, pairs), *inspect_views(elasticsearch, pairs)):
        assert any(foreign in warning and "twice" in warning for warning in done.warnings)
    assert foreign in " ".join(ensure_view(elasticsearch, view, ISSUE)[1])
