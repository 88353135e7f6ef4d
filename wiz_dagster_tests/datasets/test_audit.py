"""What becomes of audit log entries."""

from dataclasses import replace

import pytest

from wiz_dagster.datasets.audit import AUDIT
from wiz_dagster_tests.datasets.making import OPTIONS, document, documents
from wiz_dagster_tests.datasets.nodes import audit


def test_every_key_of_an_entry_finds_its_place() -> None:
    made, drift = documents(AUDIT, [audit()])
    assert not drift
    assert made[0] == {
        "@timestamp": "2026-03-04T05:06:07.891Z",
        "ecs": {"version": "9.4.0"},
        "event": {
            "action": "createproject",
            "id": "0d5c1f6e-0001-4a00-9000-00000000a001",
            "kind": "event",
            "outcome": "success",
            "type": ["info"],
        },
        "http": {"request": {"id": "req-1"}},
        "related": {"ip": ["203.0.113.9"], "user": ["user-1", "Ada Lovelace", "ada@corp.example", "pool-1"]},
        "source": {"ip": "203.0.113.9"},
        "tags": ["forwarded"],
        "user": {"id": "user-1", "name": "Ada Lovelace", "email": "ada@corp.example"},
        "user_agent": {
            "original": audit()["userAgent"],
            "name": "Firefox",
            "version": "140.0",
            "device": {"name": "Other"},
            "os": {"name": "Linux", "full": "Linux"},
        },
        "wiz": {
            "audit": {
                "action": "CreateProject",
                "action_parameters": {
                    "client_id": "client-7",
                    "groups": ["platform", "security"],
                    "name": "payments",
                    "products": ["*"],
                    "role": "PROJECT_ADMIN",
                    "scopes": ["create:projects"],
                    "user": {"email": "ada@corp.example", "id": "user-1"},
                    "userpool_id": "pool-1",
                    "other": {"input": {"name": "payments", "tags": ["pci", {"k": "v"}]}, "dryRun": False},
                },
                "action_type": "MUTATION",
                "client_type": "WIZ_PORTAL",
                "duration": 0,
                "id": "0d5c1f6e-0001-4a00-9000-00000000a001",
                "performer": {"id": "snapshot-1", "name": "Ada L.", "type": "UserSnapshot"},
                "request_id": "req-1",
                "source_ip": "203.0.113.9",
                "source_ip_country_code": "NL",
                "status": "SUCCESS",
                "timestamp": "2026-03-04T05:06:07.891Z",
                "user": {"id": "user-1", "name": "Ada Lovelace"},
                "user_agent": audit()["userAgent"],
            }
        },
    }


def test_without_duplicates_the_copies_of_ecs_fields_are_left_out() -> None:
    wiz = document(AUDIT, audit(), replace(OPTIONS, preserve_duplicate_custom_fields=False))["wiz"]["audit"]
    assert {"timestamp", "id", "request_id", "source_ip", "user_agent", "user"}.isdisjoint(wiz)
    assert wiz["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("action", "name", "category"),
    [
        ("Login", "login", ["authentication"]),
        ("  Create   Report ", "create-report", ["file"]),
        ("login", "login", None),
        (" ", None, None),
        (True, None, None),
    ],
)
def test_actions_are_named_and_sorted(action: object, name: str | None, category: list[str] | None) -> None:
    event = document(AUDIT, audit(action=action))["event"]
    assert (event.get("action"), event.get("category"), event["type"]) == (name, category, ["info"])


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("SUCCESS", "success"), ("FAILED", "failure"), ("ACCESS_DENIED", "unknown"), (None, None), (["SUCCESS"], None)],
)
def test_a_status_tells_the_outcome(status: object, outcome: str | None) -> None:
    assert document(AUDIT, audit(status=status))["event"].get("outcome") == outcome


def test_the_performer_wins_over_the_deprecated_user() -> None:
    made = document(AUDIT, audit(user={"id": "old", "name": "Old", "email": "x"}))
    assert made["user"] == {"id": "user-1", "name": "Ada Lovelace", "email": "ada@corp.example"}


def test_a_performer_without_its_user_still_names_who_acted() -> None:
    made = document(AUDIT, audit(user=None, performer={"__typename": "UserSnapshot", "id": "s", "name": "n"}))
    assert made["user"] == {"id": "s", "name": "n"}


def test_a_service_account_as_performer_is_no_user() -> None:
    performer = {"__typename": "ServiceAccountSnapshot", "id": "s", "name": "robot", "serviceAccount": {"id": "sa-1"}}
    made = document(AUDIT, audit(user=None, performer=performer))
    assert "user" not in made
    assert made["wiz"]["audit"]["service_account"] == {"id": "sa-1", "name": "robot"}


def test_an_entry_without_performer_takes_the_deprecated_keys() -> None:
    made = document(AUDIT, audit(performer=None, serviceAccount={"id": "sa-2", "name": "bot"}))
    assert made["user"] == {"id": "user-1", "name": "Ada Lovelace"}
    assert made["wiz"]["audit"]["service_account"] == {"id": "sa-2", "name": "bot"}


@pytest.mark.parametrize("timestamp", [None, "", "null", "yesterday", 5, {"at": "2026-01-01"}])
def test_an_entry_without_a_usable_time_is_filed_under_the_fetch(timestamp: object) -> None:
    (made,), drift = documents(AUDIT, [audit(timestamp=timestamp)])
    assert made["@timestamp"] == "2026-05-06T07:08:09.123Z"
    assert "timestamp" not in made["wiz"]["audit"]
    assert drift["missing date: timestamp"] == 1


@pytest.mark.parametrize("address", ["999.1.1.1", "fe80::1%eth0", ["203.0.113.9"], 7])
def test_what_is_no_address_is_set_aside_and_counted(address: object) -> None:
    (made,), drift = documents(AUDIT, [audit(sourceIP=address)])
    assert "source" not in made
    assert made["wiz"]["audit"]["unmapped"] == {"sourceIP": address}
    assert drift == {"wrong type: sourceIP": 1}
    assert made["event"]["outcome"] == "success"


def test_unknown_values_and_keys_are_kept_and_counted() -> None:
    nodes = [audit(status="PARTLY", region="eu"), audit(region=None), audit(actionType="DREAM")]
    made, drift = documents(AUDIT, nodes)
    assert made[0]["wiz"]["audit"]["status"] == "PARTLY"
    assert made[0]["wiz"]["audit"]["unmapped"] == {"region": "eu"}
    assert drift == {"unknown value: status=PARTLY": 1, "unknown key: region": 2, "unknown value: actionType=DREAM": 1}


def test_odd_action_parameters_are_kept() -> None:
    made, drift = documents(AUDIT, [audit(actionParameters=["x"]), audit(actionParameters={"name": {"a": 1}})])
    assert made[0]["wiz"]["audit"]["unmapped"] == {"actionParameters": ["x"]}
    assert made[1]["wiz"]["audit"]["action_parameters"] == {"name": {"a": 1}}
    assert drift == {"wrong type: actionParameters": 1}


def test_keys_that_an_actor_never_had_are_kept_and_counted() -> None:
    performer = {"__typename": "UserSnapshot", "id": "s", "name": "n", "team": "red", "user": {"id": "u", "mfa": True}}
    (made,), drift = documents(AUDIT, [audit(performer=performer, user={"__typename": "User", "id": "u", "rank": 3})])
    unmapped = {"performer.team": "red", "performer.user.mfa": True, "user.rank": 3}
    assert made["wiz"]["audit"]["unmapped"] == unmapped
    assert drift == {f"unknown key: {key}": 1 for key in unmapped}
