"""What becomes of configuration findings, changed ones and those of a full posture."""

from dataclasses import replace
from typing import Any

import pytest

from wiz_dagster.dataset_settings import filter_by
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.datasets.cloud_configuration_finding import CLOUD_CONFIGURATION_FINDING
from wiz_dagster.datasets.cloud_configuration_finding_full_posture import CLOUD_CONFIGURATION_FINDING_FULL_POSTURE
from wiz_dagster.datasets.configuration_findings import KEYS
from wiz_dagster.ecs.fingerprint import fingerprint
from wiz_dagster_tests.datasets.making import OPTIONS, document, documents
from wiz_dagster_tests.datasets.nodes import CONFIGURATION_FINDING, configuration_finding

CHANGES = CLOUD_CONFIGURATION_FINDING
POSTURE = CLOUD_CONFIGURATION_FINDING_FULL_POSTURE
NO_COPIES = replace(OPTIONS, preserve_duplicate_custom_fields=False)
SWEPT = "2026-05-06T07:08:09.123Z"

both = pytest.mark.parametrize("dataset", [CHANGES, POSTURE], ids=lambda dataset: dataset.name)


def own(dataset: Dataset, node: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The fields of our own in the node's document."""
    made: dict[str, Any] = document(dataset, node, **options)["wiz"][dataset.stream]
    return made


def resource(**changes: Any) -> dict[str, Any]:
    """The finding with some keys of its resource changed."""
    return configuration_finding(resource={**CONFIGURATION_FINDING["resource"], **changes})


@both
def test_every_selected_key_has_a_place_in_the_document(dataset: Dataset) -> None:
    assert dataset.selected_keys() == KEYS
    assert dataset.query().partition("{")[2] == CHANGES.query().partition("{")[2]


def test_the_common_fields_of_a_finding_find_their_places() -> None:
    (made,), drift = documents(CHANGES, [configuration_finding()])
    assert not drift
    del made["wiz"]
    console = "https://console.example/s3/buckets/shop-invoices?tab=permissions"
    assert made == {
        "@timestamp": "2026-03-05T04:03:02.123Z",
        "cloud": {
            "account": {"id": "665544332211", "name": "shop"},
            "provider": "aws",
            "region": "eu-west-1",
            "service": {"name": "aws"},
        },
        "ecs": {"version": "9.4.0"},
        "event": {
            "category": ["configuration"],
            "created": "2026-03-05T04:03:02.123Z",
            "id": "c0f1a2b3-0003-4c00-9000-00000000c001",
            "kind": "state",
            "outcome": "failure",
            "type": ["info"],
            "url": "https://app.wiz.io/findings/configuration-findings/cloud#~(filters~(status~()~rule~(equals~(~'"
            "5c1d0e2f-0004-4d00-9000-00000000d001)))~groupBy~(~)~entity~(~'"
            "c0f1a2b3-0003-4c00-9000-00000000c001*2cCONFIGURATION_FINDING))",
        },
        "message": "The rule fails where a bucket's policy lets everyone read it.",
        "observer": {"vendor": "Wiz"},
        "resource": {
            "id": "arn:aws:s3:::shop-invoices",
            "name": "Shop-Invoices",
            "sub_type": "bucket",
            "type": "BUCKET",
        },
        "result": {
            "evaluation": "failed",
            "evidence": {
                "cloud_configuration_link": console,
                "configuration_path": "Policy.Statement[0].Principal",
                "current_value": "policy lets * read",
                "expected_value": "policy names who may read",
            },
        },
        "rule": {
            "description": "The rule fails where a bucket's policy lets everyone read it.",
            "id": "S3-001",
            "name": "Bucket should not let anyone read",
            "reference": console,
            "remediation": "Take the public grant off.",
            "uuid": "5c1d0e2f-0004-4d00-9000-00000000d001",
        },
        "tags": ["forwarded"],
    }


@both
def test_what_elastics_integration_loses_is_kept_also_without_copies(dataset: Dataset) -> None:
    assert own(dataset, configuration_finding(), options=NO_COPIES) == {
        "deleted": False,
        "first_seen_at": "2026-01-02T03:04:05.000Z",
        "ignore_rules": {"id": ["ir-1"], "name": ["known invoices"]},
        "name": "Bucket lets anyone read",
        "note": {
            "created_at": "2026-02-01T00:00:00.000Z",
            "text": "public until the move",
            "updated_at": "2026-02-02T00:00:00.000Z",
            "user": {"email": "grace@corp.example", "name": "Grace"},
        },
        "rejection_expired_at": "2026-09-01T00:00:00.000Z",
        "remediation": "Take the public grant off `shop-invoices`.",
        "resolution_reason": "RISK_ACCEPTED",
        "resource": {
            "cloud_platform": "AWS",
            "cloud_provider_url": "https://console.example/s3/buckets/shop-invoices",
            "has_access_to_sensitive_data": False,
            "has_admin_privileges": False,
            "has_high_privileges": False,
            "has_sensitive_data": True,
            "id": "e-77",
            "is_accessible_from_internet": True,
            "is_accessible_from_other_subscriptions": False,
            "is_accessible_from_other_vnets": False,
            "is_open_to_all_internet": True,
            "native_type": "bucket",
            "projects": {
                "business_unit": ["Retail"],
                "id": ["p-1", "p-2"],
                "name": ["Payments", "Shop"],
                "risk_profile": {"business_impact": ["HBI", "MBI"]},
            },
            "public_access_types": ["READ", "LIST"],
            "resource_group_id": "rg-7",
            "status": "Active",
            "subscription": {"id": "sub-7"},
            "tags": {"aws:cloudformation:stack.name": "shop", "owner": "retail", "pci": True},
        },
        "result": "FAIL",
        "rule": {
            "function_as_control": True,
            "graph_id": "g-1",
            "risks": ["EXTERNAL_EXPOSURE"],
            "tags": {"team": "storage"},
            "threats": ["INITIAL_ACCESS"],
        },
        "security_sub_categories": {
            "category": {"framework": {"name": ["House rules", "Wiz"]}, "name": ["1 Storage", "Network"]},
            "title": ["1.1 Closed storage", "Exposure"],
        },
        "severity": "HIGH",
        "source": "WIZ_CSPM",
        "status": "REJECTED",
        "status_changed_at": "2026-02-28T23:59:59.999Z",
        "target_external_id": "s3/shop-invoices",
        "target_object_provider_unique_id": "arn:aws:s3:::shop-invoices",
        "updated_at": "2026-03-05T04:03:03.500Z",
    }


@both
def test_copies_of_ecs_fields_are_there_when_they_are_wanted(dataset: Dataset) -> None:
    wanted = own(dataset, configuration_finding())
    assert wanted["analyzed_at"] == "2026-03-05T04:03:02.123Z"
    assert wanted["id"] == CONFIGURATION_FINDING["id"]
    assert wanted["evidence"]["current_value"] == "policy lets * read"
    assert wanted["resource"]["provider_id"] == "arn:aws:s3:::shop-invoices"
    assert wanted["resource"]["subscription"] == {
        "cloud_provider": "AWS",
        "external_id": "665544332211",
        "id": "sub-7",
        "name": "shop",
    }
    assert wanted["rule"]["short_id"] == "S3-001"
    assert wanted["rule"]["remediation_instructions"] == "Take the public grant off."


def test_a_swept_finding_has_the_time_of_the_sweep_and_the_rules_name_as_message() -> None:
    (made,), drift = documents(POSTURE, [configuration_finding()])
    assert not drift
    assert made["@timestamp"] == SWEPT
    assert made["event"]["created"] == "2026-03-05T04:03:02.123Z"
    assert made["message"] == "Bucket should not let anyone read"
    assert made["event"]["url"] == document(CHANGES, configuration_finding())["event"]["url"]
    assert "gone" not in made["wiz"][POSTURE.stream]


def test_a_deleted_finding_says_so() -> None:
    assert own(CHANGES, configuration_finding(deleted=True))["deleted"] is True


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), "2026-03-05T04:03:02.123Z"),
        (("analyzedAt",), "2026-03-05T04:03:03.500Z"),
        (("analyzedAt", "updatedAt"), "2026-01-02T03:04:05.000Z"),
        (("analyzedAt", "updatedAt", "firstSeenAt"), SWEPT),
    ],
)
def test_a_finding_without_an_analysis_has_the_next_best_time(missing: tuple[str, ...], expected: str) -> None:
    node = configuration_finding(**dict.fromkeys(missing))
    (made,), drift = documents(CHANGES, [node])
    assert made["@timestamp"] == expected
    assert drift == ({"missing date: analyzedAt": 1} if missing else {})
    assert document(POSTURE, node)["@timestamp"] == SWEPT


