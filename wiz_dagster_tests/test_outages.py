"""What a run does when one side of it is away or refuses: what is said, what is kept, and that a later run mends it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.datasets import dataset_named
from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.elasticsearch.reconcile import stream_name
from wiz_dagster.installation import set_up
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.landed_day import LandedBatch, LandedDay
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode, available
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import nodes_of_day
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import (
    NOW,
    YESTERDAY,
    Pipeline,
    documents_of,
    file_documents,
    pipeline_over,
    small_tenant,
)

UNWRITABLE = "/sys/wiz-landing"
"""Nobody may make a folder there, root included."""
IMPOSSIBLE = "/proc/wiz-landing"
"""No folder can exist there, whoever asks."""
WITHOUT_WIZ = ("WIZ_LANDING_URL", "WIZ_START_DATE", "WIZ_NAMESPACE", "WIZ_DESTINATION")
FILES = {"WIZ_DESTINATION": "files"}


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return small_tenant()


@pytest.fixture
def to_elasticsearch(elasticsearch_settings: ElasticsearchSettings, namespace: str) -> dict[str, str]:
    return {"ELASTICSEARCH_URL": elasticsearch_settings.url, "WIZ_NAMESPACE": namespace}


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address where nothing answers, and where nothing else can start to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def ids(tenant: Tenant, dataset: str) -> list[str]:
    return sorted(node["id"] for node in nodes_of_day(tenant, dataset, YESTERDAY))


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def written(home: Path) -> dict[str, dict[str, Any]]:
    """The issues in the file, by id."""
    return {document["event"]["id"]: document for document in file_documents(home, "issue")}


# Elasticsearch


def test_a_day_fetched_while_elasticsearch_was_away_is_written_later_without_wiz(
    tenant: Tenant,
    tmp_path: Path,
    to_elasticsearch: dict[str, str],
    elasticsearch: Elasticsearch,
    namespace: str,
    nowhere: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Backoff, "pause", lambda *_: 0.0)
    away = {**to_elasticsearch, "ELASTICSEARCH_URL": nowhere}
    with pipeline_over(tenant, tmp_path, away) as (pipeline, wiz):
        run = pipeline.run("issue")
        assert not run.success
        assert run.raw["dagster/partition_row_count"] == len(ids(tenant, "issue"))
        assert "Elasticsearch can't be reached (Connection refused): check ELASTICSEARCH_URL" in run.errors
        asked = len(wiz.requests)

    known = {name: text for name, text in pipeline.environment.items() if name in WITHOUT_WIZ}
    run = Pipeline({**known, **to_elasticsearch}).run("issue", only="ecs")
    assert run.success, run.errors
    assert len(wiz.requests) == asked
    hits = documents_of(elasticsearch, "issue", namespace)
    assert sorted(hit["_source"]["event"]["id"] for hit in hits) == ids(tenant, "issue")


def given_an_odd_issue(odd: Callable[[dict[str, Any]], None]) -> tuple[Tenant, list[str], str]:
    """A tenant of one day's issues of which one was made odd; the ids of all and its own."""
    nodes = [json.loads(json.dumps(node)) for node in nodes_of_day(small_tenant(), "issue", YESTERDAY)]
    changed = next(node for node in nodes if node.get("sourceRules"))
    odd(changed)
    return Tenant(now=NOW, given={"issue": nodes}), sorted(node["id"] for node in nodes), changed["id"]


def with_an_endless_key(node: dict[str, Any]) -> None:
    """Longer than a term may be; there is no other place for it."""
    node["entitySnapshot"]["tags"] = {"key" * 12_000: "a value of the tenant"}


def without_a_list(node: dict[str, Any]) -> None:
    node["sourceRules"][0]["securitySubCategories"] = "a text where a list of objects is due"


def test_one_refused_document_costs_the_others_nothing_and_is_named(
    tmp_path: Path, to_elasticsearch: dict[str, str], elasticsearch: Elasticsearch, namespace: str
) -> None:
    given, all_ids, odd = given_an_odd_issue(with_an_endless_key)
    with pipeline_over(given, tmp_path, to_elasticsearch) as (pipeline, _):
        run = pipeline.run("issue")
    assert run.success, run.errors
    assert (run.ecs["es/created"], run.ecs["es/rejected"], run.ecs["es/refitted"]) == (len(all_ids) - 1, 1, 0)
    hits = documents_of(elasticsearch, "issue", namespace)
    assert {hit["_source"]["event"]["id"] for hit in hits} == set(all_ids) - {odd}

    zone = LandingZone(open_store(pipeline.environment["WIZ_LANDING_URL"]), None)
    (letter,) = read_dead_letters(zone, "issue", YESTERDAY, namespace)
    assert json.loads(letter.document or b"")["event"]["id"] == odd
    assert "entity_snapshot.tags" in letter.reason

    check = run.checks["no_rejections"]
    assert not check.passed
    assert check.description is not None
    assert letter.id in check.description
    assert "entity_snapshot.tags" in check.description
    assert "a value of the tenant" not in str(check)
    assert all(run.checks[name].passed for name in ("complete", "no_duplicates"))


