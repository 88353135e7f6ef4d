"""A partition written to a real Elasticsearch: whatever happened before or meanwhile, it ends as what was landed."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import AuthorizationException, Elasticsearch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from wiz_dagster.elasticsearch import listing, rejections
from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.bulk_batch import Operation, Rejection
from wiz_dagster.elasticsearch.listing import Listing, list_partition
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.elasticsearch.reconcile import Destination, stream_name, write_partition
from wiz_dagster.elasticsearch.templates import ensure
from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.receipts import read_receipt
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.elasticsearch import partition_writer
from wiz_dagster_tests.elasticsearch.partition_helpers import (
    DAY,
    ISSUE,
    backing_indices,
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

OTHER_DAY = "2026-11-21"


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return zone_at(tmp_path / "landing")


@pytest.fixture
def frames_made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the generation after which frames are asked for."""
    asked: list[int] = []
    whole = EcsPartition.frames

    def frames(partition: EcsPartition, after_generation: int = 0) -> Any:
        asked.append(after_generation)
        return whole(partition, after_generation)

    monkeypatch.setattr(EcsPartition, "frames", frames)
    return asked


def _copy(client: Elasticsearch, namespace: str, hits: list[dict[str, Any]]) -> None:
    """Puts copies of documents, id included, into the stream's write index, as repeating after a rollover does."""
    stream = stream_name(ISSUE, namespace)
    for hit in hits:
        client.create(index=stream, id=hit["_id"], document=hit["_source"])


def test_a_day_is_written_with_its_lineage(elasticsearch: Elasticsearch, namespace: str, zone: LandingZone) -> None:
    land(zone, issues(5))
    report = write(zone, elasticsearch, namespace)
    assert figures(report) == {"created": 5}
    assert (report.nodes, report.documents, report.documents_in_elasticsearch) == (5, 5, 5)
    hits = stored(elasticsearch, namespace)
    assert statuses(hits) == {f"issue-{number}": "OPEN" for number in range(5)}
    source = hits[0]["_source"]
    assert source["labels"] == {"dagster_partition": DAY, "dagster_run_id": "run-1"}
    assert source["data_stream"] == {"type": "logs", "dataset": "wiz.issue", "namespace": namespace}
    assert (source["event"]["dataset"], source["event"]["module"]) == ("wiz.issue", "wiz")
    assert source["event"]["ingested"].endswith("Z")


