"""Index templates on the real node: what installing does, and what the mapping does to documents."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import Field
from wiz_dagster.elasticsearch.mappings import FALLBACKS, types
from wiz_dagster.elasticsearch.templates import Outcome, ensure, index_template, install, template_name

FIELDS = (
    Field("@timestamp", "date", "", ""),
    Field("data_stream.type", "constant_keyword", "", ""),
    Field("data_stream.namespace", "constant_keyword", "", ""),
    Field("message", "match_only_text", "", ""),
    Field("event.original", "keyword", "", ""),
    Field("source.ip", "ip", "", ""),
    Field("wiz.text", "keyword", "", ""),
    Field("wiz.open", "flattened", "", ""),
    Field("wiz.rules", "nested", "", ""),
    Field("wiz.rules.name", "keyword", "", ""),
)


@dataclass(frozen=True)
class SmallDataset(Dataset):
    """A dataset with a few fields of every kind."""

    few: tuple[Field, ...] = FIELDS

    def fields(self) -> tuple[Field, ...]:
        return self.few


@pytest.fixture
def dataset(elasticsearch: Elasticsearch) -> Iterator[SmallDataset]:
    """A dataset of its own for a test; its template goes afterwards."""
    values = {name: getattr(DATASETS[0], name) for name in DATASETS[0].__dataclass_fields__}
    small = SmallDataset(**{**values, **dict.fromkeys(("name", "stream"), f"small{uuid.uuid4().hex[:10]}")})
    yield small
    cleaning = elasticsearch.options(ignore_status=(400, 404, 405))  # the sandbox's build can't delete a stream
    cleaning.indices.delete_data_stream(name=stream_of(small))
    cleaning.indices.delete_index_template(name=template_name(small))


def write(client: Elasticsearch, stream: str, document: dict[str, Any]) -> dict[str, Any]:
    body = b'{"create":{}}\n' + orjson.dumps({"@timestamp": "2026-01-01T00:00:00Z", **document}) + b"\n"
    answer = client.bulk(operations=body, index=stream, require_data_stream=True, refresh=True)
    item: dict[str, Any] = answer["items"][0]["create"]
    return item


def count(client: Elasticsearch, stream: str, query: dict[str, Any]) -> int:
    return int(client.count(index=stream, query=query)["count"])


def stream_of(dataset: Dataset) -> str:
    return f"logs-wiz.{dataset.name}-test"


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_every_field_of_a_dataset_is_mapped_in_its_type(dataset: Dataset) -> None:
    properties = index_template(dataset)["template"]["mappings"]["properties"]
    for field in dataset.fields():
        definition: dict[str, Any] = {"properties": properties}
        for name in field.name.split("."):
            definition = definition["properties"][name]
        if field.name not in {"event.module", "event.dataset"}:
            assert definition["type"] == field.type, field.name


def test_only_a_change_is_written(elasticsearch: Elasticsearch, dataset: SmallDataset) -> None:
    outcomes = [
        install(elasticsearch, [dataset], {dataset.name: retention})[0].outcome for retention in ("90d", "90d", None)
    ]
    assert outcomes == [Outcome.INSTALLED, Outcome.UNCHANGED, Outcome.INSTALLED]


def test_a_stream_keeps_its_data_as_long_as_asked(elasticsearch: Elasticsearch, dataset: SmallDataset) -> None:
    install(elasticsearch, [dataset], {dataset.name: "90d"})
    found = elasticsearch.indices.get_index_template(name=template_name(dataset))["index_templates"][0]
    assert found["index_template"]["template"]["lifecycle"]["data_retention"] == "90d"


def test_before_a_write_only_an_absent_template_is_installed(
    elasticsearch: Elasticsearch, dataset: SmallDataset
) -> None:
    assert ensure(elasticsearch, dataset, "90d").outcome is Outcome.INSTALLED
    assert ensure(elasticsearch, dataset, "30d").outcome is Outcome.UNCHANGED
    assert install(elasticsearch, [dataset], {dataset.name: "90d"})[0].outcome is Outcome.UNCHANGED


def test_a_template_of_elastics_integration_is_respected(elasticsearch: Elasticsearch, dataset: SmallDataset) -> None:
    name = f"logs-wiz.{dataset.name}"
    elasticsearch.indices.put_index_template(
        name=name, index_patterns=[f"{name}-*"], data_stream={}, priority=200, meta={"package": {"name": "wiz"}}
    )
    try:
        for done in (*install(elasticsearch, [dataset], {}), ensure(elasticsearch, dataset, None)):
            assert (done.outcome, done.template) == (Outcome.RESPECTED, name)
            assert "Elastic's integration" in done.warnings[0]
        assert not elasticsearch.indices.exists_index_template(name=template_name(dataset))
    finally:
        elasticsearch.indices.delete_index_template(name=name)


def test_a_type_that_the_server_lacks_falls_back_with_a_warning(
    elasticsearch: Elasticsearch, dataset: SmallDataset
) -> None:
    done = install(elasticsearch, [dataset], {})[0]
    found = elasticsearch.indices.get_index_template(name=template_name(dataset))["index_templates"][0]
    there = types(found["index_template"]["template"]["mappings"])
    assert there.isdisjoint(done.fallbacks)
    assert {str(FALLBACKS[kind]["type"]) for kind in done.fallbacks} <= there
    assert len(done.warnings) == len(done.fallbacks)
    assert (
        write(elasticsearch, stream_of(dataset), {"message": "some words", "data_stream": {"type": "logs"}})["status"]
        == 201
    )
    assert count(elasticsearch, stream_of(dataset), {"match": {"message": "words"}}) == 1


def test_a_new_field_is_searchable_without_a_rollover(elasticsearch: Elasticsearch, dataset: SmallDataset) -> None:
    stream = stream_of(dataset)
    install(elasticsearch, [dataset], {})
    write(elasticsearch, stream, {"wiz": {"added": "x"}, "data_stream": {"type": "logs", "namespace": "test"}})
    assert count(elasticsearch, stream, {"term": {"wiz.added": "x"}}) == 0
    grown = replace(dataset, few=(*FIELDS, Field("wiz.added", "keyword", "", "")))
    assert install(elasticsearch, [grown], {})[0].outcome is Outcome.INSTALLED
    write(elasticsearch, stream, {"wiz": {"added": "x"}})
    assert count(elasticsearch, stream, {"term": {"wiz.added": "x"}}) == 1
    assert len(elasticsearch.indices.resolve_index(name=stream)["data_streams"]) == 1


def test_a_field_of_another_type_waits_for_the_rollover(elasticsearch: Elasticsearch, dataset: SmallDataset) -> None:
    install(elasticsearch, [dataset], {})
    write(elasticsearch, stream_of(dataset), {"wiz": {"text": "a"}})
    changed = replace(dataset, few=(*FIELDS, Field("wiz.text", "long", "", "")))
    done = install(elasticsearch, [changed], {})[0]
    assert done.outcome is Outcome.INSTALLED
    assert any("next rollover" in warning for warning in done.warnings)
    elasticsearch.indices.rollover(alias=stream_of(dataset))
    write(elasticsearch, stream_of(dataset), {"wiz": {"text": 7}})
    assert count(elasticsearch, f"{stream_of(dataset)}", {"range": {"wiz.text": {"gte": 7, "lte": 7}}}) >= 1


def test_overlong_deep_and_unknown_values_are_kept(elasticsearch: Elasticsearch, dataset: SmallDataset) -> None:
    install(elasticsearch, [dataset], {})
    deep: Any = "end"
    for _ in range(60):
        deep = {"k": deep}
    documents = [
        {"wiz": {"text": "㐀" * 40_000}, "event": {"original": "x" * 100_000}},
        {"wiz": {"open": {"long": "㐀" * 40_000, "deep": deep, "list": [{"a": 1}, {"a": None}]}}},
        {"wiz": {"unheard_of": {"at": "no date"}, "rules": [{"name": "a"}, {"name": "b", "more": 1}]}},
        {"source": {"ip": ["10.0.0.1", "2001:db8::1"]}},
    ]
    assert [write(elasticsearch, stream_of(dataset), document)["status"] for document in documents] == [201] * 4
    assert count(elasticsearch, stream_of(dataset), {"exists": {"field": "wiz.unheard_of.at"}}) == 0
    nested = {"nested": {"path": "wiz.rules", "query": {"term": {"wiz.rules.name": "b"}}}}
    assert count(elasticsearch, stream_of(dataset), nested) == 1


def test_a_value_that_does_not_fit_is_rejected_and_seen(elasticsearch: Elasticsearch, dataset: SmallDataset) -> None:
    install(elasticsearch, [dataset], {})
    item = write(elasticsearch, stream_of(dataset), {"source": {"ip": "not an address"}})
    assert item["status"] == 400
    assert item["error"]["type"] == "document_parsing_exception"
