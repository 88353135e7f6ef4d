"""Webhook bodies tell of the tenant's detections, in the shapes that Wiz's template has."""

from collections import Counter
from datetime import timedelta
from typing import Any

import orjson
import pytest

from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.defend_truth import documents_of
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros_of_text
from wiz_dagster.sandbox.wiz.truth import nodes_of_window

from .conftest import NOW

RULE = AutomationRule("rule-1", "Detections to the SIEM")
SINCE = NOW - timedelta(days=3)
BODY = {
    "trigger", "id", "source", "threatId", "threatURL", "detectionUrl", "title", "description", "severity", "createdAt",
    "tdrId", "tdrSource", "mitreTactics", "mitreTechniques", "cloudAccounts", "cloudOrganizations", "timeframe",
    "actors", "resources", "primaryActor", "primaryResource", "triggeringEventsCount",
}  # fmt: skip
EVENT = {
    "id", "externalId", "name", "description", "cloudPlatform", "cloudProviderUrl", "origin", "source", "category",
    "status", "eventTime", "resources", "actor", "actorIP", "actorIPMeta", "subjectResourceId", "subjectResourceIp",
    "runtimeDetails",
}  # fmt: skip
Body = dict[str, Any]


def tenant(volume: int = 300) -> Tenant:
    return Tenant(now=NOW, days=14, volumes={"detection": volume})


@pytest.fixture(scope="module")
def sent() -> list[Body]:
    return bodies(tenant(), SINCE, NOW, RULE)


def events(body: Body) -> list[Body]:
    single = [body["triggeringEvent"]] if "triggeringEvent" in body else []
    return [*single, *body.get("triggeringEvents", [])]


def test_the_same_tenant_gives_the_same_bodies_in_the_same_order(sent: list[Body]) -> None:
    assert orjson.dumps(bodies(tenant(), SINCE, NOW, RULE)) == orjson.dumps(sent)


def test_what_lies_in_two_windows_is_what_lies_in_both_together(sent: list[Body]) -> None:
    middle = NOW - timedelta(days=1)
    created_before = [one for one in bodies(tenant(), SINCE, middle, RULE) if one["trigger"]["type"] == "Created"]
    later = bodies(tenant(), middle, NOW, RULE)
    assert [one for one in sent if one in later] == later
    assert all(one in sent for one in created_before)


def test_every_detection_of_the_window_is_told_as_created_as_updated_or_both(sent: list[Body]) -> None:
    told = {"Created": set[str](), "Updated": set[str]()}
    for one in sent:
        told[one["trigger"]["type"]].add(one["id"])
    detections = list(nodes_of_window(tenant(), "detection", SINCE, NOW))
    new = {one["id"] for one in detections if micros_of_text(one["createdAt"]) >= SINCE.timestamp() * 1e6}
    changed = {one["id"] for one in detections if one["updatedAt"] != one["createdAt"]}
    assert told == {"Created": new, "Updated": changed}
    assert new & changed
    assert {one["id"] for one in detections} == new | changed
    assert len(sent) == len(new) + len(changed)


def test_what_is_told_of_a_new_detection_does_not_change_when_it_is_updated_later() -> None:
    appeared = tenant()
    day = {one["id"]: one for one in bodies(appeared, NOW - timedelta(hours=12), NOW, RULE)}
    later = Tenant(now=NOW + timedelta(days=1), days=15, volumes={"detection": 300})
    again = bodies(later, NOW - timedelta(hours=12), NOW + timedelta(days=1), RULE)
    created = {one["id"]: one for one in again if one["trigger"]["type"] == "Created"}
    common = [name for name in day if day[name]["trigger"]["type"] == "Created"]
    assert len(common) > 100
    assert all(created[name] == day[name] for name in common)


