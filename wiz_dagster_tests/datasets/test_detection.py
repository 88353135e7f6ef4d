"""What becomes of Wiz Defend's detections."""

from collections import Counter
from typing import Any

import pytest

from wiz_dagster.datasets.detection import DETECTION
from wiz_dagster.datasets.detection_names import snake_case
from wiz_dagster.ecs.documents import iter_documents
from wiz_dagster.ecs.frames import frame_nodes
from wiz_dagster_tests.datasets.making import OPTIONS, document, documents
from wiz_dagster_tests.datasets.nodes import detection


def own(node: dict[str, Any]) -> dict[str, Any]:
    """Our own fields of the node's document, checked."""
    made: dict[str, Any] = document(DETECTION, node)["wiz"]["defend_v2"]
    return made


def unchecked(node: dict[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    """The document, which may hold keys that no table knows, and the drift."""
    frame, drift = frame_nodes(DETECTION, [node], [b"{}"], OPTIONS)
    return next(iter_documents(frame)), drift


def with_events(*events: Any, **others: Any) -> dict[str, Any]:
    """The detection with these triggering events."""
    return detection(triggeringEvents={"nodes": list(events), **others})


def test_the_common_fields_of_a_detection_find_their_places() -> None:
    made, drift = documents(DETECTION, [detection()])
    assert not drift
    common = {key: value for key, value in made[0].items() if key not in ("wiz", "ecs", "tags")}
    assert common == {
        "@timestamp": "2026-03-04T05:06:07.891Z",
        "cloud": {
            "account": {"id": ["112233445566", "665544332211"], "name": ["prod", "test"]},
            "instance": {"id": ["i-0abc"]},
            "provider": ["AWS"],
            "region": "eu-west-1",
        },
        "container": {"id": "c0ffee", "name": "web-1"},
        "event": {
            "action": ["file_open"],
            "category": ["threat"],
            "end": "2026-03-04T04:59:59.500Z",
            "id": "9e8d7c6b-0003-4c00-9000-00000000c001",
            "kind": "alert",
            "reference": "https://app.wiz.example/issues/i-9",
            "severity": 73,
            "start": "2026-03-04T04:50:00.000Z",
            "type": ["indicator"],
        },
        "file": {"path": ["/etc/passwd"]},
        "host": {"name": ["node-1"], "os": {"type": "linux"}},
        "message": "The key of **Ada** was used from an unusual network.",
        "observer": {"product": "Defend", "vendor": "Wiz"},
        "orchestrator": {"cluster": {"id": "k-1", "name": "blue"}, "namespace": "shop", "type": "kubernetes"},
        "organization": {"id": ["co-1"], "name": ["Corp"]},
        "process": {
            "command_line": ["curl -s http://203.0.113.7/x"],
            "executable": ["/usr/bin/curl"],
            "name": ["/usr/bin/curl"],
            "parent": {"name": ["/bin/sh"]},
        },
        "related": {
            "hash": ["da39a3ee5e6b4b0d3255bfef95601890afd80709", "d41d8cd98f00b204e9800998ecf8427e"],
            "hosts": ["node-1"],
            "ip": ["203.0.113.9"],
            "user": ["ada@corp.example"],
        },
        "rule": {
            "category": ["Credential Access", "Persistence", "Credential access"],
            "description": "Finds keys that are used from networks never seen before.",
            "id": "cer-1",
            "name": "Key used from an unusual network",
            "version": 7,
        },
        "source": {
            "as": {"number": [64500], "organization": {"name": ["Example Net"]}},
            "geo": {"country_iso_code": "NL"},
            "ip": ["203.0.113.9"],
        },
        "threat": {
            "framework": "MITRE ATT&CK",
            "tactic": {"id": ["TA0006", "TA0003"], "name": ["Credential Access", "Persistence"]},
            "technique": {
                "id": ["T1110", "T1078"],
                "name": ["Brute Force"],
                "subtechnique": {"id": ["T1078.004"], "name": ["Cloud Accounts"]},
            },
        },
        "user": {"email": "ada@corp.example", "id": "a-1", "name": "ada"},
        "user_agent": {"original": "aws-cli/2.15.0"},
    }


def test_the_whole_object_is_kept_in_snake_case_but_for_what_ecs_has_a_place_for() -> None:
    wiz = own(detection())
    assert {"id", "description", "updated_at", "started_at", "ended_at"}.isdisjoint(wiz)
    assert wiz["created_at"] == "2026-03-04T05:00:00.123Z"
    assert (wiz["ignored"], wiz["is_retroactive"], wiz["origins"]) == (False, True, ["AWS_CLOUDTRAIL", "WIZ_SENSOR"])
    assert wiz["issue"] == {"id": "i-9"}
    assert wiz["resources"][1] == {"id": "r-2", "name": "mongo", "external_id": "://host:27017/", "type": "ENDPOINT"}
    actor = wiz["primary_actor"]
    assert (actor["mfa"], actor["inactive_in_last_90_days"], actor["acting_as"]["access_key_id"]) == (
        False,
        False,
        "ASIA2",
    )
    assert "region" not in wiz["primary_resource"]
    assert wiz["rule_match"].keys() == {"rule"}
    assert {"id", "name", "description"}.isdisjoint(wiz["rule_match"]["rule"])
    assert wiz["runtime_details"]["outbound_ips"] == ["203.0.113.7", "2001:db8::7"]


def test_a_triggering_event_keeps_its_record_with_keys_in_snake_case_and_the_resource_its_tags_as_they_are() -> None:
    wiz = own(detection())
    assert wiz["triggering_events"]["total_count"] == 61
    first, second = wiz["triggering_events"]["nodes"]
    assert first["timestamp"] == "2026-03-04T04:50:00.123Z"
    assert (first["status"], first["status_details"]["provider_error_code"]) == ("FAILURE", "AccessDenied")
    assert first["actor_ip_meta"]["country_code"] == "NL"
    assert first["is_foreign_actor"] is True
    assert first["raw_audit_log_record"] == {
        "event_name": "AssumeRole",
        "user_identity": {"session_context": {"attributes": {"mfa_authenticated": "false"}}},
        "resources": [{"arn": "arn:aws:iam::1:role/deployer", "account_id": "112233445566"}],
        "@type": "audit",
    }
    assert second["actor"] == {"type": "UNKNOWN"}
    assert wiz["primary_resource"]["tags"] == {"appTier": "front", "app.example/owner": "retail"}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("actorIP", "actor_ip"),
        ("MFA", "mfa"),
        ("totalCountV2", "total_count_v2"),
        ("inactiveInLast90Days", "inactive_in_last90_days"),
        ("aB1C2", "a_b1_c2"),
        ("already_snake", "already_snake"),
        ("Upper", "upper"),
        ("", ""),
    ],
)
def test_keys_become_snake_case_as_elastic_writes_it(key: str, name: str) -> None:
    assert snake_case(key) == name


