"""TLS, logins and the two roles with the least privileges, on a real secure node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from wiz_dagster.datasets import DATASETS
from wiz_dagster.elasticsearch.client import connect, server_version, translated
from wiz_dagster.elasticsearch.roles import ROLES
from wiz_dagster.elasticsearch.templates import Outcome, ensure, install
from wiz_dagster.errors import PermanentError
from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode, available
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import Pipeline, documents_of, pipeline_over, small_tenant

STREAM = "logs-wiz.audit-secure"
RETENTION = {"audit": "400d"}
DOCUMENT = b'{"create":{"_id":"1"}}\n{"@timestamp":"2026-01-01T00:00:00Z"}\n'


@pytest.fixture(scope="module")
def node() -> Iterator[ElasticsearchNode]:
    reason = available()
    if reason:
        pytest.skip(f"no Elasticsearch: {reason}")
    with ElasticsearchNode(secure=True) as running:
        yield running


def login(node: ElasticsearchNode, user: str, password: str) -> Elasticsearch:
    return connect(
        ElasticsearchSettings(url=node.url, username=user, password=SecretStr(password), ca_certs=node.ca_certs)
    )


@pytest.fixture(scope="module")
def setup(node: ElasticsearchNode) -> Iterator[Elasticsearch]:
    assert node.security
    with login(node, node.security.setup_user, node.security.setup_password) as client:
        yield client


@pytest.fixture(scope="module")
def run(node: ElasticsearchNode) -> Iterator[Elasticsearch]:
    assert node.security
    with login(node, node.security.run_user, node.security.run_password) as client:
        yield client


def test_the_run_role_alone_is_told_that_setup_comes_first(run: Elasticsearch) -> None:
    with pytest.raises(PermanentError, match=r"403.*manage_index_templates.*docs/elasticsearch\.md"):
        ensure(run, DATASETS[-1], None)


def test_setup_installs_and_a_run_writes_reads_and_deletes(setup: Elasticsearch, run: Elasticsearch) -> None:
    assert {done.outcome for done in install(setup, DATASETS, RETENTION)} == {Outcome.INSTALLED}
    assert ensure(run, DATASETS[0], None).outcome is Outcome.UNCHANGED
    created = run.bulk(operations=DOCUMENT, index=STREAM, require_data_stream=True, pipeline="_none")["items"][0]
    run.indices.refresh(index=STREAM)
    point = run.open_point_in_time(index=STREAM, keep_alive="1m")["id"]
    hits = run.search(pit={"id": point, "keep_alive": "1m"})["hits"]["hits"]
    run.close_point_in_time(id=point)
    assert [hit["_id"] for hit in hits] == ["1"]
    assert run.indices.resolve_index(name=STREAM)["data_streams"][0]["name"] == STREAM
    setup.indices.rollover(alias=STREAM)
    delete = json.dumps({"delete": {"_index": created["create"]["_index"], "_id": "1"}}).encode() + b"\n"
    assert run.bulk(operations=delete)["items"][0]["delete"]["result"] == "deleted"


def test_whole_runs_need_no_more_than_the_run_role_over_tls(
    node: ElasticsearchNode, setup: Elasticsearch, run: Elasticsearch, namespace: str, tmp_path: Path
) -> None:
    assert node.security
    install(setup, DATASETS, RETENTION)
    login_of_runs = {
        "ELASTICSEARCH_URL": node.url,
        "ELASTICSEARCH_USERNAME": node.security.run_user,
        "ELASTICSEARCH_PASSWORD": node.security.run_password,
        "ELASTICSEARCH_CA_CERTS": str(node.ca_certs),
        "WIZ_NAMESPACE": namespace,
    }
    with pipeline_over(small_tenant(), tmp_path, login_of_runs) as (pipeline, _):
        first, second = pipeline.run("audit"), pipeline.run("audit")
        assert first.success, first.errors
        assert first.ecs["es/created"] == len(documents_of(run, "audit", namespace)) > 0
        assert (second.success, second.ecs["es/created"], second.ecs["es/deleted"]) == (True, 0, 0)
        wrong = Pipeline({**pipeline.environment, "ELASTICSEARCH_PASSWORD": "not-the-password"})
        refused = wrong.run("audit", only="ecs")
    assert not refused.success
    assert re.search(r"401.*ELASTICSEARCH_USERNAME", refused.errors)
    assert "not-the-password" not in refused.errors


def test_setup_renews_the_fields_of_a_stream_that_exists(setup: Elasticsearch) -> None:
    assert install(setup, DATASETS[:1], {})[0].outcome is Outcome.INSTALLED


def test_a_run_keeps_a_latest_view_that_setup_made(setup: Elasticsearch, run: Elasticsearch) -> None:
    index = "security_solution-wiz.vulnerability_latest-test"
    properties = {"mappings": {"properties": {"shown": {"type": "boolean"}}}}
    setup.indices.create(index=index, mappings=properties["mappings"])
    setup.indices.put_alias(index=index, name="security_solution-wiz.vulnerability_latest")
    action = {"index": {"_index": index, "_id": "1", "version": 5, "version_type": "external_gte"}}
    body = json.dumps(action).encode() + b'\n{"shown":true}\n'
    assert run.bulk(operations=body)["items"][0]["index"]["status"] == 201
    run.indices.refresh(index=index)
    assert run.count(index="security_solution-wiz.vulnerability_latest")["count"] == 1


def test_setup_cannot_read_documents(setup: Elasticsearch) -> None:
    with pytest.raises(PermanentError, match="403"), translated():
        setup.search(index=STREAM)


def test_a_run_reaches_nothing_else(run: Elasticsearch) -> None:
    with pytest.raises(PermanentError, match=r"403.*\[other\]"), translated():
        run.index(index="other", document={})


def test_a_wrong_password_names_the_settings(node: ElasticsearchNode) -> None:
    with (
        login(node, "wiz-run", "wrong-password") as client,
        pytest.raises(PermanentError, match=r"401.*ELASTICSEARCH_API_KEY.*ELASTICSEARCH_PASSWORD") as caught,
    ):
        server_version(client)
    assert "wrong-password" not in str(caught.value)


def test_an_unknown_authority_names_the_setting(node: ElasticsearchNode) -> None:
    with (
        connect(ElasticsearchSettings(url=node.url)) as client,
        pytest.raises(PermanentError, match=r"certificate.*ELASTICSEARCH_CA_CERTS"),
    ):
        server_version(client)


def test_plain_http_to_a_tls_server_is_an_error_in_our_words(node: ElasticsearchNode) -> None:
    with (
        connect(ElasticsearchSettings(url=node.url.replace("https", "http"))) as client,
        pytest.raises(Exception, match="ELASTICSEARCH_URL"),
    ):
        server_version(client)


def test_the_document_shows_the_roles_that_are_tested() -> None:
    text = (Path(__file__).parents[2] / "docs" / "elasticsearch.md").read_text()
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert shown == list(ROLES.values())
