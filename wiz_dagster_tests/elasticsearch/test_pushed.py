"""Nodes that Wiz sends by itself, some of them twice: one document each, whichever day is written first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from elasticsearch import Elasticsearch, helpers

from wiz_dagster import checks
from wiz_dagster.datasets import dataset_named
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.elasticsearch import listing
from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.partition import EcsPartition, WriteReport
from wiz_dagster.elasticsearch.reconcile import Destination, stream_name, write_partition
from wiz_dagster.landing.manifest import FetchInfo
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.elasticsearch.partition_helpers import AT_ONCE, TENANT, Node
from wiz_dagster_tests.landing.landing_helpers import Figures, zone_at

DEFEND = dataset_named("defend")
DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")
FIRST, SECOND, THIRD = DAYS


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return zone_at(tmp_path / "landing", TENANT)


@pytest.fixture
def frames_made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Grows by the generation after which frames are asked for, and their rows."""
    asked: list[tuple[int, int]] = []
    whole = EcsPartition.frames

    def frames(partition: EcsPartition, after_generation: int = 0) -> Any:
        made = list(whole(partition, after_generation))
        asked.append((after_generation, sum(len(batch.frame) for batch in made)))
        return made

    monkeypatch.setattr(EcsPartition, "frames", frames)
    return asked


def event(number: int, **more: Any) -> Node:
    """One event of a detection that has many; without a time of its own it is dated by when it came."""
    return {"id": "d-1", "title": "a shell", "triggeringEvent": {"id": f"e-{number}"}, **more}


def land(zone: LandingZone, day: str, nodes: Sequence[Node]) -> None:
    now = datetime.now(UTC)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    fetch = FetchInfo(
        run_id="spool", fetched_at=now, window_start=start, window_end=start + timedelta(1), query_hash=""
    )
    zone.land("defend", day, [nodes], fetch, Figures(), None, by_content=True)


def partition_of(zone: LandingZone, day: str, tags: Sequence[str] = ("forwarded",)) -> EcsPartition:
    landed = zone.day("defend", day)
    return EcsPartition(DEFEND, day, EcsOptions(tags=tuple(tags), fetched_at=landed.fetched_at), landed)


def write(zone: LandingZone, client: Elasticsearch, namespace: str, day: str, **options: Any) -> WriteReport:
    """Writes a day; its checks hold whatever comes."""
    partition = partition_of(zone, day, **options)
    report = write_partition(partition, zone, Destination(client, namespace, f"run of {day}", backoff=AT_ONCE))
    results = {result.check_name: result for result in checks.ecs_results(partition, "elasticsearch")}
    assert all(results[name].passed for name in ("complete", "no_duplicates")), results
    return report


def figures(report: WriteReport) -> dict[str, int]:
    names = ("created", "unchanged", "deleted", "elsewhere", "rejected")
    return {name: figure for name in names if (figure := getattr(report, name))}