@both
@pytest.mark.parametrize(
    ("result", "evaluation", "outcome"),
    [
        ("PASS", "passed", "success"),
        ("pass", "passed", "success"),
        ("FAIL", "failed", "failure"),
        ("Fail", "failed", "failure"),
        ("ERROR", "unknown", "unknown"),
        ("NOT_ASSESSED", "unknown", "unknown"),
        (None, "unknown", "unknown"),
        (["PASS"], "unknown", "unknown"),
        ({"of": "PASS"}, "unknown", "unknown"),
    ],
)
def test_a_result_passes_or_fails_however_it_is_written(
    dataset: Dataset, result: Any, evaluation: str, outcome: str
) -> None:
    made = document(dataset, configuration_finding(result=result))
    assert made["result"]["evaluation"] == evaluation
    assert made["event"]["outcome"] == outcome


@both
def test_unknown_values_of_enumerations_are_kept_and_counted(dataset: Dataset) -> None:
    node = configuration_finding(result="IN_PROGRESS", severity="AWFUL", status="open")
    (made,), drift = documents(dataset, [node])
    kept = made["wiz"][dataset.stream]
    assert (kept["result"], kept["severity"], kept["status"]) == ("IN_PROGRESS", "AWFUL", "open")
    assert drift == {
        "unknown value: result=IN_PROGRESS": 1,
        "unknown value: severity=AWFUL": 1,
        "unknown value: status=open": 1,
    }


