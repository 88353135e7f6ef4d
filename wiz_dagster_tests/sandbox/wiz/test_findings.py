"""Vulnerability and configuration findings of the emulator, held against a plain scan of its tenant."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest

from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import DAY, micros, micros_of_text
from wiz_dagster.sandbox.wiz.truth import moment_of, nodes_of_day, nodes_of_snapshot, nodes_of_window

from .conftest import NOW, Caller, Start

VULNERABILITIES = """
query V($first: Int, $after: String, $filterBy: VulnerabilityFindingFilters, $orderBy: VulnerabilityFindingOrder) {
  vulnerabilityFindings(first: $first, after: $after, filterBy: $filterBy, orderBy: $orderBy) {
    nodes {
      id status severity updatedAt firstDetectedAt
      vulnerableAsset {
        __typename
        ... on VulnerableAssetBase { type }
        ... on VulnerableAssetVirtualMachine { operatingSystem }
        ... on VulnerableAssetContainer { PodName }
      }
    }
    pageInfo { hasNextPage endCursor }
    totalCount
    maxCountReached
  }
}
"""
CONFIGURATIONS = """
query C($first: Int, $after: String, $filterBy: ConfigurationFindingFilters, $orderBy: ConfigurationFindingOrder) {
  configurationFindings(first: $first, after: $after, filterBy: $filterBy, orderBy: $orderBy, quick: true) {
    nodes { id status result severity deleted updatedAt firstSeenAt resource { id projects { id } } }
    pageInfo { hasNextPage endCursor }
    totalCount
    maxCountReached
  }
}
"""
QUERIES = {"vulnerability": VULNERABILITIES, "cloud_configuration_finding": CONFIGURATIONS}
DATASETS = tuple(QUERIES)
POSTURE = "cloud_configuration_finding_full_posture"
STATUSES = ["OPEN", "IN_PROGRESS", "RESOLVED", "REJECTED"]
EVERYTHING: dict[str, dict[str, Any]] = {
    "vulnerability": {"status": STATUSES},
    "cloud_configuration_finding": {"includeDeleted": True},
}
YESTERDAY = {"after": "2026-03-03T23:59:59.999999Z", "before": "2026-03-05T00:00:00Z"}


def _tenant(now: datetime = NOW, days: int = 16, volume: int = 60) -> Tenant:
    return Tenant(now=now, days=days, volumes=dict.fromkeys(DATASETS, volume))


def _ids(nodes: Any) -> list[str]:
    return sorted(node["id"] for node in nodes)


def _all_nodes(tenant: Tenant, dataset: str) -> list[dict[str, Any]]:
    """Read without filters, and without the truth."""
    source, now = tenant.source(dataset), micros(tenant.now)
    return [node for block in source.blocks({}, now) for node in source.nodes(block, now)]


@pytest.fixture(scope="module")
def findings() -> dict[str, list[dict[str, Any]]]:
    tenant = _tenant(volume=300)
    return {dataset: _all_nodes(tenant, dataset) for dataset in DATASETS}


@pytest.fixture
def caller(start: Start) -> Caller:
    return start(_tenant())


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_walk_over_a_day_gets_what_the_day_truly_holds(caller: Caller, dataset: str) -> None:
    truth = list(nodes_of_day(caller.emulator.tenant, dataset, "2026-03-04"))
    found = caller.walk(QUERIES[dataset], first=37, filterBy=EVERYTHING[dataset] | {"updatedAt": YESTERDAY})
    assert len(truth) > 50
    assert _ids(found) == _ids(truth)
    page = caller.data(QUERIES[dataset], first=0, filterBy=EVERYTHING[dataset] | {"updatedAt": YESTERDAY})
    assert (page["totalCount"], page["maxCountReached"]) == (len(truth), False)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("hours", [0, 5, 100, 337])
def test_the_truth_of_a_window_is_what_all_nodes_say(dataset: str, hours: int) -> None:
    tenant = _tenant(volume=30)
    start = NOW - timedelta(hours=hours + 24)
    for length in (timedelta(minutes=7), timedelta(hours=24)):
        expected = [
            node
            for node in _all_nodes(tenant, dataset)
            if (moment := moment_of(node, dataset)) and start <= moment < start + length
        ]
        assert _ids(nodes_of_window(tenant, dataset, start, start + length)) == _ids(expected)


def test_vulnerabilities_are_open_ones_unless_other_statuses_are_asked_for(caller: Caller) -> None:
    everything = _all_nodes(caller.emulator.tenant, "vulnerability")
    opened = [node for node in everything if node["status"] == "OPEN"]
    assert 0 < len(opened) < len(everything)
    assert _ids(caller.walk(VULNERABILITIES)) == _ids(opened)
    closed = [node for node in everything if node["status"] in ("RESOLVED", "REJECTED")]
    assert _ids(caller.walk(VULNERABILITIES, filterBy={"status": ["RESOLVED", "REJECTED"]})) == _ids(closed)


def test_deleted_findings_are_among_the_others_only_when_asked_for(caller: Caller) -> None:
    everything = _all_nodes(caller.emulator.tenant, "cloud_configuration_finding")
    shown = [node for node in everything if not node.get("deleted")]
    assert 0 < len(shown) < len(everything)
    for filters in (None, {}, {"includeDeleted": False}, {"includeDeleted": None}):
        assert _ids(caller.walk(CONFIGURATIONS, filterBy=filters)) == _ids(shown)
    assert _ids(caller.walk(CONFIGURATIONS, filterBy={"includeDeleted": True})) == _ids(everything)


def test_a_sweep_of_the_posture_finds_what_the_tenant_truly_holds(caller: Caller) -> None:
    tenant = caller.emulator.tenant
    truth = list(nodes_of_snapshot(tenant, POSTURE))
    found = caller.walk(CONFIGURATIONS, filterBy={"includeDeleted": False, "status": STATUSES})
    assert _ids(found) == _ids(truth)
    assert any("updatedAt" not in node for node in truth)
    assert tenant.source(POSTURE) is tenant.source("cloud_configuration_finding")


def test_both_datasets_of_configuration_findings_read_nodes_given_by_either_name(start: Start) -> None:
    nodes: list[dict[str, Any]] = [{"id": "a", "deleted": True}, {"id": "b", "deleted": False}, {"id": "c"}]
    for name in ("cloud_configuration_finding", POSTURE):
        caller = start(Tenant(now=NOW, given={name: nodes}))
        assert _ids(caller.walk(CONFIGURATIONS)) == ["b", "c"]
        assert _ids(nodes_of_snapshot(caller.emulator.tenant, POSTURE)) == ["b", "c"]


def test_filters_of_vulnerabilities_leave_what_a_plain_scan_leaves(caller: Caller) -> None:
    everything = _all_nodes(caller.emulator.tenant, "vulnerability")
    with_asset = [node for node in everything if node["vulnerableAsset"]]
    project = next(node["projects"][0]["id"] for node in everything if node["projects"])
    account = with_asset[0]["vulnerableAsset"]["subscriptionExternalId"]
    expected: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"severity": ["CRITICAL", "HIGH"]}, [n for n in everything if n["severity"] in ("CRITICAL", "HIGH")]),
        (
            {"projectIdV2": {"equals": [project]}},
            [n for n in everything if project in [one["id"] for one in n["projects"] or []]],
        ),
        (
            {"subscriptionExternalId": [account]},
            [n for n in with_asset if n["vulnerableAsset"]["subscriptionExternalId"] == account],
        ),
        ({"assetType": ["CONTAINER"]}, [n for n in with_asset if n["vulnerableAsset"]["type"] == "CONTAINER"]),
        ({"id": _ids(everything[:3])}, everything[:3]),
    ]
    for filters, nodes in expected:
        assert nodes
        assert _ids(caller.walk(VULNERABILITIES, filterBy={"status": STATUSES} | filters)) == _ids(nodes)


def test_filters_of_configuration_findings_leave_what_a_plain_scan_leaves(caller: Caller) -> None:
    everything = list(nodes_of_snapshot(caller.emulator.tenant, POSTURE))
    placed = [node for node in everything if node["resource"]]
    project = next(node["resource"]["projects"][0]["id"] for node in placed if node["resource"]["projects"])
    account = placed[0]["resource"]["subscription"]["id"]
    of_project = [n for n in placed if project in [one["id"] for one in n["resource"]["projects"] or []]]
    of_account = [n for n in placed if n["resource"]["subscription"]["id"] == account]
    expected: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"severity": ["NONE"]}, [n for n in everything if n["severity"] == "NONE"]),
        ({"result": ["FAIL", "ERROR"]}, [n for n in everything if n["result"] in ("FAIL", "ERROR")]),
        ({"status": ["REJECTED"]}, [n for n in everything if n["status"] == "REJECTED"]),
        ({"resource": {"projectId": [project]}}, of_project),
        (
            {"resource": {"projectId": [project], "subscriptionId": [account]}},
            [n for n in of_project if n in of_account],
        ),
        ({"resource": {"subscriptionId": [account]}}, of_account),
        (
            {"rule": {"id": [everything[0]["rule"]["id"]]}},
            [n for n in everything if n["rule"] is everything[0]["rule"]],
        ),
    ]
    for filters, nodes in expected:
        assert _ids(caller.walk(CONFIGURATIONS, filterBy=filters)) == _ids(nodes)


@pytest.mark.parametrize(("dataset", "name", "key"), [
    ("vulnerability", "firstSeenAt", "firstDetectedAt"),
    ("vulnerability", "statusUpdatedAt", "statusUpdatedAt"),
    ("vulnerability", "resolvedAt", "resolvedAt"),
    ("cloud_configuration_finding", "firstSeenAt", "firstSeenAt"),
    ("cloud_configuration_finding", "analyzedAt", "analyzedAt"),
    ("cloud_configuration_finding", "statusChangedAt", "statusChangedAt"),
])  # fmt: skip
def test_each_date_filters_what_a_plain_scan_leaves(caller: Caller, dataset: str, name: str, key: str) -> None:
    low, high = (micros_of_text(YESTERDAY[bound]) for bound in ("after", "before"))
    within = [
        node for node in _all_nodes(caller.emulator.tenant, dataset) if low < micros_of_text(node.get(key)) < high
    ]
    assert within
    assert _ids(caller.walk(QUERIES[dataset], filterBy=EVERYTHING[dataset] | {name: YESTERDAY})) == _ids(within)


@pytest.mark.parametrize(("query", "variables", "says"), [
    (VULNERABILITIES, {"filterBy": {"hasExploit": True}}, "filter hasExploit of vulnerabilityFindings"),
    (VULNERABILITIES, {"filterBy": {"projectIdV2": {"notEquals": ["x"]}}}, "projectIdV2.notEquals"),
    (VULNERABILITIES, {"filterBy": {"status": []}}, "status is an empty list"),
    (VULNERABILITIES, {"orderBy": {"field": "INCREMENTAL", "direction": "ASC"}}, "can't order"),
    (VULNERABILITIES, {"orderBy": {"direction": "ASC"}}, "can't order"),
    (CONFIGURATIONS, {"filterBy": {"resource": {"region": {"equals": ["x"]}}}}, "resource.region.equals"),
    (CONFIGURATIONS, {"filterBy": {"updatedAt": {"inLast": {"amount": 1}}}}, "updatedAt.inLast"),
])  # fmt: skip
def test_what_the_emulator_lacks_is_refused(caller: Caller, query: str, variables: dict[str, Any], says: str) -> None:
    code, message = caller.error(query, **variables)
    assert code == "BAD_USER_INPUT"
    assert says in message


def test_findings_can_be_ordered_by_when_they_were_first_seen(caller: Caller) -> None:
    order = {"field": "CREATED_AT", "direction": "DESC"}
    times = [micros_of_text(n["firstDetectedAt"]) for n in caller.walk(VULNERABILITIES, orderBy=order)]
    assert times == sorted(times, reverse=True)
    order = {"field": "FIRST_SEEN_AT", "direction": "ASC"}
    times = [micros_of_text(n["firstSeenAt"]) for n in caller.walk(CONFIGURATIONS, orderBy=order)]
    assert times == sorted(times)


def test_an_asset_is_answered_by_its_own_kind(caller: Caller) -> None:
    found = [node["vulnerableAsset"] for node in caller.walk(VULNERABILITIES, filterBy={"status": STATUSES})]
    assets = [asset for asset in found if asset]
    assert len(assets) < len(found)
    machines = [one for one in assets if one["__typename"] == "VulnerableAssetVirtualMachine"]
    containers = [one for one in assets if one["__typename"] == "VulnerableAssetContainer"]
    assert machines[0].keys() == {"__typename", "type", "operatingSystem"}
    assert containers[0].keys() == {"__typename", "type", "PodName"}
    assert {one["__typename"] for one in assets} >= {"VulnerableAssetServerless", "VulnerableAssetRocket"}


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_finding_changes_with_the_clock_and_its_version_with_it(dataset: str) -> None:
    looks = [_all_nodes(_tenant(NOW - timedelta(days=back), days=16 - back), dataset) for back in (6, 4, 2, 0)]
    statuses, versions = [], []
    for earlier, later in pairwise(looks):
        now = {node["id"]: node for node in later}
        assert now.keys() > {node["id"] for node in earlier}
        for node in earlier:
            if node.get("updatedAt") == now[node["id"]].get("updatedAt"):
                assert node == now[node["id"]] or "updatedAt" not in node
            else:
                versions.append(micros_of_text(now[node["id"]]["updatedAt"]) > micros_of_text(node["updatedAt"]))
                statuses.append(f"{node['status']}>{now[node['id']]['status']}")
    assert len(versions) > 200
    assert all(versions)
    assert {"OPEN>RESOLVED", "OPEN>IN_PROGRESS", "OPEN>REJECTED", "RESOLVED>OPEN"} <= set(statuses)


@pytest.mark.parametrize("dataset", DATASETS)
def test_nothing_lies_in_the_future_and_times_tie(findings: dict[str, list[dict[str, Any]]], dataset: str) -> None:
    for name in ("updatedAt", "firstDetectedAt", "firstSeenAt", "lastDetectedAt", "analyzedAt"):
        assert max(micros_of_text(node.get(name)) for node in findings[dataset]) <= micros(NOW)
    changes = [micros_of_text(node["updatedAt"]) for node in findings[dataset] if "updatedAt" in node]
    assert Counter(changes).most_common(1)[0][1] > 1
    assert any(change % DAY == 0 for change in changes)
    assert all(node["updatedAt"] is not None for node in findings[dataset] if "updatedAt" in node)


def test_odd_shapes_are_among_the_vulnerabilities(findings: dict[str, list[dict[str, Any]]]) -> None:
    nodes = findings["vulnerability"]
    assert any("score" not in node for node in nodes)
    assert any(len(node) < 15 for node in nodes)
    assert any(type(node.get("score")) is int and node["vendorSeverity"] == "CRITICAL" for node in nodes)
    assert any(not node.get("name", "").startswith(("CVE", "GHSA")) for node in nodes)
    assert any((node.get("epssProbability") or 0) > 1 for node in nodes)
    assert any(node.get("remediation") == "null" for node in nodes)
    assert any(node["projects"] is None for node in nodes)
    tags = [node["vulnerableAsset"].get("tags") for node in nodes if node["vulnerableAsset"]]
    keys = {key for one in tags if isinstance(one, dict) for key in one}
    assert {"aws:autoscaling:groupName", "env/stage", "io.cri-containerd.image"} <= keys
    sizes = [len(orjson.dumps(node)) for node in nodes]
    assert 3_000 < sum(sizes) / len(sizes) < 7_000


def test_odd_shapes_are_among_the_configuration_findings(findings: dict[str, list[dict[str, Any]]]) -> None:
    nodes = findings["cloud_configuration_finding"]
    assert {"PASS", "FAIL", "ERROR", "NOT_ASSESSED", "SKIPPED"} == {node["result"] for node in nodes}
    assert any(node["severity"] == "NONE" and node["result"] == "FAIL" for node in nodes)
    for name in ("analyzedAt", "updatedAt", "evidence", "securitySubCategories"):
        assert 0 < sum(name not in node for node in nodes) < len(nodes) / 20
    assert any("shortId" not in node["rule"] for node in nodes)
    resources = [node["resource"] for node in nodes if node["resource"]]
    assert len(resources) < len(nodes)
    assert any("providerId" in one and one["providerId"] is None for one in resources)
    tags = [one.get("tags", []) for one in resources]
    assert None in tags
    assert "null" in tags
    keys = {tag["key"] for some in tags if isinstance(some, list) for tag in some}
    assert {"app.kubernetes.io/name", "aws:cloudformation:stack-name", "env/stage"} <= keys


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_finding_is_the_same_alone_and_among_others_of_its_seed(dataset: str) -> None:
    source = Tenant(now=NOW, days=9, volumes={dataset: 1_000_000}).source(dataset)
    again = Tenant(now=NOW, days=9, volumes={dataset: 1_000_000}).source(dataset)
    other = Tenant(now=NOW, seed=2, days=9, volumes={dataset: 1_000_000}).source(dataset)
    ordinals = np.array([3, 4_000_000, 7_999_999], dtype=np.int64)
    together = source.nodes(ordinals, micros(NOW))
    assert together == [again.nodes(ordinals[i : i + 1], micros(NOW))[0] for i in range(3)]
    assert together != other.nodes(ordinals, micros(NOW))
