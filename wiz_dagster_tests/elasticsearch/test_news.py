"""Writing what is new of a partition: as the full write leaves it, without a listing where that isn't needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch import reconcile
from wiz_dagster.elasticsearch.news import write_news
from wiz_dagster.elasticsearch.partition import WriteReport
from wiz_dagster.elasticsearch.reconcile import Destination, stream_name
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.elasticsearch.partition_helpers import (
    AT_ONCE,
    ISSUE,
    figures,
    issue,
    issues,
    land,
    partition_of,
    statuses,
    stored,
    write,
    zone_at,
)


@pytest.fixture
def zone(tmp_path: Path, elasticsearch: Elasticsearch, namespace: str) -> LandingZone:
    """Ten issues, landed and written."""
    zone = zone_at(tmp_path)
    land(zone, issues(10))
    write(zone, elasticsearch, namespace)
    return zone


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A day for each listing of a partition."""
    listed: list[str] = []
    real = reconcile.list_partition

    def counted(client: Elasticsearch, stream: str, day: str) -> reconcile.Listing:
        listed.append(day)
        return real(client, stream, day)

    monkeypatch.setattr(reconcile, "list_partition", counted)
    yield listed


def write_new(zone: LandingZone, client: Elasticsearch, namespace: str) -> WriteReport:
    return write_news(partition_of(zone), zone, Destination(client, namespace, "run-2", backoff=AT_ONCE))


def test_new_and_changed_nodes_are_written_without_a_listing(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, listings: list[str]
) -> None:
    land(zone, [issue(3, version=1, status="RESOLVED"), issue(10), issue(11)])
    report = write_new(zone, elasticsearch, namespace)
    assert figures(report) == {"created": 3, "unchanged": 9, "deleted": 1}
    assert (report.nodes, report.documents, report.documents_in_elasticsearch) == (12, 12, 12)
    found = statuses(stored(elasticsearch, namespace))
    assert len(found) == 12
    assert found["issue-3"] == "RESOLVED"
    assert listings == []
    assert figures(write(zone, elasticsearch, namespace)) == {"unchanged": 12}


def test_without_news_nothing_is_listed_or_written(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, listings: list[str]
) -> None:
    assert figures(write_new(zone, elasticsearch, namespace)) == {"unchanged": 10}
    assert listings == []


def test_a_superseded_document_goes_from_the_backing_index_it_stands_in(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str, listings: list[str]
) -> None:
    elasticsearch.indices.rollover(alias=stream_name(ISSUE, namespace))
    land(zone, [issue(3, version=1, status="RESOLVED")])
    assert figures(write_new(zone, elasticsearch, namespace)) == {"created": 1, "unchanged": 9, "deleted": 1}
    assert statuses(stored(elasticsearch, namespace))["issue-3"] == "RESOLVED"
    assert listings == []


def test_a_document_that_others_deleted_comes_back(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str
) -> None:
    hit = stored(elasticsearch, namespace)[0]
    elasticsearch.delete(index=hit["_index"], id=hit["_id"], refresh=True)
    land(zone, [issue(10)])
    assert figures(write_new(zone, elasticsearch, namespace)) == {"created": 2, "unchanged": 9}
    assert len(statuses(stored(elasticsearch, namespace))) == 11


@pytest.mark.parametrize("rolled_over", [False, True])
def test_a_write_that_was_killed_before_its_receipt_leaves_no_document_twice(
    zone: LandingZone,
    elasticsearch: Elasticsearch,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    rolled_over: bool,
) -> None:
    land(zone, [issue(number, version=1, status="RESOLVED") for number in (3, 4)])
    with monkeypatch.context() as killed:
        killed.setattr(reconcile, "write_receipt", _die)
        with pytest.raises(KeyboardInterrupt):
            write_new(zone, elasticsearch, namespace)
    if rolled_over:
        elasticsearch.indices.rollover(alias=stream_name(ISSUE, namespace))
    report = write_new(zone, elasticsearch, namespace)
    assert report.duplicates == 0
    assert report.documents_in_elasticsearch == 10
    assert statuses(stored(elasticsearch, namespace))["issue-3"] == "RESOLVED"


def test_what_others_exchanged_stays_until_a_full_write(
    zone: LandingZone, elasticsearch: Elasticsearch, namespace: str
) -> None:
    hit = stored(elasticsearch, namespace)[0]
    elasticsearch.delete(index=hit["_index"], id=hit["_id"], refresh=True)
    strange = {**hit["_source"], "event": {"id": "strange"}}
    elasticsearch.create(index=stream_name(ISSUE, namespace), id="strange", document=strange, refresh=True)
    assert figures(write_new(zone, elasticsearch, namespace)) == {"unchanged": 10}
    assert figures(write(zone, elasticsearch, namespace)) == {"created": 1, "unchanged": 9, "deleted": 1}


def _die(*_: object) -> None:
    raise KeyboardInterrupt