@both
def test_numbers_and_lists_in_place_of_names_stop_nothing(dataset: Dataset) -> None:
    node = resource(cloudPlatform=7, subscription={"cloudProvider": 8.5}, name=9, type="VIRTUAL_MACHINE")
    made = document(dataset, node)
    assert made["cloud"] == {"provider": 8.5, "region": "eu-west-1", "service": {"name": 7}}
    assert made["host"] == {"name": 9}
    made = document(dataset, resource(subscription={"cloudProvider": ["AWS", "GCP"]}))
    assert made["cloud"]["provider"] == ["aws", "gcp"]


@both
def test_a_virtual_machine_is_a_host_and_a_user_account_a_user(dataset: Dataset) -> None:
    machine = document(dataset, resource(type="VIRTUAL_MACHINE"))
    assert machine["host"] == {"name": "shop-invoices"}
    assert "user" not in machine
    account = document(dataset, resource(type="USER_ACCOUNT"))
    assert account["user"] == {"id": "arn:aws:s3:::shop-invoices", "name": "Shop-Invoices"}
    assert "host" not in account


@both
@pytest.mark.parametrize("provider", [None, "", {"an": "object"}])
def test_a_resource_unknown_to_the_provider_goes_by_its_id_in_wiz(dataset: Dataset, provider: Any) -> None:
    assert document(dataset, resource(providerId=provider))["resource"]["id"] == "e-77"


@both
@pytest.mark.parametrize("gone", [{"resource": None}, {"resource": {"id": "e-77", "subscription": None}}])
def test_a_subscription_that_the_resource_lacks_is_the_findings_own(dataset: Dataset, gone: dict[str, Any]) -> None:
    made = document(dataset, configuration_finding(**gone))
    assert made["cloud"] == {"account": {"id": "665544332211", "name": "shop"}, "provider": "aws"}
    assert made["wiz"][dataset.stream]["resource"]["subscription"]["id"] == "sub-7"


@both
def test_tags_are_kept_whatever_their_keys_and_odd_ones_are_set_aside(dataset: Dataset) -> None:
    tags = [
        {"key": "app.example/tier", "value": "front"},
        {"key": "aws:autoscaling:groupName", "value": "web"},
        {"key": "bare", "value": None},
        {"key": "twice", "value": "a"},
        {"key": "twice", "value": "b"},
        {"key": "twice", "value": "c"},
        {"key": "more", "value": "v", "source": "cloud"},
        {"value": "keyless"},
        {"key": "deep", "value": {"a": 1}},
        "text",
        None,
    ]
    (made,), drift = documents(dataset, [resource(tags=tags)])
    kept = made["wiz"][dataset.stream]
    assert kept["resource"]["tags"] == {
        "app.example/tier": "front",
        "aws:autoscaling:groupName": "web",
        "bare": True,
        "more": "v",
        "twice": ["a", "b", "c"],
    }
    assert kept["unmapped"] == {
        "resource.tags": ["text", {"value": "keyless"}, {"key": "deep", "value": {"a": 1}}],
        "resource.tags.source": "cloud",
    }
    assert drift == {"wrong type: resource.tags": 3, "unknown key: resource.tags.source": 1}


