"""What becomes of issues."""

from dataclasses import replace
from typing import Any

import pytest

from wiz_dagster.datasets.issue import ISSUE
from wiz_dagster_tests.datasets.making import OPTIONS, document, documents
from wiz_dagster_tests.datasets.nodes import issue


def test_the_common_fields_of_an_issue_find_their_places() -> None:
    (made,), drift = documents(ISSUE, [issue()])
    assert not drift
    wiz = made.pop("wiz")["issue"]
    assert made == {
        "@timestamp": "2026-03-02T09:59:59.123Z",
        "cloud": {"account": {"id": "112233445566", "name": "prod"}, "provider": "AWS", "region": "eu-west-1"},
        "ecs": {"version": "9.4.0"},
        "event": {
            "category": ["configuration"],
            "created": "2026-02-01T10:00:00.000Z",
            "id": "7b1d2c3e-0002-4b00-9000-00000000b001",
            "kind": "event",
            "reference": "https://app.wiz.example/issues/7b1d2c3e",
            "type": ["info"],
            "url": "https://app.wiz.io/issues#~(filters~(status~())~issue~'7b1d2c3e-0002-4b00-9000-00000000b001)",
        },
        "message": "The machine can be reached and holds a key.",
        "orchestrator": {"cluster": {"id": "k-1", "name": "blue"}, "namespace": "shop"},
        "related": {"user": ["Grace", "grace@corp.example"]},
        "tags": ["forwarded"],
        "url": {
            "domain": "console.example",
            "extension": "html",
            "fragment": "i-1",
            "original": "https://console.example:8443/ec2/v2/home.html?region=eu-west-1#i-1",
            "path": "/ec2/v2/home.html",
            "port": 8443,
            "query": "region=eu-west-1",
            "scheme": "https",
        },
    }
    assert wiz["status"] == {"changed_at": "2026-03-02T09:59:59.123Z", "value": "RESOLVED"}
    assert (wiz["created_at"], wiz["updated_at"]) == ("2026-02-01T10:00:00.000Z", "2026-03-02T10:00:00.500Z")
    assert (wiz["due_at"], wiz["resolved_at"]) == ("2026-04-01T00:00:00.000Z", "2026-03-02T09:59:59.123Z")
    assert (wiz["type"], wiz["severity"]) == ("TOXIC_COMBINATION", "HIGH")
    assert (wiz["has_code_remediation"], wiz["validated_as_exploitable"]) == (False, True)
    assert wiz["resolved_by"] == {
        "type": "USER",
        "user": {"id": "u-9", "name": "Grace", "email": "grace@corp.example"},
    }
    assert wiz["assignee"] == {"id": "i-3", "name": "Alan", "email": "alan@corp.example"}
    assert wiz["cloud_accounts"] == [
        {"id": "ca-1", "name": "prod", "external_id": "112233445566", "cloud_provider": "AWS"}
    ]


def test_the_resource_keeps_all_its_keys_and_its_tags_as_they_are() -> None:
    entity = document(ISSUE, issue())["wiz"]["issue"]["entity_snapshot"]
    assert entity == {
        "cloud": {"platform": "AWS", "provider_url": issue()["entitySnapshot"]["cloudProviderURL"]},
        "container_service": {"id": "cs-1", "name": "shop-web"},
        "created_at": "2025-12-31T23:59:59.000Z",
        "external_id": "i-1",
        "full_resource_name": "prod/web-1",
        "id": "e-1",
        "name": "web-1",
        "native_type": "ec2#instance",
        "provider_id": "arn:aws:ec2:eu-west-1:112233445566:instance/i-1",
        "region": "eu-west-1",
        "resource_group_external_id": "rg-ext-1",
        "resource_group_id": "rg-1",
        "status": "Active",
        "subscription": {"external_id": "112233445566", "id": "sub-1", "name": "prod", "tags": {"owner": "retail"}},
        "tags": {"Name": "web-1", "app.example/tier": "front"},
        "type": "VIRTUAL_MACHINE",
    }