@pytest.mark.parametrize(
    ("severity", "number"),
    [
        ("CRITICAL", 99),
        ("high", 73),
        ("Medium", 47),
        ("LOW", 21),
        ("INFORMATIONAL", 0),
        ("NONE", None),
        (["HIGH"], None),
    ],
)
def test_a_severity_has_a_number(severity: object, number: int | None) -> None:
    made = document(DETECTION, detection(severity=severity))
    assert made["event"].get("severity") == number
    assert made["wiz"]["defend_v2"]["severity"] == severity


@pytest.mark.parametrize(
    ("missing", "moment"),
    [
        (("updatedAt",), "2026-03-04T04:59:59.500Z"),
        (("updatedAt", "endedAt"), "2026-03-04T05:00:00.123Z"),
        (("updatedAt", "endedAt", "createdAt"), "2026-03-04T04:50:00.000Z"),
        (("updatedAt", "endedAt", "createdAt", "startedAt"), "2026-05-06T07:08:09.123Z"),
    ],
)
def test_a_detection_without_an_update_time_takes_the_next_best_date(missing: tuple[str, ...], moment: str) -> None:
    (made,), drift = documents(DETECTION, [detection(**dict.fromkeys(missing))])
    assert made["@timestamp"] == moment
    assert drift == {"missing date: updatedAt": 1}


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2024-06-04 02:28:06.763277000", "2024-06-04T02:28:06.763Z"),
        ("2024-06-04T02:28:16.819883668Z", "2024-06-04T02:28:16.819Z"),
        ("2024-06-04T02:28:45.0385036Z", "2024-06-04T02:28:45.038Z"),
        ("2024-06-04T02:28:45.1Z", "2024-06-04T02:28:45.100Z"),
        ("2024-06-04T02:28:45Z", "2024-06-04T02:28:45.000Z"),
    ],
)
def test_an_events_time_is_read_in_every_spelling(sent: str, moment: str) -> None:
    assert own(with_events({"timestamp": sent}))["triggering_events"]["nodes"] == [{"timestamp": moment}]