def test_a_document_refused_for_one_value_lands_with_that_value_set_aside_and_the_next_run_sends_nothing(
    tmp_path: Path, to_elasticsearch: dict[str, str], elasticsearch: Elasticsearch, namespace: str
) -> None:
    given, all_ids, odd = given_an_odd_issue(without_a_list)
    with pipeline_over(given, tmp_path, to_elasticsearch) as (pipeline, _):
        run = pipeline.run("issue")
        again = pipeline.run("issue", only="ecs")
    assert run.success, run.errors
    assert (run.ecs["es/created"], run.ecs["es/rejected"], run.ecs["es/refitted"]) == (len(all_ids), 0, 1)
    assert run.latest["latest/refitted"] == 1
    assert (again.ecs["es/created"], again.ecs["es/bytes"], again.ecs["es/unchanged"]) == (0, 0, len(all_ids))

    path = "wiz.issue.source_rules.security_sub_categories"
    stream = stream_name(dataset_named("issue"), namespace)
    query = {"term": {f"wiz.issue.unmapped.{path}": "a text where a list of objects is due"}}
    (found,) = elasticsearch.search(index=stream, query=query)["hits"]["hits"]
    assert found["_source"]["event"]["id"] == odd
    for each in (run, again):
        rows = [record.data for record in each.ecs["drift_by_field"].records]
        assert {"kind": "wrong type", "field": path, "value": "", "times": "1"} in rows
        assert not each.checks["drift"].passed
        assert all(each.checks[name].passed for name in ("complete", "no_duplicates", "no_rejections"))
    assert all(check.passed for check in run.latest_checks.values())


def test_the_first_run_on_a_cluster_installs_the_template_with_the_retention_of_the_settings(
    tenant: Tenant, tmp_path: Path
) -> None:
    if reason := available():
        pytest.skip(f"no Elasticsearch: {reason}")
    config = tmp_path / "wiz.yaml"
    config.write_text("datasets: {audit: {retention: 17d}}")
    with ElasticsearchNode() as fresh, connect(ElasticsearchSettings(url=fresh.url)) as client:
        settings = {"ELASTICSEARCH_URL": fresh.url, "WIZ_CONFIG": str(config)}
        with pipeline_over(tenant, tmp_path, settings) as (pipeline, _):
            assert pipeline.run("audit").success
        (found,) = client.indices.get_index_template(name="wiz-dagster-audit")["index_templates"]
        assert found["index_template"]["template"]["lifecycle"]["data_retention"] == "17d"
        assert "index template wiz-dagster-audit: unchanged" in list(set_up(settings))


def test_options_of_one_run_replace_the_documents_in_elasticsearch(
    tenant: Tenant, tmp_path: Path, to_elasticsearch: dict[str, str], elasticsearch: Elasticsearch, namespace: str
) -> None:
    with pipeline_over(tenant, tmp_path, to_elasticsearch) as (pipeline, _):
        assert pipeline.run("audit").success
        config = {"tags": ["trial"], "preserve_original_event": True}
        run = pipeline.run("audit", only="ecs", config={"wiz__audit": {"config": config}})
    assert run.success, run.errors
    assert run.ecs["es/created"] == run.ecs["es/deleted"] == len(ids(tenant, "audit"))
    documents = [hit["_source"] for hit in documents_of(elasticsearch, "audit", namespace)]
    assert {tuple(document["tags"]) for document in documents} == {("trial",)}
    originals = [json.loads(document["event"]["original"]) for document in documents]
    assert sorted(node["id"] for node in originals) == ids(tenant, "audit")


# The landing zone