def test_both_shapes_of_the_events_are_there_and_few_bodies_have_none(sent: list[Body]) -> None:
    shapes = Counter(
        "one" if "triggeringEvent" in one else "list" if "triggeringEvents" in one else "none" for one in sent
    )
    assert shapes["list"] > shapes["one"] > shapes["none"] > 0
    assert shapes["list"] > len(sent) * 0.7
    counts = Counter(len(events(one)) for one in sent)
    assert counts.keys() >= {0, 1, 2, 3, 4, 10}
    assert sum(counts[number] for number in (1, 2, 3, 4)) > len(sent) * 0.8


def test_they_have_the_template_s_keys_and_no_others_but_for_odd_ones(sent: list[Body]) -> None:
    usual = [one for one in sent if one.keys() >= BODY]
    assert len(usual) > len(sent) * 0.9
    assert {key for one in usual for key in one} - BODY >= {"triggeringEvents", "triggeringEvent"}
    assert {key for one in sent for event in events(one) for key in event} == EVENT
    nanoseconds = [one for one in sent if len(one["createdAt"].rpartition(".")[2]) == len("123456789Z")]
    assert len(nanoseconds) > len(sent) / 2


def test_events_name_the_actors_and_resources_that_stand_beside_them(sent: list[Body]) -> None:
    usual = [one for one in sent if one.keys() >= BODY and one["actors"] is not None and one["resources"]]
    actors = resources = 0
    for one in usual:
        known = {actor["id"] for actor in one["actors"]}
        for event in one.get("triggeringEvents", []):
            if known and "actor" in event:
                assert event["actor"] == {"id": event["actor"]["id"]}
                assert event["actor"]["id"] in known
                actors += 1
            resources += any(
                resource["id"] in {full["id"] for full in one["resources"]} for resource in event["resources"]
            )
    assert actors > 100
    assert resources > 100


def test_a_sensor_s_events_and_no_others_have_processes(sent: list[Body]) -> None:
    told = [(one.get("tdrSource"), event) for one in sent for event in events(one)]
    runtime = [event for source, event in told if source == "WIZ_SENSOR" and "origin" in event]
    assert len(runtime) > 50
    for event in runtime:
        process, parent = event["runtimeDetails"]["processTree"]
        assert len(process["hash"]) == 40
        assert parent["id"] == "1"
    assert not any("runtimeDetails" in event for source, event in told if source in {"WIZ", "GUARD_DUTY"})


def test_odd_values_of_published_bodies_are_among_them(sent: list[Body]) -> None:
    accounts = [account for one in sent for account in one.get("cloudAccounts", ())]
    assert {type(account["externalId"]) for account in accounts} == {int, str}
    assert any(one.get("description", "") is None for one in sent)
    assert any(one.get("mitreTactics") and len(set(one["mitreTactics"])) < len(one["mitreTactics"]) for one in sent)
    techniques = [text for one in sent for text in one.get("mitreTechniques") or ()]
    assert any(text.startswith("TA") for text in techniques)
    assert any("." in text for text in techniques)
    assert any("detectionURL" in one for one in sent)
    assert any(one.keys() <= {"id", "createdAt", "severity", "trigger"} for one in sent)
    assert any(not event["eventTime"] for one in sent for event in events(one))
    assert {one["severity"] for one in sent} >= {"INFORMATIONAL", "CRITICAL"}


def test_a_document_is_due_for_each_event_and_for_a_body_without_any() -> None:
    rest = {"id": "d-1"}
    assert documents_of([rest]) == 1
    assert documents_of([{**rest, "triggeringEvents": []}, {**rest, "triggeringEvent": {"id": "e-1"}}]) == 2
    assert documents_of([{**rest, "triggeringEvents": [{"id": "e-1"}, {"id": "e-2"}]}]) == 2


def test_what_is_told_again_in_the_same_words_gives_no_document(sent: list[Body]) -> None:
    assert documents_of([{"id": "d-1", "triggeringEvents": [{"id": "e-1"}, {"id": "e-1"}]}]) == 1
    assert documents_of([*sent, *sent[::3]]) == documents_of(sent)
    repeated = [one for one in sent if len(events(one)) > len({orjson.dumps(event) for event in events(one)})]
    assert repeated
    assert documents_of(sent) == sum(max(1, len({orjson.dumps(event) for event in events(one)})) for one in sent)
