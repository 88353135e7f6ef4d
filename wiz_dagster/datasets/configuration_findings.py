"""Configuration findings as ECS columns: what the changed findings and the full posture have in common, and where not.

The targets are those of Elastic's integration; beside them stands what it drops: severity, status, remediation, tags,
exposure, projects, frameworks, notes. A field of our own has the name of Wiz's key in snake case.
How the lists inside a finding are read stands in `configuration_findings_lists.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from wiz_dagster.datasets.base import FINDING_STATUSES, Node
from wiz_dagster.datasets.configuration_findings_lists import Lists, ReadLists, keys_below, tag_sets
from wiz_dagster.ecs.columns import Columns, Values, copy_to
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.ecs.tables import Table
from wiz_dagster.ecs.values import as_text, is_empty

SEVERITIES = frozenset({"CRITICAL", "HIGH", "LOW", "MEDIUM", "NONE"})
RESULTS = frozenset({"ERROR", "FAIL", "NOT_ASSESSED", "PASS"})
FILTERS = MappingProxyType(
    {
        "status": "status",
        "severity": "severity",
        "result": "result",
        "project": "resource.projectId",
        "cloud_account": "resource.subscriptionId",
    }
)

COPIED: Mapping[str, tuple[str, ...]] = {
    "id": ("event.id",),
    "resource.name": ("resource.name",),
    "resource.type": ("resource.type",),
    "resource.region": ("cloud.region",),
    "resource.providerId": (),
    "resource.subscription.cloudProvider": (),
    "resource.subscription.name": ("cloud.account.name",),
    "rule.id": ("rule.uuid",),
    "rule.shortId": ("rule.id",),
    "rule.name": ("rule.name",),
    "rule.description": ("rule.description",),
    "rule.remediationInstructions": ("rule.remediation",),
    "evidence.currentValue": ("result.evidence.current_value",),
    "evidence.expectedValue": ("result.evidence.expected_value",),
    "evidence.configurationPath": ("result.evidence.configuration_path",),
    "evidence.cloudConfigurationLink": ("result.evidence.cloud_configuration_link", "rule.reference"),
}
"""Wiz's keys to the fields of ECS, or of Kibana's pages, that hold them; our own field only repeats those."""
ACCOUNT = "resource.subscription.externalId"
"""Its value stays whatever it is, as in Elastic's integration; see docs/conformance.md."""
KEPT: Mapping[str, tuple[str, ...]] = {
    "resource.nativeType": ("resource.sub_type",),
    **dict.fromkeys(
        (
            *("name", "severity", "result", "status", "resolutionReason", "source", "remediation"),
            *("targetExternalId", "targetObjectProviderUniqueId"),
            *("resource.id", "resource.status", "resource.cloudPlatform", "resource.cloudProviderUrl"),
            *("resource.resourceGroupId", "resource.publicAccessTypes", "resource.subscription.id"),
            *("rule.graphId", "rule.risks", "rule.threats"),
            *("note.text", "note.user.name", "note.user.email", "note.serviceAccount.name"),
        ),
        (),
    ),
}
"""Wiz's keys that always have a field of our own."""
DATES = ("updatedAt", "firstSeenAt", "statusChangedAt", "rejectionExpiredAt", "note.createdAt", "note.updatedAt")
FLAGS = (
    "deleted",
    "resource.hasAccessToSensitiveData",
    "resource.hasAdminPrivileges",
    "resource.hasHighPrivileges",
    "resource.hasSensitiveData",
    "resource.isAccessibleFromInternet",
    "resource.isAccessibleFromOtherSubscriptions",
    "resource.isAccessibleFromOtherVnets",
    "resource.isAccessibleFromVPN",
    "resource.isOpenToAllInternet",
    "rule.functionAsControl",
)
TAGS = ("resource.tags", "rule.tags")
LISTS: Mapping[str, Lists] = {
    "securitySubCategories": {
        "securitySubCategories": ("title",),
        "securitySubCategories.category": ("name",),
        "securitySubCategories.category.framework": ("name",),
    },
    "ignoreRules": {"ignoreRules": ("id", "name")},
    "resource.projects": {
        "resource.projects": ("id", "name", "businessUnit"),
        "resource.projects.riskProfile": ("businessImpact",),
    },
}
"""Lists of objects, each with the objects inside it, to the keys that are read; parents first."""
READERS = [ReadLists(root, lists) for root, lists in LISTS.items()]
OBJECTS = ("resource", "resource.subscription", "rule", "evidence", "note", "note.user", "note.serviceAccount")
"""Parents first."""

PLACED = ("analyzedAt", "subscription", ACCOUNT, *COPIED, *KEPT, *DATES, *FLAGS, *TAGS, *LISTS)
KEYS = keys_below("", PLACED)
"""The top-level keys that have a place."""
KNOWN = {path: keys_below(f"{path}.", PLACED) for path in OBJECTS}
EVALUATIONS = {"PASS": "passed", "FAIL": "failed"}
OUTCOMES = {"PASS": "success", "FAIL": "failure"}