@pytest.mark.parametrize(
    ("url", "advice"),
    [(UNWRITABLE, "access is refused; give this user"), (IMPOSSIBLE, "no folder can be made there; choose another")],
)
def test_a_landing_zone_that_refuses_writes_ends_the_run_in_one_sentence(
    tenant: Tenant, tmp_path: Path, url: str, advice: str
) -> None:
    with pipeline_over(tenant, tmp_path, {**FILES, "WIZ_LANDING_URL": url}) as (pipeline, wiz):
        run = pipeline.run("issue")
        assert not run.success
        assert f"in {url} (WIZ_LANDING_URL): {advice}" in run.errors
        assert not wiz.requests


def test_a_landing_zone_that_ceases_to_take_parts_shows_nothing_of_the_day(tenant: Tenant, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    with pipeline_over(tenant, tmp_path, FILES) as (pipeline, _):
        assert pipeline.run("audit").success
        before = {path: path.read_bytes() for path in files_below(landing)}
        (landing / "issue").write_text("")
        run = pipeline.run("issue")
        assert not run.success
        assert "(WIZ_LANDING_URL): a file stands where a folder is needed" in run.errors
        (landing / "issue").unlink()
        assert {path: path.read_bytes() for path in files_below(landing)} == before
        run = pipeline.run("issue", only="ecs")
        assert "was never landed" in run.errors
        assert "materialize wiz/raw/issue first" in run.errors
        assert pipeline.run("issue").success
    assert sorted(written(tmp_path)) == ids(tenant, "issue")


# Settings


def test_all_settings_of_wiz_that_are_missing_are_named_in_one_sentence(tmp_path: Path) -> None:
    run = Pipeline({**FILES, "WIZ_LANDING_URL": str(tmp_path / "landing")}).run("issue", only="raw")
    assert not run.success
    assert (
        "WIZ_CLIENT_ID: is not set; set it in the environment; WIZ_API_URL: is not set; set it in the environment; "
        "WIZ_CLIENT_SECRET: is not set; set it in the environment."
    ) in run.errors
    assert not (tmp_path / "landing").exists()


@pytest.mark.parametrize("files", [True, False], ids=["to files", "to Elasticsearch"])
def test_a_node_that_gets_lost_on_the_way_to_its_document_fails_the_check(
    tenant: Tenant,
    tmp_path: Path,
    to_elasticsearch: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    files: bool,
) -> None:
    whole = LandedDay.batches

    def one_short(self: LandedDay, *given: Any, **named: Any) -> Iterator[LandedBatch]:
        for batch in whole(self, *given, **named):
            yield batch._replace(lines=batch.lines[1:], keys=batch.keys[1:])

    with pipeline_over(tenant, tmp_path, FILES if files else to_elasticsearch) as (pipeline, _):
        assert pipeline.run("audit").checks["complete"].passed
        monkeypatch.setattr(LandedDay, "batches", one_short)
        lossy = pipeline.run("issue")
    assert lossy.success
    assert not lossy.checks["complete"].passed


# Files


def test_the_files_are_written_from_a_landed_day_without_wiz(tenant: Tenant, tmp_path: Path) -> None:
    with pipeline_over(tenant, tmp_path, FILES) as (pipeline, wiz):
        assert pipeline.run("issue", only="raw").success
        asked = len(wiz.requests)
    known = {name: text for name, text in pipeline.environment.items() if name in WITHOUT_WIZ}
    run = Pipeline(known).run("issue", only="ecs")
    assert run.success, run.errors
    assert len(wiz.requests) == asked
    assert sorted(written(tmp_path)) == ids(tenant, "issue")
    assert set(run.checks) == {"complete", "drift"}
    assert run.checks["complete"].passed


def test_files_that_cannot_be_written_leave_the_earlier_ones(tenant: Tenant, tmp_path: Path) -> None:
    with pipeline_over(tenant, tmp_path, FILES) as (pipeline, _):
        assert pipeline.run("issue").success
        folder = tmp_path / "landing" / "documents" / "default" / "issue"
        kept = {path.name: path.read_bytes() for path in folder.iterdir()}
        folder.rename(folder.with_name("aside"))
        folder.write_text("")
        other = {"wiz__issue": {"config": {"tags": ["other"]}}}
        run = pipeline.run("issue", only="ecs", config=other)
        assert not run.success
        assert "(WIZ_LANDING_URL): a file stands where a folder is needed" in run.errors
        folder.unlink()
        folder.with_name("aside").rename(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
        assert pipeline.run("issue", only="ecs", config=other).success
    assert {tuple(document["tags"]) for document in written(tmp_path).values()} == {("other",)}