@both
@pytest.mark.parametrize("tags", [None, []])
def test_a_resource_without_tags_has_none(dataset: Dataset, tags: Any) -> None:
    (made,), drift = documents(dataset, [resource(tags=tags)])
    assert "tags" not in made["wiz"][dataset.stream]["resource"]
    assert not drift


@both
def test_a_finding_of_older_days_without_evidence_and_most_keys_is_a_document(dataset: Dataset) -> None:
    node = {
        "id": "f",
        "firstSeenAt": "2024-06-04 02:28:06.763277000",
        "severity": "NONE",
        "result": "FAIL",
        "targetObjectProviderUniqueId": None,
        "resource": {"id": "e", "providerId": None, "tags": None, "projects": [{"id": "p", "name": "P", "slug": "p"}]},
        "rule": {"id": "r", "graphId": "g", "functionAsControl": False, "opaPolicy": "package wiz"},
        "securitySubCategories": [
            {"id": "s", "title": "Line one\nline two", "category": {"id": "c", "name": "C", "framework": None}},
            None,
        ],
    }
    (made,), drift = documents(dataset, [node])
    kept = made["wiz"][dataset.stream]
    assert made["@timestamp"] == ("2024-06-04T02:28:06.763Z" if dataset is CHANGES else SWEPT)
    assert kept["resource"]["projects"] == {"id": ["p"], "name": ["P"]}
    assert kept["security_sub_categories"] == {"title": ["Line one\nline two"], "category": {"name": ["C"]}}
    assert kept["unmapped"] == {
        "resource.projects.slug": "p",
        "rule.opaPolicy": "package wiz",
        "securitySubCategories.category.id": "c",
        "securitySubCategories.id": "s",
    }
    assert drift["missing key: evidence"] == drift["unknown key: rule.opaPolicy"] == 1


@both
def test_values_of_another_type_are_set_aside_and_the_rest_stays(dataset: Dataset) -> None:
    node = configuration_finding(
        id={"a": "b"},
        rule="text",
        evidence={"currentValue": {"a": 1}, "expectedValue": 0},
        deleted="perhaps",
        analyzedAt="yesterday",
        ignoreRules={"id": "only one", "name": {"rich": "text"}},
        securitySubCategories=["text", {"title": "t", "category": "c"}],
    )
    given = repr(node)
    made = document(dataset, node)
    kept = made["wiz"][dataset.stream]
    assert made["result"]["evidence"] == {"expected_value": 0}
    assert "id" not in made["event"]
    assert "url" not in made["event"]
    assert kept["ignore_rules"] == {"id": ["only one"]}
    assert kept["security_sub_categories"] == {"title": ["t"]}
    assert kept["unmapped"] == {
        "analyzedAt": "yesterday",
        "deleted": "perhaps",
        "evidence.currentValue": {"a": 1},
        "id": {"a": "b"},
        "ignoreRules.name": {"rich": "text"},
        "rule": "text",
        "securitySubCategories": "text",
        "securitySubCategories.category": "c",
    }
    assert repr(node) == given


def test_changes_include_deleted_findings_and_a_sweep_leaves_them_out_both_of_all_statuses() -> None:
    wanted = {"project": ["p"], "cloud_account": ["sub"], "result": ["FAIL"], "severity": ["HIGH"]}
    asked = {
        "status": ["OPEN", "IN_PROGRESS", "REJECTED", "RESOLVED"],
        "resource": {"projectId": ["p"], "subscriptionId": ["sub"]},
        "result": ["FAIL"],
        "severity": ["HIGH"],
    }
    assert filter_by(CHANGES, wanted) == {"includeDeleted": True, **asked}
    assert filter_by(POSTURE, wanted) == {"includeDeleted": False, **asked}


def test_the_two_datasets_have_fingerprints_of_their_own() -> None:
    assert fingerprint(CHANGES, OPTIONS) != fingerprint(POSTURE, OPTIONS)