def test_rules_notes_projects_and_tickets_are_renamed() -> None:
    wiz = document(ISSUE, issue())["wiz"]["issue"]
    first, second, third = wiz["source_rules"]
    assert first == {
        "__typename": "Control",
        "description": "The machine can be reached and holds a key.",
        "enabled": True,
        "id": "wc-id-9001",
        "name": "Public machine with a key",
        "resolution_recommendation": "Close the port.",
        "risks": ["EXTERNAL_EXPOSURE"],
        "security_sub_categories": issue()["sourceRules"][0]["securitySubCategories"],
        "severity": "HIGH",
        "threats": ["INITIAL_ACCESS"],
    }
    assert (second["enabled"], second["short_id"], second["remediation_instructions"]) == (
        False,
        "EC2-001",
        "Change the group.",
    )
    assert (third["source_type"], third["type"]) == ("CLOUD_TRAIL", "SINGLE")
    assert wiz["notes"] == [
        {
            "id": "n-1",
            "created_at": "2026-02-02T00:00:00.000Z",
            "text": "looking",
            "user": {"name": "Grace", "email": "grace@corp.example"},
        },
        {
            "id": "n-2",
            "created_at": "2026-02-03T00:00:00.000Z",
            "text": "ticket made",
            "service_account": {"name": "bot"},
        },
    ]
    assert wiz["projects"][0]["business_unit"] == "Retail"
    assert wiz["projects"][0]["risk_profile"] == {"business_impact": "HBI"}
    assert wiz["service_tickets"][0]["external_id"] == "OPS-1"


def test_without_duplicates_the_copies_of_ecs_fields_are_left_out() -> None:
    wiz = document(ISSUE, issue(), replace(OPTIONS, preserve_duplicate_custom_fields=False))["wiz"]["issue"]
    assert "created_at" not in wiz
    assert "id" not in wiz
    assert wiz["status"] == {"value": "RESOLVED"}
    assert "region" not in wiz["entity_snapshot"]
    assert set(wiz["entity_snapshot"]["cloud"]) == {"provider_url"}


@pytest.mark.parametrize(
    ("changes", "moment"),
    [
        ({"statusChangedAt": None}, "2026-02-01T10:00:00.000Z"),
        ({"statusChangedAt": "soon", "createdAt": None}, "2026-03-02T10:00:00.500Z"),
        ({"statusChangedAt": None, "createdAt": "", "updatedAt": "null"}, "2026-05-06T07:08:09.123Z"),
    ],
)
def test_an_issue_without_a_status_change_takes_the_next_best_date(changes: dict[str, Any], moment: str) -> None:
    (made,), drift = documents(ISSUE, [issue(**changes)])
    assert made["@timestamp"] == moment
    assert "changed_at" not in made["wiz"]["issue"]["status"]
    assert drift["missing date: statusChangedAt"] == 1


def test_one_odd_rule_note_or_ticket_costs_the_others_nothing() -> None:
    rule = {"id": "r", "name": "n", "description": "", "risks": "RISK"}
    node = issue(
        sourceRules=[None, rule, {"description": "said", "id": {"deep": 1}}],
        notes=[{"text": "undated"}, {"createdAt": "2026-01-01T00:00:00Z", "created_at": "x", "text": "second"}],
        serviceTickets=[{"externalId": "a", "external_id": "b"}, {"externalId": "c"}],
    )
    (made,), drift = documents(ISSUE, [node])
    wiz = made["wiz"]["issue"]
    assert wiz["source_rules"] == [{"id": "r", "name": "n", "risks": "RISK"}, {"description": "said"}]
    assert made["message"] == "said"
    assert wiz["notes"][1] == {"created_at": "2026-01-01T00:00:00.000Z", "text": "second"}
    assert wiz["service_tickets"] == [{"external_id": "a"}, {"external_id": "c"}]
    assert wiz["unmapped"]["serviceTickets.external_id"] == "b"
    assert wiz["unmapped"]["sourceRules.id"] == {"deep": 1}
    assert set(drift) == {
        "wrong type: serviceTickets.external_id",
        "wrong type: sourceRules.id",
        "wrong type: notes.created_at",
    }


def test_a_single_rule_in_the_place_of_the_list_is_kept() -> None:
    made = document(ISSUE, issue(sourceRules={"id": "r", "description": "alone"}))
    assert made["wiz"]["issue"]["source_rules"] == [{"id": "r", "description": "alone"}]
    assert made["message"] == "alone"


def test_shapes_of_older_apis_find_their_places() -> None:
    old = issue(
        sourceRule={"__typename": "Control", "id": "r", "controlDescription": "older"},
        note="written long ago",
        project={"id": "p", "businessUnit": "B"},
        entity={"id": "e", "name": "thing"},
    )
    for key in ("sourceRules", "notes", "projects", "entitySnapshot"):
        del old[key]
    (made,), drift = documents(ISSUE, [old])
    wiz = made["wiz"]["issue"]
    assert made["message"] == "older"
    assert wiz["source_rules"] == [{"__typename": "Control", "id": "r", "description": "older"}]
    assert wiz["notes"] == {"text": "written long ago"}
    assert wiz["projects"] == {"id": "p", "business_unit": "B"}
    assert wiz["entity_snapshot"] == {"id": "e", "name": "thing"}
    assert set(drift) == {f"missing key: {key}" for key in ("sourceRules", "notes", "projects", "entitySnapshot")}


