"""What was received, from the spool to its documents: each once, whatever is sent again, killed or damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.defend import spooled_day
from wiz_dagster.landing.zone import LandingZone, open_zone
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import (
    NOW,
    TODAY,
    YESTERDAY,
    Pipeline,
    documents_of,
    file_documents,
    spool_bodies,
    webhook_environment,
)


def body(name: str, *events: str, **more: Any) -> dict[str, Any]:
    """A detection and its triggering events."""
    created = (NOW - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": name,
        "title": "Something happened",
        "severity": "HIGH",
        "createdAt": created,
        "triggeringEvents": [{"externalId": event, "eventTime": created} for event in events],
        **more,
    }


@pytest.fixture
def to_files(tmp_path: Path) -> Iterator[Pipeline]:
    environment = {**webhook_environment(tmp_path), "WIZ_DESTINATION": "files"}
    with dg.DagsterInstance.ephemeral() as instance:
        yield Pipeline(environment, instance=instance)


@pytest.fixture
def to_elasticsearch(
    tmp_path: Path, elasticsearch_settings: ElasticsearchSettings, namespace: str
) -> Iterator[Pipeline]:
    more = {"ELASTICSEARCH_URL": elasticsearch_settings.url, "WIZ_NAMESPACE": namespace}
    with dg.DagsterInstance.ephemeral() as instance:
        yield Pipeline({**webhook_environment(tmp_path), **more}, instance=instance)


def spooled(pipeline: Pipeline, day: str = TODAY) -> list[Path]:
    return sorted((Path(pipeline.environment["WIZ_DEFEND_SPOOL"]) / day).glob("*"))


def landed_lines(pipeline: Pipeline, day: str = TODAY) -> list[dict[str, Any]]:
    batches = open_zone(pipeline.environment).day("defend", day).batches()
    return [json.loads(line) for batch in batches for line in batch.lines]


def test_each_triggering_event_becomes_one_document_and_its_segment_goes(
    to_elasticsearch: Pipeline, elasticsearch: Elasticsearch, namespace: str
) -> None:
    sent = [body("d1", "e1", "e2"), [body("d2", "e3"), body("d3")]]
    spool_bodies(to_elasticsearch.environment, sent)
    run = to_elasticsearch.run("defend", TODAY)
    assert run.success, run.errors
    assert len(documents_of(elasticsearch, "defend", namespace, TODAY)) == 4
    assert spooled(to_elasticsearch) == []
    figures = ("events", "bodies", "segments", "unreadable", "left")
    assert [run.raw[f"spool/{name}"] for name in figures] == [4, 2, 1, 0, 0]
    assert run.raw["spool/bytes"] == sum(len(json.dumps(one)) for one in sent)
    assert (run.raw["landing/new"], run.raw["dagster/partition_row_count"]) == (4, 4)
    assert {name for name, check in run.checks.items() if check.passed} >= {"spool_readable", "complete"}


def test_what_is_sent_again_makes_no_second_document_whichever_day_it_comes_on(
    to_elasticsearch: Pipeline, elasticsearch: Elasticsearch, namespace: str
) -> None:
    first, again = body("d1", "e1"), body("d2", "e2", "e3")
    spool_bodies(to_elasticsearch.environment, [first, again, again], YESTERDAY)
    assert to_elasticsearch.run("defend", YESTERDAY).success
    elasticsearch.indices.rollover(alias=f"logs-wiz.defend-{namespace}")
    spool_bodies(to_elasticsearch.environment, [again, body("d3", "e4")])
    run = to_elasticsearch.run("defend", TODAY)
    assert run.success, run.errors
    hits = [hit for day in (YESTERDAY, TODAY) for hit in documents_of(elasticsearch, "defend", namespace, day)]
    assert sorted(hit["_source"]["wiz"]["defend"]["id"] for hit in hits) == ["d1", "d2", "d2", "d3"]


def test_a_backfill_writes_a_day_again_from_the_landing_zone(
    to_elasticsearch: Pipeline, elasticsearch: Elasticsearch, namespace: str
) -> None:
    spool_bodies(to_elasticsearch.environment, [body("d1", "e1")])
    assert to_elasticsearch.run("defend", TODAY).success
    before = documents_of(elasticsearch, "defend", namespace, TODAY)
    for hit in before:
        elasticsearch.delete(index=hit["_index"], id=hit["_id"], refresh=True)
    run = to_elasticsearch.run("defend", TODAY)
    assert run.success, run.errors
    assert (run.raw["spool/events"], run.raw["landing/new"], run.ecs["es/created"]) == (0, 0, 1)
    assert [hit["_id"] for hit in documents_of(elasticsearch, "defend", namespace, TODAY)] == [
        hit["_id"] for hit in before
    ]


def test_a_day_on_which_nothing_was_received_is_an_empty_one(to_files: Pipeline) -> None:
    run = to_files.run("defend", YESTERDAY)
    assert run.success, run.errors
    assert run.raw["dagster/partition_row_count"] == 0
    assert not Path(to_files.environment["WIZ_DEFEND_SPOOL"]).exists()


def test_a_run_takes_the_events_of_its_own_day_only(to_files: Pipeline) -> None:
    spool_bodies(to_files.environment, [body("old", "e1")], YESTERDAY)
    spool_bodies(to_files.environment, [body("new", "e2")])
    run = to_files.run("defend", YESTERDAY)
    assert [node["id"] for node in landed_lines(to_files, YESTERDAY)] == ["old"]
    assert run.raw["spool/left"] == 1
    assert len(spooled(to_files)) == 1


def test_it_needs_no_secret_and_says_whose_data_it_must_know(to_files: Pipeline) -> None:
    environment = {name: text for name, text in to_files.environment.items() if name != "WIZ_CLIENT_ID"}
    spool_bodies(environment, [body("d1")])
    run = Pipeline(environment).run("defend", TODAY)
    assert not run.success
    assert "WIZ_CLIENT_ID" in run.errors
    assert "WIZ_CLIENT_SECRET" not in run.errors
    assert to_files.run("defend", TODAY).success


def test_a_body_that_is_no_event_holds_nothing_up_and_stays(to_files: Pipeline) -> None:
    spool_bodies(to_files.environment, [body("d1", "e1"), b"no JSON", b"7", [1], body("d2", "e2")])
    spool_bodies(to_files.environment, [body("d3", "e3")])
    run = to_files.run("defend", TODAY)
    assert run.success
    assert {node["id"] for node in landed_lines(to_files)} == {"d1", "d2", "d3"}
    (left,) = spooled(to_files)
    check = run.checks["spool_readable"]
    assert (check.passed, check.metadata["unreadable"].value) == (False, 1)
    assert f"{left} holds 3 bodies" in run.raw["warnings"]
    again = to_files.run("defend", TODAY)
    assert (again.raw["landing/new"], again.raw["landing/unchanged"]) == (0, 2)


def test_a_segment_that_cannot_be_read_holds_nothing_up_and_stays(to_files: Pipeline) -> None:
    spool_bodies(to_files.environment, [body("d1", "e1")])
    (damaged,) = spooled(to_files)
    damaged.unlink()
    damaged.mkdir()
    spool_bodies(to_files.environment, [body("d2", "e2")])
    run = to_files.run("defend", TODAY)
    assert run.success, run.errors
    assert [node["id"] for node in landed_lines(to_files)] == ["d2"]
    assert spooled(to_files) == [damaged]
    assert not run.checks["spool_readable"].passed
    assert str(damaged) in run.raw["warnings"]


def run_and_die(environment: dict[str, str], place: str) -> None:
    """Run the day in this process, which is killed when `place` is reached."""

    def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    target = LandingZone if place == "sweep" else spooled_day
    with mock.patch.object(target, place, die):
        Pipeline(environment).run("defend", TODAY)


@pytest.mark.parametrize("place", ["sweep", "remove", "backlog"])
def test_a_run_killed_around_the_removal_loses_and_doubles_nothing(to_files: Pipeline, place: str) -> None:
    spool_bodies(to_files.environment, [body("d1", "e1", "e2"), body("d2", "e3")])
    spool_bodies(to_files.environment, [body("d1", "e1", "e2")])
    process = multiprocessing.get_context("spawn").Process(target=run_and_die, args=(dict(to_files.environment), place))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(spooled(to_files)) == (0 if place == "backlog" else 2)
    run = to_files.run("defend", TODAY)
    assert run.success, run.errors
    assert run.raw["landing/new"] == 0
    assert spooled(to_files) == []
    events = [node["triggeringEvent"]["externalId"] for node in landed_lines(to_files)]
    assert sorted(events) == ["e1", "e2", "e3"]
    assert len(file_documents(Path(to_files.environment["WIZ_LANDING_URL"]).parent, "defend", TODAY)) == 3


def test_a_landing_that_fails_removes_nothing(to_files: Pipeline) -> None:
    spool_bodies(to_files.environment, [body("d1", "e1")])
    Path(to_files.environment["WIZ_LANDING_URL"]).write_text("no folder")
    assert not to_files.run("defend", TODAY).success
    assert len(spooled(to_files)) == 1


def test_a_segment_that_another_run_took_meanwhile_is_no_error(
    to_files: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool_bodies(to_files.environment, [body("d1", "e1")])
    found = spooled_day.segments
    monkeypatch.setattr(spooled_day, "segments", lambda spool: [*taken, *found(spool)])
    taken = found(Path(to_files.environment["WIZ_DEFEND_SPOOL"]))
    assert to_files.run("defend", TODAY).success
    run = to_files.run("defend", TODAY)
    assert run.success, run.errors
    assert run.checks["spool_readable"].passed
    assert run.raw["spool/segments"] == 0