def stored(client: Elasticsearch, namespace: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every document of the stream, all days: the event's id, the day that holds it, and the document."""
    stream = stream_name(DEFEND, namespace)
    client.indices.refresh(index=stream)
    sources = [hit["_source"] for hit in helpers.scan(client, index=stream)]
    found = [(source["event"]["id"], source["labels"]["dagster_partition"], source) for source in sources]
    return sorted(found, key=lambda one: one[:2])


def events(client: Elasticsearch, namespace: str) -> list[str]:
    return [name for name, _, _ in stored(client, namespace)]


@pytest.mark.parametrize("rolled_over", [False, True])
@pytest.mark.parametrize("order", [(FIRST, SECOND, THIRD), (THIRD, FIRST, SECOND)])
def test_an_event_sent_on_several_days_is_one_document_whichever_day_is_written_first(
    order: Sequence[str], rolled_over: bool, elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    for number, day in enumerate(DAYS, start=1):
        land(zone, day, [event(0), event(number)])
    for number, day in enumerate(order):
        assert figures(write(zone, elasticsearch, namespace, day)) == (
            {"created": 2} if number == 0 else {"created": 1, "elsewhere": 1}
        )
        if rolled_over:
            elasticsearch.indices.rollover(alias=stream_name(DEFEND, namespace))
    before = stored(elasticsearch, namespace)
    assert [name for name, _, _ in before] == ["e-0", "e-1", "e-2", "e-3"]
    assert before[0][1] == order[0]
    for number, day in enumerate(order):
        again = write(zone, elasticsearch, namespace, day)
        assert (figures(again), again.bytes) == (
            {"unchanged": 2} if number == 0 else {"unchanged": 1, "elsewhere": 1},
            0,
        )
    assert stored(elasticsearch, namespace) == before


def test_without_receipts_nothing_is_sent_again(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, tmp_path: Path
) -> None:
    for day in (FIRST, SECOND):
        land(zone, day, [event(0)])
        write(zone, elasticsearch, namespace, day)
    for receipt in tmp_path.rglob("receipt.*"):
        receipt.unlink()
    for day, expected in ((SECOND, {"elsewhere": 1}), (FIRST, {"unchanged": 1})):
        report = write(zone, elasticsearch, namespace, day)
        assert (figures(report), report.bytes) == (expected, 0)


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_after_a_change_of_the_options_there_is_one_document_with_the_new_content(
    order: Sequence[str], elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    for day in (FIRST, SECOND):
        land(zone, day, [event(0)])
        write(zone, elasticsearch, namespace, day)
    for day in order:
        write(zone, elasticsearch, namespace, day, tags=["new"])
    ((name, day, source),) = stored(elasticsearch, namespace)
    assert (name, day, source["tags"]) == ("e-0", order[0], ["new"])
    for day in order:
        assert write(zone, elasticsearch, namespace, day, tags=["new"]).bytes == 0


def test_a_new_event_in_a_day_of_many_costs_only_its_own_transform(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, frames_made: list[tuple[int, int]]
) -> None:
    land(zone, FIRST, [event(number) for number in range(10)])
    write(zone, elasticsearch, namespace, FIRST)
    land(zone, SECOND, [event(number) for number in range(30)])
    assert figures(write(zone, elasticsearch, namespace, SECOND)) == {"created": 20, "elsewhere": 10}
    land(zone, SECOND, [event(30)])
    assert figures(write(zone, elasticsearch, namespace, SECOND)) == {"created": 1, "unchanged": 20, "elsewhere": 10}
    assert frames_made == [(0, 10), (0, 30), (1, 1)]


def test_what_the_other_day_no_longer_has_is_created_anew(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    for day in (FIRST, SECOND):
        land(zone, day, [event(0)])
        write(zone, elasticsearch, namespace, day)
    (hit,) = elasticsearch.search(index=stream_name(DEFEND, namespace))["hits"]["hits"]
    elasticsearch.delete(index=hit["_index"], id=hit["_id"])
    assert figures(write(zone, elasticsearch, namespace, SECOND)) == {"created": 1}
    assert figures(write(zone, elasticsearch, namespace, FIRST)) == {"elsewhere": 1}
    assert events(elasticsearch, namespace) == ["e-0"]


def test_a_day_never_touches_the_documents_of_another(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, FIRST, [event(0)])
    write(zone, elasticsearch, namespace, FIRST)
    before = stored(elasticsearch, namespace)
    land(zone, SECOND, [event(0), event(1)])
    report = write(zone, elasticsearch, namespace, SECOND, tags=["other"])
    assert figures(report) == {"created": 2}
    assert before[0] in stored(elasticsearch, namespace)


def test_more_events_elsewhere_than_one_request_asks_for_are_all_found(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "IDS_AT_ONCE", 7)
    monkeypatch.setattr(listing, "PAGE", 3)
    for day in (FIRST, SECOND):
        land(zone, day, [event(number) for number in range(30)])
    write(zone, elasticsearch, namespace, FIRST)
    for _ in range(2):
        report = write(zone, elasticsearch, namespace, SECOND)
        assert (figures(report), report.bytes) == ({"elsewhere": 30}, 0)


def test_events_that_differ_in_anything_are_documents_of_their_own(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone
) -> None:
    land(zone, FIRST, [event(0), event(0, severity="HIGH"), event(0), {"other": 1}, {"other": 2}, {}])
    report = write(zone, elasticsearch, namespace, FIRST)
    assert (figures(report), report.nodes) == ({"created": 5}, 5)


def test_two_days_that_are_written_at_once_take_turns(
    elasticsearch: Elasticsearch, namespace: str, zone: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(zone, THIRD, [event(1)])
    write(zone, elasticsearch, namespace, THIRD)
    for day in (FIRST, SECOND):
        land(zone, day, [event(0)])
    reports: list[WriteReport] = []
    other = Thread(target=lambda: reports.append(write(zone, elasticsearch, namespace, SECOND)))
    create = BulkWriter.create

    def slow(writer: BulkWriter, document_id: str, document: bytes) -> None:
        """Lets the other day go as far as it can, then a rollover takes away what makes equal ids collide."""
        if not other.ident:
            other.start()
            other.join(timeout=0.5)
            elasticsearch.indices.rollover(alias=stream_name(DEFEND, namespace))
        create(writer, document_id, document)

    monkeypatch.setattr(BulkWriter, "create", slow)
    assert figures(write(zone, elasticsearch, namespace, FIRST)) == {"created": 1}
    other.join()
    assert [figures(report) for report in reports] == [{"elsewhere": 1}]
    assert events(elasticsearch, namespace) == ["e-0", "e-1"]