def test_the_text_null_stands_for_nothing_where_an_object_a_list_or_a_date_is_due() -> None:
    node = issue(dueAt="null", sourceRules="null", notes="null", entitySnapshot={"tags": "null", "id": "e"})
    (made,), drift = documents(ISSUE, [node])
    wiz = made["wiz"]["issue"]
    assert {"due_at", "source_rules", "notes"}.isdisjoint(wiz)
    assert wiz["entity_snapshot"] == {"id": "e"}
    assert not drift


def test_the_text_null_in_place_of_a_rules_sub_categories_stands_for_nothing() -> None:
    (made,), drift = documents(ISSUE, [issue(sourceRules=[{"id": "r", "securitySubCategories": "null"}])])
    assert made["wiz"]["issue"]["source_rules"] == [{"id": "r"}]
    assert not drift


def test_what_has_another_type_inside_a_list_is_set_aside_and_the_rest_stays() -> None:
    node = issue(
        notes=[{"text": {"rich": "text"}, "user": "Ada", "mood": "good"}],
        projects=[{"id": ["p"], "name": [{"x": 1}], "riskProfile": {"businessImpact": {"level": 3}}}],
        serviceTickets=[{"url": {"href": "x"}, "name": "T"}],
        sourceRules=[
            {"id": "r", "enabled": "yes", "securitySubCategories": [{"title": "t", "category": {"framework": "F"}}, 5]}
        ],
        cloudAccounts=[{"id": {"a": 1}, "name": "prod"}],
    )
    given = repr(node)
    wiz = document(ISSUE, node)["wiz"]["issue"]
    assert wiz["notes"] == [{"mood": "good"}]
    assert wiz["projects"] == [{"id": ["p"]}]
    assert wiz["service_tickets"] == [{"name": "T"}]
    assert wiz["source_rules"] == [{"id": "r", "security_sub_categories": [{"title": "t"}]}]
    assert wiz["cloud_accounts"] == [{"name": "prod"}]
    assert wiz["unmapped"] == {
        "projects.name": [{"x": 1}],
        "projects.risk_profile.business_impact": {"level": 3},
        "serviceTickets.url": {"href": "x"},
        "notes.text": {"rich": "text"},
        "notes.user": "Ada",
        "sourceRules.enabled": "yes",
        "sourceRules.securitySubCategories": 5,
        "sourceRules.securitySubCategories.category.framework": "F",
        "cloudAccounts.id": {"a": 1},
    }
    assert repr(node) == given


def test_keys_that_an_inner_object_never_had_are_kept_and_counted() -> None:
    full = issue()
    node = issue(
        entitySnapshot={**full["entitySnapshot"], "zone": "eu-west-1b"},
        sourceRules=[{"id": "r", "graphId": "g"}, {"id": "q", "graphId": "h"}, {"graphId": ["i"]}],
        resolvedBy={"type": "USER", "user": {"id": "u", "rank": 3}, "bot": None},
        assignee={"id": "a", "team": "red"},
        notes=[{"text": "t", "mood": "good"}],
        projects=[{"id": "p", "riskProfile": {"businessImpact": "HBI", "isActivelyDeveloped": "YES"}}],
    )
    (made,), drift = documents(ISSUE, [node])
    wiz = made["wiz"]["issue"]
    assert wiz["unmapped"] == {
        "entitySnapshot.zone": "eu-west-1b",
        "sourceRules.graphId": ["g", "h", ["i"]],
        "resolvedBy.user.rank": 3,
        "assignee.team": "red",
    }
    assert wiz["notes"] == [{"text": "t", "mood": "good"}]
    assert wiz["projects"][0]["riskProfile"] == {"isActivelyDeveloped": "YES"}
    assert drift == {
        "unknown key: entitySnapshot.zone": 1,
        "unknown key: sourceRules.graphId": 3,
        "unknown key: resolvedBy.bot": 1,
        "unknown key: resolvedBy.user.rank": 1,
        "unknown key: assignee.team": 1,
        "unknown key: notes.mood": 1,
        "unknown key: projects.riskProfile": 1,
    }