def own_name(key: str) -> str:
    """The name below `wiz.<stream>` of Wiz's dotted key."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()


OWN_NAMES = {key: own_name(key) for key in (ACCOUNT, *COPIED, *KEPT, *DATES, *FLAGS, *TAGS)}


def transform_changes(nodes: Sequence[Node], options: EcsOptions) -> Columns:
    """The ECS columns of findings that changed; their time is that of the analysis."""
    columns, read, moments = _findings("wiz.cloud_configuration_finding", nodes, options)
    columns.main_date(moments, options.fetched_timestamp)
    columns.put(read["rule.description"], "message")
    return columns


def transform_posture(nodes: Sequence[Node], options: EcsOptions) -> Columns:
    """The ECS columns of one sweep's findings; their time is the start of the sweep.

    Elastic's integration means `message` to be the rule's name there, and never sets it.
    """
    columns, read, _ = _findings("wiz.cloud_configuration_finding_full_posture", nodes, options)
    columns.constant(options.fetched_timestamp, "@timestamp")
    columns.put(read["rule.name"], "message")
    return columns


def _findings(
    root: str, nodes: Sequence[Node], options: EcsOptions
) -> tuple[Columns, dict[str, Values], list[tuple[str, Values]]]:
    """The columns that both have, the texts by Wiz's keys, and what may be the finding's time, best first."""
    columns = Columns(root, nodes, KEYS)
    copies = options.preserve_duplicate_custom_fields
    columns.constant("Wiz", "observer.vendor")
    columns.constant("state", "event.kind")
    columns.constant(["configuration"], "event.category")
    columns.constant(["info"], "event.type")
    objects = _objects(columns)
    values = {key: objects[key.rpartition(".")[0]][key.rpartition(".")[2]] for key in (*OWN_NAMES, *LISTS)}
    own = {key: f"{root}.{name}" for key, name in OWN_NAMES.items()}
    read = {key: columns.keyword(values[key], key, *copy_to(copies, own[key]), *ecs) for key, ecs in COPIED.items()}
    columns.put(values[ACCOUNT], "cloud.account.id", *copy_to(copies, own[ACCOUNT]))
    read |= {key: columns.keyword(values[key], key, own[key], *ecs) for key, ecs in KEPT.items()}
    analyzed = columns.date(
        columns.nodes["analyzedAt"], "analyzedAt", "event.created", *copy_to(copies, f"{root}.analyzed_at")
    )
    dates = {key: columns.date(values[key], key, own[key]) for key in DATES}
    for key in FLAGS:
        columns.boolean(values[key], key, own[key])
    for key in TAGS:
        columns.put(tag_sets(columns, values[key], key), own[key], settled=True)
    for reader in READERS:
        for key, column in reader.columns(columns, values[reader.root]).items():
            columns.put(column, f"{root}.{own_name(key)}", settled=True)
    _derived(columns, read)
    return columns, read, [("analyzedAt", analyzed), *((key, dates[key]) for key in ("updatedAt", "firstSeenAt"))]


def _objects(columns: Columns) -> dict[str, Table]:
    """The objects inside the nodes by path; a subscription that the resource lacks is the finding's own."""
    objects = {"": columns.nodes}
    for path in OBJECTS:
        parent, _, key = path.rpartition(".")
        items = columns.objects(objects[parent][key], path, KNOWN[path])
        if path == "resource.subscription":
            inner = items
        objects[path] = Table(items)
    path = "resource.subscription"
    others = columns.objects(columns.nodes["subscription"], "subscription", KNOWN[path])
    objects[path] = Table([item or other for item, other in zip(inner, others, strict=True)])
    return objects


def _derived(columns: Columns, read: Mapping[str, Values]) -> None:
    results, kinds, names = read["result"], read["resource.type"], read["resource.name"]
    for key, known in (("status", frozenset(FINDING_STATUSES)), ("severity", SEVERITIES), ("result", RESULTS)):
        columns.expect(read[key], key, known)
    columns.put(_judged(results, EVALUATIONS), "result.evaluation")
    columns.put(_judged(results, OUTCOMES), "event.outcome")
    columns.put([_lower(value) for value in read["resource.subscription.cloudProvider"]], "cloud.provider")
    columns.put([_lower(value) for value in read["resource.cloudPlatform"]], "cloud.service.name")
    columns.put(list(map(_url, read["id"], read["rule.id"])), "event.url")
    providers = read["resource.providerId"]
    columns.put(
        [own if is_empty(given) else given for given, own in zip(providers, read["resource.id"], strict=True)],
        "resource.id",
    )
    columns.put(_where(kinds, "USER_ACCOUNT", names), "user.name")
    columns.put(_where(kinds, "USER_ACCOUNT", providers), "user.id")
    columns.put([_lower(name) for name in _where(kinds, "VIRTUAL_MACHINE", names)], "host.name")


def _judged(results: Values, meanings: Mapping[str, str]) -> Values:
    return [meanings.get(item.upper(), "unknown") if type(item) is str else "unknown" for item in results]


def _where(kinds: Values, kind: str, values: Values) -> Values:
    return [value if found == kind else None for found, value in zip(kinds, values, strict=True)]


def _lower(value: Any) -> Any:
    if type(value) is list:
        return [item.lower() if type(item) is str else item for item in value]
    return value.lower() if type(value) is str else value


def _url(finding: Any, rule: Any) -> str | None:
    """The link that Elastic's integration writes: the host is Wiz's general one."""
    if is_empty(finding) or rule is None:
        return None
    return (
        "https://app.wiz.io/findings/configuration-findings/cloud#~(filters~(status~()~rule~(equals~(~'"
        f"{_in_link(rule)})))~groupBy~(~)~entity~(~'{_in_link(finding)}*2cCONFIGURATION_FINDING))"
    )


def _in_link(value: Any) -> str:
    return f"[{', '.join(map(as_text, value))}]" if type(value) is list else as_text(value)