def test_an_event_without_an_address_is_no_failure_and_a_bad_one_is_set_aside() -> None:
    node = with_events({"id": "e-1"}, {"id": "e-2", "actorIP": "here"}, {"id": "e-3", "actorIP": "::1"})
    (made,), drift = documents(DETECTION, [node])
    assert made["source"] == {"ip": ["::1"]}
    assert made["event"]["kind"] == "alert"
    assert made["wiz"]["defend_v2"]["unmapped"] == {"triggeringEvents.nodes.actorIP": "here"}
    assert drift == {"wrong type: triggeringEvents.nodes.actorIP": 1}


def test_nulls_among_the_events_are_nothing_and_what_else_is_no_event_is_set_aside() -> None:
    (made,), drift = documents(DETECTION, [with_events(None, {"id": "e-1"}, {}, "e-2")])
    assert made["wiz"]["defend_v2"]["triggering_events"] == {"nodes": [{"id": "e-1"}]}
    assert made["wiz"]["defend_v2"]["unmapped"] == {"triggeringEvents.nodes": "e-2"}
    assert drift == {"wrong type: triggeringEvents.nodes": 1}


@pytest.mark.parametrize(
    ("counts", "count"),
    [
        ({"totalCount": 1, "totalCountV2": 2}, 2),
        ({"totalCountV2": 2.0, "totalCount": 1}, 2),
        ({"totalCount": 1}, 1),
        ({"totalCount": 1, "totalCountV2": None}, 1),
        ({"totalCountV2": "2"}, 2),
        ({"totalCountV2": 2.5}, None),
    ],
)
def test_the_count_of_events_is_the_successors_and_a_whole_number(counts: dict[str, Any], count: int | None) -> None:
    assert own(with_events({"id": "e"}, **counts))["triggering_events"].get("total_count") == count


@pytest.mark.parametrize("key", ["primaryActor", "primaryResource", "ruleMatch", "runtimeDetails", "triggeringEvents"])
@pytest.mark.parametrize("value", ["text", 5, True, ["text"], [[]], 1.5])
def test_an_object_of_another_type_is_set_aside_and_the_rest_stays(key: str, value: object) -> None:
    made = document(DETECTION, detection(**{key: value}))
    assert made["event"]["id"] == detection()["id"]
    assert made["cloud"]["account"]["id"] == ["112233445566", "665544332211"]
    if value != [[]]:
        assert made["wiz"]["defend_v2"]["unmapped"] == {key: value[0] if isinstance(value, list) else value}


def test_a_single_object_in_the_place_of_a_list_is_kept() -> None:
    node = detection(cloudAccounts={"externalId": "1"}, triggeringEvents={"nodes": {"actorIP": "::1"}})
    made = document(DETECTION, node)
    assert made["cloud"]["account"]["id"] == ["1"]
    assert made["source"]["ip"] == ["::1"]


