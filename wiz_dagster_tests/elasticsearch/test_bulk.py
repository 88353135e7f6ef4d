"""What the bulk writer does when Elasticsearch is busy, partly refuses or goes silent: every operation gets its end."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch import bulk
from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.bulk_batch import Rejection
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.elasticsearch.partition_helpers import AT_ONCE
from wiz_dagster_tests.elasticsearch.scripted_bulk import Fault, ScriptedBulk, scripted_bulk

IDS = [f"d{number}" for number in range(10)]


@contextmanager
def _client(server: ScriptedBulk) -> Iterator[Elasticsearch]:
    with scripted_bulk(server), connect(ElasticsearchSettings(url=server.url)) as client:
        yield client


def _write(
    server: ScriptedBulk, ids: list[str] = IDS, document: bytes = b'{"a":1}', backoff: Backoff = AT_ONCE
) -> tuple[BulkWriter, list[Rejection]]:
    rejections: list[Rejection] = []
    with _client(server) as client:
        writer = BulkWriter(client, "stream", rejections.append, stream_only=True, backoff=backoff)
        with writer:
            for one in ids:
                writer.create(one, document)
    return writer, rejections


def test_everything_is_sent_in_one_compressed_request_that_only_a_data_stream_takes() -> None:
    server = ScriptedBulk()
    writer, rejections = _write(server)
    assert list(server.documents) == IDS
    assert (writer.counts.created, writer.counts.requests, rejections) == (10, 1, [])
    (query,) = server.queries
    assert query["require_data_stream"] == ["true"]
    assert query["pipeline"] == ["_none"]
    assert "items.*.failure_store" in query["filter_path"][0]


def test_only_the_operations_that_were_too_many_are_sent_again() -> None:
    busy = {"status": 429, "error": {"type": "es_rejected_execution_exception"}}
    server = ScriptedBulk([Fault(items={"d3": busy, "d7": busy}), Fault(items={"d7": busy})])
    writer, rejections = _write(server)
    assert server.requests == [IDS, ["d3", "d7"], ["d7"]]
    assert set(server.documents) == set(IDS)
    assert (writer.counts.created, writer.counts.retried, rejections) == (10, 3, [])


def test_a_refused_document_is_rejected_with_its_reason_and_the_others_land() -> None:
    error = {"type": "document_parsing_exception", "reason": "bad field", "caused_by": {"reason": "for value x"}}
    writer, rejections = _write(ScriptedBulk([Fault(items={"d4": {"status": 400, "error": error}})]))
    ((operation, status, kind, reason),) = rejections
    assert (operation.id, status, kind, reason) == ("d4", 400, "document_parsing_exception", "bad field; for value x")
    assert (writer.counts.created, writer.counts.rejected) == (9, 1)


def test_a_document_in_the_failure_store_is_no_success() -> None:
    writer, rejections = _write(ScriptedBulk([Fault(items={"d1": {"status": 201, "failure_store": "used"}})]))
    assert [rejection.operation.id for rejection in rejections] == ["d1"]
    assert (writer.counts.created, writer.counts.redirected) == (9, 1)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_request_that_fails_for_the_moment_is_sent_again_whole(status: int) -> None:
    server = ScriptedBulk([Fault(status), Fault(status)])
    writer, _ = _write(server)
    assert server.requests == [IDS, IDS, IDS]
    assert writer.counts.created == 10


def test_a_lost_answer_leaves_each_document_once() -> None:
    server = ScriptedBulk([Fault(lose_answer=True)])
    writer, rejections = _write(server)
    assert set(server.documents) == set(IDS)
    assert (writer.counts.created, writer.counts.already_there, rejections) == (0, 10, [])


def test_too_large_a_request_is_halved_and_the_next_ones_are_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "IN_FLIGHT", 1)
    monkeypatch.setattr(bulk, "BATCH_OPERATIONS", 8)
    server = ScriptedBulk(refuses=lambda body: 413 if len(body) > 200 else 0)
    writer, rejections = _write(server, [f"d{number}" for number in range(40)])
    assert (len(server.documents), writer.counts.created, rejections) == (40, 40, [])
    refused = [names for names in server.requests if len(names) == 8]
    assert 1 <= len(refused) <= 3


def test_a_single_document_that_is_too_large_is_rejected() -> None:
    server = ScriptedBulk(refuses=lambda body: 413 if b"d5" in body else 0)
    writer, rejections = _write(server)
    assert [(rejection.operation.id, rejection.status) for rejection in rejections] == [("d5", 413)]
    assert writer.counts.created == 9


def test_a_request_refused_for_one_document_is_narrowed_down_to_it() -> None:
    server = ScriptedBulk(refuses=lambda body: 400 if b'"d6"' in body else 0)
    writer, rejections = _write(server)
    assert [rejection.operation.id for rejection in rejections] == ["d6"]
    assert writer.counts.created == 9


@pytest.mark.parametrize(("status", "words"), [(401, "ELASTICSEARCH_API_KEY"), (403, "role"), (404, "404")])
def test_a_request_that_is_not_allowed_ends_the_write_at_once(status: int, words: str) -> None:
    server = ScriptedBulk(refuses=lambda body: status)
    with pytest.raises(PermanentError, match=words):
        _write(server)
    assert len(server.requests) == 1


def test_an_item_that_is_not_allowed_ends_the_write_at_once() -> None:
    block = {"status": 403, "error": {"type": "cluster_block_exception", "reason": "read-only"}}
    with pytest.raises(PermanentError, match="cluster_block_exception"):
        _write(ScriptedBulk([Fault(items={"d0": block})]))


def test_elasticsearch_that_stays_busy_or_away_is_given_up_as_transient() -> None:
    server = ScriptedBulk(refuses=lambda body: 503)
    with pytest.raises(TransientError, match="10 operations"):
        _write(server)
    assert len(server.requests) == AT_ONCE.attempts
    with (
        connect(ElasticsearchSettings(url=server.url)) as client,
        pytest.raises(TransientError, match="reached"),
        BulkWriter(client, "stream", lambda rejection: None, backoff=AT_ONCE) as writer,
    ):
        writer.create("d1", b"{}")


def test_deleting_what_is_gone_already_is_fine() -> None:
    server = ScriptedBulk(documents={"d1": {}})
    with _client(server) as client, BulkWriter(client, "stream", lambda rejection: None, backoff=AT_ONCE) as writer:
        writer.delete("index", "d1")
        writer.delete("index", "d2")
    assert (writer.counts.deleted, writer.counts.already_gone, server.documents) == (1, 1, {})


def test_requests_are_cut_by_bytes_and_count_and_no_more_than_allowed_fly_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "BATCH_OPERATIONS", 5)
    monkeypatch.setattr(bulk, "BATCH_BYTES", 10_000)
    server = ScriptedBulk(seconds=0.02)
    _write(server, [f"d{number}" for number in range(100)])
    assert [len(names) for names in server.requests] == [5] * 20
    assert server.most_at_once == bulk.IN_FLIGHT
    large = ScriptedBulk()
    _write(large, IDS, b'{"text":"%b"}' % (b"x" * 4_000))
    assert sorted(len(names) for names in large.requests) == [2] * 5


def test_an_error_in_the_feeder_waits_for_no_retry() -> None:
    server = ScriptedBulk(refuses=lambda body: 503)
    with (
        _client(server) as client,
        pytest.raises(KeyError),
        BulkWriter(client, "stream", lambda rejection: None, backoff=Backoff(9, 3600, 3600)) as writer,
    ):
        writer.create("d1", b"{}")
        writer._dispatch()
        raise KeyError