def test_writing_twice_writes_nothing_the_second_time_and_makes_no_frames(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, frames_made: list[int]
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    before = stored(elasticsearch, namespace)
    again = write(zone, elasticsearch, namespace, run_id="run-2")
    assert figures(again) == {"unchanged": 5}
    assert (again.nodes, again.documents, again.documents_in_elasticsearch) == (5, 5, 5)
    assert stored(elasticsearch, namespace) == before
    assert frames_made == [0]


def test_a_lost_receipt_costs_work_and_changes_nothing(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, tmp_path: Path
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    for receipt in tmp_path.rglob("receipt.*"):
        receipt.unlink()
    assert figures(write(zone, elasticsearch, namespace)) == {"unchanged": 5}
    assert read_receipt(zone, "issue", DAY, namespace) is not None


def test_a_newer_version_takes_the_place_of_the_older_and_only_new_parts_are_transformed(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, frames_made: list[int]
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    land(zone, [issue(2, 1, status="RESOLVED"), issue(5)])
    report = write(zone, elasticsearch, namespace, run_id="run-2")
    assert figures(report) == {"created": 2, "unchanged": 4, "deleted": 1}
    assert frames_made == [0, 1]
    hits = stored(elasticsearch, namespace)
    assert statuses(hits)["issue-2"] == "RESOLVED"
    assert len(hits) == 6
    assert sorted(hit["_source"]["labels"]["dagster_run_id"] for hit in hits) == ["run-1"] * 4 + ["run-2"] * 2
    assert figures(write(zone, elasticsearch, namespace)) == {"unchanged": 6}


def test_an_older_version_that_comes_later_changes_nothing(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, [issue(1, 7, status="RESOLVED")])
    write(zone, elasticsearch, namespace)
    land(zone, [issue(1, 3)])
    assert figures(write(zone, elasticsearch, namespace)) == {"unchanged": 1}
    assert statuses(stored(elasticsearch, namespace)) == {"issue-1": "RESOLVED"}


def test_a_rollover_between_two_writes_makes_no_duplicates(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    elasticsearch.indices.rollover(alias=stream_name(ISSUE, namespace))
    land(zone, [*issues(5), issue(5), issue(0, 1, status="RESOLVED")])
    assert figures(write(zone, elasticsearch, namespace)) == {"created": 2, "unchanged": 4, "deleted": 1}
    assert len(statuses(stored(elasticsearch, namespace))) == 6


def test_a_rollover_in_the_middle_of_a_write_makes_no_duplicates(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    first = stored(elasticsearch, namespace)
    land(zone, [issue(5)])
    create = BulkWriter.create

    def rolled_over(writer: BulkWriter, document_id: str, document: bytes) -> None:
        elasticsearch.indices.rollover(alias=stream_name(ISSUE, namespace))
        _copy(elasticsearch, namespace, first)
        create(writer, document_id, document)

    monkeypatch.setattr(BulkWriter, "create", rolled_over)
    report = write(zone, elasticsearch, namespace)
    assert figures(report) == {"created": 1, "unchanged": 5, "deleted": 5}
    assert len(statuses(stored(elasticsearch, namespace))) == 6


def test_copies_in_later_backing_indices_are_removed_and_the_first_stays(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    first = stored(elasticsearch, namespace)
    for planted in (first[:3], first[1:2]):
        elasticsearch.indices.rollover(alias=stream_name(ISSUE, namespace))
        _copy(elasticsearch, namespace, planted)
    report = write(zone, elasticsearch, namespace)
    assert figures(report) == {"unchanged": 5, "deleted": 4}
    hits = stored(elasticsearch, namespace)
    assert len(statuses(hits)) == 5
    assert {hit["_index"] for hit in hits} == {backing_indices(elasticsearch, namespace)[0]}


def test_a_changed_option_replaces_every_document(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    assert figures(write(zone, elasticsearch, namespace, tags=["mine"])) == {"created": 5, "deleted": 5}
    assert [hit["_source"]["tags"] for hit in stored(elasticsearch, namespace)] == [["mine"]] * 5


def test_documents_that_vanished_are_written_again(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    for hit in stored(elasticsearch, namespace)[:2]:
        elasticsearch.delete(index=hit["_index"], id=hit["_id"])
    assert figures(write(zone, elasticsearch, namespace)) == {"created": 2, "unchanged": 3}


def test_documents_of_other_days_and_namespaces_are_never_touched(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    other = f"{namespace}x"
    for day in (DAY, OTHER_DAY):
        land(zone, issues(5), day)
        write(zone, elasticsearch, namespace, day=day)
    write(zone, elasticsearch, other)
    elasticsearch.index(
        index=stream_name(ISSUE, namespace), op_type="create", document={"@timestamp": DAY, "message": "not of a run"}
    )
    before = stored(elasticsearch, namespace, OTHER_DAY), stored(elasticsearch, other)
    land(zone, issues(5, version=1))
    assert figures(write(zone, elasticsearch, namespace)) == {"created": 5, "deleted": 5}
    assert (stored(elasticsearch, namespace, OTHER_DAY), stored(elasticsearch, other)) == before
    assert elasticsearch.count(index=stream_name(ISSUE, namespace))["count"] == 11


RULES = [{"__typename": "Control", "id": "r1", "name": "one"}, {"__typename": "Control", "id": "r2", "name": "two"}]


@pytest.fixture
def picky(elasticsearch: Elasticsearch, namespace: str, zone: LandingZone) -> str:
    """A namespace whose stream refuses issues with more than one source rule."""
    land(zone, [issue(0)], OTHER_DAY)
    write(zone, elasticsearch, namespace, day=OTHER_DAY)
    limit = {"index.mapping.nested_objects.limit": 1}
    elasticsearch.indices.put_settings(index=stream_name(ISSUE, namespace), settings=limit)
    return namespace


def test_a_rejected_document_is_in_the_dead_letters_while_the_others_land(
    elasticsearch: Elasticsearch, picky: str, zone: LandingZone
) -> None:
    land(zone, [*issues(4), issue(4, sourceRules=RULES)])
    report = write(zone, elasticsearch, picky)
    assert figures(report) == {"created": 4, "rejected": 1}
    assert (report.nodes, report.documents_in_elasticsearch) == (5, 4)
    (letter,) = read_dead_letters(zone, "issue", DAY, picky)
    assert letter.document is not None
    assert b"issue-4" in letter.document
    (reason,) = report.reasons
    assert (reason["id"], reason["count"]) == (letter.id, 1)
    assert "nested" in reason["reason"]

    land(zone, [issue(4, 1, sourceRules=RULES[:1])])
    assert figures(write(zone, elasticsearch, picky)) == {"created": 1, "unchanged": 4}
    assert not list(read_dead_letters(zone, "issue", DAY, picky))


def test_a_write_with_dead_letters_is_tried_again_in_full(
    elasticsearch: Elasticsearch, picky: str, zone: LandingZone, frames_made: list[int]
) -> None:
    land(zone, [*issues(4), issue(4, sourceRules=RULES)])
    frames_made.clear()
    for _ in range(2):
        write(zone, elasticsearch, picky)
    assert frames_made == [0, 0]
    assert len(list(read_dead_letters(zone, "issue", DAY, picky))) == 1


def odd_issue(number: int, version: int = 0) -> dict[str, Any]:
    """An issue of which Elasticsearch refuses a part: a text where objects are due."""
    return issue(number, version, projects=f"odd {number}")


def test_a_document_refused_for_a_value_is_stored_under_its_id_with_the_value_set_aside(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, frames_made: list[int]
) -> None:
    land(zone, [*issues(4), odd_issue(4)])
    report = write(zone, elasticsearch, namespace)
    assert (figures(report), report.refitted) == ({"created": 5}, 1)
    assert report.drift["wrong type: wiz.issue.projects"] == 1
    hits = stored(elasticsearch, namespace)
    (odd,) = [hit for hit in hits if hit["_source"]["event"]["id"] == "issue-4"]
    assert odd["_source"]["wiz"]["issue"]["unmapped"] == {"wiz.issue.projects": "odd 4"}
    assert "projects" not in odd["_source"]["wiz"]["issue"]
    assert odd["_source"]["labels"] == {"dagster_partition": DAY, "dagster_run_id": "run-1"}
    query = {"term": {"wiz.issue.unmapped.wiz.issue.projects": "odd 4"}}
    assert elasticsearch.count(index=stream_name(ISSUE, namespace), query=query)["count"] == 1
    assert not list(read_dead_letters(zone, "issue", DAY, namespace))

    again = write(zone, elasticsearch, namespace, run_id="run-2")
    assert (figures(again), again.refitted, again.bytes, again.drift) == ({"unchanged": 5}, 0, 0, report.drift)
    assert frames_made == [0]
    assert stored(elasticsearch, namespace) == hits


def test_refitted_documents_are_neither_sent_nor_made_again_without_the_receipt(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, tmp_path: Path
) -> None:
    land(zone, [issue(0), odd_issue(1)])
    write(zone, elasticsearch, namespace)
    before = stored(elasticsearch, namespace)
    for receipt in tmp_path.rglob("receipt.*"):
        receipt.unlink()
    report = write(zone, elasticsearch, namespace)
    assert (figures(report), report.bytes) == ({"unchanged": 2}, 0)
    assert stored(elasticsearch, namespace) == before


def test_any_number_of_documents_may_be_made_to_fit(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "MOST_REJECTIONS", 3)
    land(zone, [odd_issue(number) for number in range(2500)])
    report = write(zone, elasticsearch, namespace)
    assert (figures(report), report.refitted) == ({"created": 2500}, 2500)
    assert len(statuses(stored(elasticsearch, namespace))) == 2500


def test_what_is_refused_even_when_it_fits_is_a_dead_letter(
    elasticsearch: Elasticsearch, picky: str, zone: LandingZone
) -> None:
    land(zone, [issue(0), odd_issue(1), {**odd_issue(2), "sourceRules": RULES}])
    report = write(zone, elasticsearch, picky)
    assert (figures(report), report.refitted) == ({"created": 2, "rejected": 1}, 1)
    (letter,) = read_dead_letters(zone, "issue", DAY, picky)
    assert b"issue-2" in (letter.document or b"")
    assert "nested" in letter.reason


def test_far_too_many_rejections_stop_the_write_and_name_the_first_reason(
    elasticsearch: Elasticsearch, picky: str, zone: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "MOST_REJECTIONS", 3)
    land(zone, [issue(number, sourceRules=RULES) for number in range(10)])
    with pytest.raises(PermanentError, match=r"more than 3 documents.*nested"):
        write(zone, elasticsearch, picky)
    assert len(list(read_dead_letters(zone, "issue", DAY, picky))) >= 4
    assert read_receipt(zone, "issue", DAY, picky) is None


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "[1:6] failed to parse field [d] of type [date] in document with id 'abc'. Preview of field's value: 'x y'",
            "[1:6] failed to parse field [d] of type [date]",
        ),
        ("[1:2] Duplicate field 'a'\n at [Source: (byte[])\"{x y}\"", "[1:2] Duplicate field 'a'"),
        ("failed to parse; failed to parse date field [x y]", "failed to parse"),
        ('immense term in field="a" (whose UTF8 encoding is longer than 32766): [x y]', 'immense term in field="a"'),
    ],
)
def test_reasons_are_shown_without_what_the_document_says(said: str, shown: str) -> None:
    refused = rejections.Rejections()
    refused.add(Rejection(Operation("AAAAAAAAAAAAAAAAAAAAAA", b"{}\n{}\n"), 400, "parsing", said))
    assert refused.reasons() == [{"id": "AAAAAAAAAAAAAAAAAAAAAA", "reason": f"parsing: {shown}", "count": 1}]


def test_a_day_landed_again_meanwhile_is_a_transient_error_and_nothing_is_deleted(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(zone, issues(5))
    write(zone, elasticsearch, namespace)
    land(zone, issues(5, version=1))
    create = BulkWriter.create

    def landed_meanwhile(writer: BulkWriter, document_id: str, document: bytes) -> None:
        if zone.generation("issue", DAY) == 2:
            land(zone, [issue(0, 2, status="RESOLVED")])
        create(writer, document_id, document)

    with monkeypatch.context() as patch:
        patch.setattr(BulkWriter, "create", landed_meanwhile)
        with pytest.raises(TransientError, match="Another run landed issue of 2026-11-20"):
            write(zone, elasticsearch, namespace)
    assert len(stored(elasticsearch, namespace)) == 10
    report = write(zone, elasticsearch, namespace)
    assert (report.documents_in_elasticsearch, report.duplicates) == (5, 0)
    assert statuses(stored(elasticsearch, namespace))["issue-0"] == "RESOLVED"


def test_a_plan_older_than_the_landed_day_writes_nothing(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, issues(1))
    partition = partition_of(zone)
    land(zone, issues(2))
    with pytest.raises(TransientError):
        write_partition(partition, zone, Destination(elasticsearch, namespace, "run-1"))
    assert not elasticsearch.indices.exists(index=stream_name(ISSUE, namespace))


def test_a_stream_without_a_template_is_refused_instead_of_becoming_an_index(
    elasticsearch: Elasticsearch, namespace: str
) -> None:
    with (
        pytest.raises(PermanentError, match="index templates"),
        BulkWriter(elasticsearch, f"nothing-{namespace}", lambda one: None, stream_only=True) as writer,
    ):
        writer.create("a", b'{"@timestamp":"2026-11-20"}')
    assert not elasticsearch.indices.exists(index=f"nothing-{namespace}")


def test_without_the_privilege_to_refresh_the_stream_s_interval_is_waited_for(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(zone, issues(2))
    write(zone, elasticsearch, namespace)
    stream = stream_name(ISSUE, namespace)
    waited: list[float] = []

    def forbidden(**given: Any) -> None:
        meta = ApiResponseMeta(403, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "127.0.0.1", 9200))
        raise AuthorizationException("security_exception", meta, {})

    monkeypatch.setattr(elasticsearch.indices, "refresh", forbidden)
    monkeypatch.setattr(listing.time, "sleep", waited.append)
    elasticsearch.indices.put_settings(index=stream, settings={"refresh_interval": "700ms"})
    assert "maintenance" in str(listing.refresh(elasticsearch, stream))
    elasticsearch.indices.put_settings(index=stream, settings={"refresh_interval": "-1"})
    with pytest.raises(PermanentError, match="maintenance"):
        listing.refresh(elasticsearch, stream)
    assert waited == [pytest.approx(1.2)]


def _writer(zone: LandingZone, at: ElasticsearchSettings, namespace: str, manner: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", partition_writer.__name__, zone.store.url, at.url, namespace, manner]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_write_is_completed_by_the_next(
    elasticsearch: Elasticsearch, elasticsearch_settings: ElasticsearchSettings, namespace: str, zone: LandingZone
) -> None:
    land(zone, issues(2500))
    ensure(elasticsearch, ISSUE, None)
    stream = stream_name(ISSUE, namespace)
    soon = Backoff(attempts=50, first=0.1, most=0.2)

    def _ids() -> Listing:
        elasticsearch.indices.refresh(index=stream, ignore_unavailable=True)
        return list_partition(elasticsearch, stream, DAY)

    with _writer(zone, elasticsearch_settings, namespace, "halt") as process:
        try:
            while process.poll() is None and not len(soon.patiently(_ids).ids):
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGKILL)
    landed = len(stored(elasticsearch, namespace))
    assert 0 < landed < 2500
    elasticsearch.indices.rollover(alias=stream)
    report = write(zone, elasticsearch, namespace)
    assert report.documents_in_elasticsearch == 2500
    assert report.duplicates == 0
    assert len(statuses(stored(elasticsearch, namespace))) == 2500


def test_two_processes_on_one_day_end_as_one_after_the_other(
    elasticsearch: Elasticsearch, elasticsearch_settings: ElasticsearchSettings, namespace: str, zone: LandingZone
) -> None:
    land(zone, issues(2500))
    ensure(elasticsearch, ISSUE, None)
    both = [_writer(zone, elasticsearch_settings, namespace, "whole") for _ in range(2)]
    created = sorted(int(process.communicate(timeout=60)[0]) for process in both)
    assert created == [0, 2500]
    assert len(statuses(stored(elasticsearch, namespace))) == 2500


@settings(
    max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.lists(
        st.tuples(
            st.sampled_from(["land", "write", "rollover", "copy", "lose"]),
            st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4),
        ),
        max_size=5,
    )
)
def test_whatever_came_before_the_last_write_makes_it_what_was_landed(
    elasticsearch: Elasticsearch, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    folder = tmp_path_factory.mktemp("landing")
    zone, namespace = zone_at(folder), f"h{folder.name.replace('-', '')}{time.time_ns()}"
    land(zone, [issue(0)])
    newest = {0: 0}
    write(zone, elasticsearch, namespace)
    for step, pairs in data:
        hits = stored(elasticsearch, namespace)
        if step == "land":
            land(zone, [issue(number, version, status=f"S{version}") for number, version in pairs])
            for number, version in pairs:
                newest[number] = max(version, newest.get(number, 0))
        elif step == "write":
            write(zone, elasticsearch, namespace)
        elif step == "rollover":
            elasticsearch.indices.rollover(alias=stream_name(ISSUE, namespace))
        elif step == "copy":
            elasticsearch.indices.rollover(alias=stream_name(ISSUE, namespace))
            _copy(elasticsearch, namespace, list({hit["_id"]: hit for hit in hits}.values()))
        elif hits:
            elasticsearch.delete(index=hits[0]["_index"], id=hits[0]["_id"])
    report = write(zone, elasticsearch, namespace)
    assert (report.duplicates, report.documents_in_elasticsearch) == (0, len(newest))
    versions = {
        hit["_source"]["event"]["id"]: hit["_source"]["wiz"]["issue"]["updated_at"]
        for hit in stored(elasticsearch, namespace)
    }
    assert versions == {f"issue-{number}": f"2026-11-20T01:00:0{version}.000Z" for number, version in newest.items()}
    assert figures(write(zone, elasticsearch, namespace)) == {"unchanged": len(newest)}