@pytest.mark.parametrize("key", ["actors", "cloudAccounts", "issue"])
def test_a_text_in_the_place_of_objects_stays_as_in_elastics_integration_but_not_the_text_null(key: str) -> None:
    made, _ = unchecked(detection(**{key: "text"}))
    assert made["wiz"]["defend_v2"][snake_case(key)] == "text"
    made, drift = unchecked(detection(**{key: "null"}))
    assert snake_case(key) not in made["wiz"]["defend_v2"]
    assert not drift


def test_several_operating_systems_are_a_list_and_an_unknown_one_is_none() -> None:
    def seen(*names: object) -> Any:
        events = [{"rawAuditLogRecord": {"common": {"hostInfo": {"osType": name}}}} for name in names]
        return document(DETECTION, with_events(*events)).get("host")

    assert seen("Windows Server 2019", "Darwin", "windows") == {"os": {"type": ["windows", "macos"]}}
    assert seen("iOS") == {"os": {"type": "ios"}}
    assert seen("FreeBSD", 5, None) is None


def test_an_actor_that_is_no_account_is_no_user() -> None:
    actor = detection()["primaryActor"] | {"type": "NETWORK_ADDRESS", "email": None}
    assert "user" not in document(DETECTION, detection(primaryActor=actor))


def test_unknown_values_and_keys_are_kept_in_place_and_counted() -> None:
    node = detection(
        severity="URGENT", origins=["NEW_LOG", "WIZ_SENSOR"], newKey={"someURL": 1}, primaryActor={"age": 5}
    )
    made, drift = unchecked(node)
    wiz = made["wiz"]["defend_v2"]
    assert (wiz["severity"], wiz["origins"]) == ("URGENT", ["NEW_LOG", "WIZ_SENSOR"])
    assert (wiz["new_key"], wiz["primary_actor"]) == ({"some_url": 1}, {"age": 5})
    assert drift == {
        "unknown value: severity=URGENT": 1,
        "unknown value: origins=NEW_LOG": 1,
        "unknown key: newKey": 1,
        "unknown key: primaryActor.age": 1,
    }


def test_keys_that_elasticsearch_would_refuse_or_take_apart_are_set_aside() -> None:
    node = detection(primaryActor={"": 1, "name.x": 2}, unmapped=3)
    made, _ = unchecked(node | {"severity.x": 4, "@odd": 5})
    assert made["wiz"]["defend_v2"]["unmapped"] == {
        "primaryActor.": 1,
        "primaryActor.name.x": 2,
        "unmapped": 3,
        "severity.x": 4,
        "@odd": 5,
    }


def test_an_audit_log_record_loses_only_what_is_no_key_for_elasticsearch() -> None:
    record = {"a\0b": 1, "k" * 600: 2, "": 3, "x.y": 4}
    (event,) = own(with_events({"rawAuditLogRecord": record}))["triggering_events"]["nodes"]
    assert event["raw_audit_log_record"] == {"ab": 1, "k" * 500: 2, "": 3, "x.y": 4}


@pytest.mark.parametrize("record", ["text", 5, ["text"], True])
def test_a_record_that_is_no_object_is_set_aside(record: object) -> None:
    wiz = own(with_events({"id": "e", "rawAuditLogRecord": record}))
    assert wiz["triggering_events"]["nodes"] == [{"id": "e"}]
    assert list(wiz["unmapped"]) == ["triggeringEvents.nodes.rawAuditLogRecord"]


def test_the_techniques_of_other_frameworks_than_mitres_are_no_threat() -> None:
    rule = {"securitySubCategories": [{"externalId": "T1110", "category": {"externalId": "TA0006", "framework": {}}}]}
    assert "threat" not in document(DETECTION, detection(ruleMatch={"rule": rule}))
