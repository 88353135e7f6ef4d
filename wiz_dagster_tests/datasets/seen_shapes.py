"""What differs from the full nodes of `nodes.py` in the nodes and bodies of Wiz that others have seen, by dataset.

A shape is a set of changes: dotted path, with numbers for places in lists, to the value there. They are made in
`shapes.py`, which also has the shapes that were seen everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wiz_dagster_tests.datasets.nodes import FULL

Changes = Mapping[str, Any]

GONE = object()
"""In the place of a value: the key isn't there."""

_CONTROL = {"id": "wc-7", "name": "Open machine", "description": "It can be reached.", "severity": "LOW"}

AUDIT: dict[str, Changes] = {
    "a user alone": {"serviceAccount": None},
    "a service account alone": {"user": None, "serviceAccount": {"id": "sa-1", "name": "bot"}},
    "no key for the service account": {"serviceAccount": GONE},
    "no user agent": {"userAgent": None},
    "a query's parameters": {"actionParameters": {"first": 50, "after": "c1", "filterBy": {"status": ["OPEN"]}}},
    "texts and objects in one list": {"actionParameters.selection": ["id", {"projects": ["p-1"]}, "name"]},
    "no parameters": {"actionParameters": GONE},
    "lists of one empty text": {"actionParameters.products": [""], "actionParameters.scopes": [""]},
    "null in the place of those lists": {"actionParameters.products": None, "actionParameters.scopes": None},
    "keys that differ by case": {"actionParameters.ID": "p-1", "actionParameters.input.id": "p-2"},
    "a user with a type name": {"user.__typename": "User"},
    "a key of a collector": {"log_type": "audit"},
    "a failure": {"status": "FAILED"},
    "access denied": {"status": "ACCESS_DENIED"},
    "keys in lower case": {
        **dict.fromkeys(["actionParameters", "requestId", "sourceIP", "userAgent"], GONE),
        "actionparameters": {"name": "payments"},
        "requestid": "req-2",
        "sourceip": "203.0.113.9",
        "useragent": "curl/8",
        "timestamp": "2026-03-04 05:06:07.123",
    },
}

ISSUE: dict[str, Changes] = {
    "one rule, as before it was deprecated": {
        "sourceRules": GONE,
        "sourceRule": {"id": "wc-7", "name": "Open machine"},
    },
    "a list of rules alone": {"sourceRule": GONE},
    "rules with nothing but a name": {"sourceRules": [{"name": "Open machine"}, {"name": "Old key"}]},
    "the oldest shape": {
        **dict.fromkeys(["sourceRules", "entitySnapshot", "type"], GONE),
        "control": _CONTROL,
        "entity": {"id": "e-7", "name": "web-7", "type": "VIRTUAL_MACHINE"},
    },
    "one project": {"projects": GONE, "project": {"id": "p-1", "name": "Payments"}},
    "one project, null": {"projects": GONE, "project": None},
    "a note that is a text": {"notes": GONE, "note": "looking"},
    "no type": {"type": GONE},
    "no time of the last change": {"updatedAt": GONE},
    "no time of the status": {"statusChangedAt": GONE},
    "no lists": dict.fromkeys(["projects", "notes", "serviceTickets"], GONE),
    "the text null for null": {
        **dict.fromkeys(["dueAt", "resolvedAt", "rejectionExpiredAt", "resolutionNote"], "null"),
        "sourceRules.0.securitySubCategories": "null",
        "entitySnapshot.subscriptionTags": "null",
    },
    "an entity of which little is known": {
        **dict.fromkeys(["entitySnapshot.status", "entitySnapshot.cloudPlatform"]),
        **dict.fromkeys([f"entitySnapshot.{key}" for key in ("region", "nativeType", "cloudProviderURL")], ""),
    },
    "an entity of Kubernetes": {"entitySnapshot.cloudPlatform": "Kubernetes"},
    "an entity of Wiz": {"entitySnapshot.cloudPlatform": "Wiz", "entitySnapshot.type": "AI_AGENT"},
    "tags with separators in their keys": {"entitySnapshot.tags": {"app.example/tier": "a", "aws:group:name": "b"}},
    "a note of a service account": {"notes.0.user": None, "notes.0.serviceAccount": {"name": "bot"}},
    "a threat": {
        "type": "THREAT_DETECTION",
        "firstEventAt": "2026-03-01T00:00:00.1234567Z",
        "description": "",
        "threatDetectionDetails": {"actors": [{"id": "a-1", "name": "ada", "type": "USER_ACCOUNT"}], "resources": []},
    },
    "a threat without actors": {"type": "THREAT_DETECTION", "threatDetectionDetails": {"actors": None}},
    "risks that are null": {"sourceRules.0.risks": None},
    "a second issue of an entity": {"id": "7b1d2c3e-0002-4b00-9000-00000000b002"},
    "a newer shape": {
        "environments": ["PRODUCTION", "STAGING"],
        "validatedAsExploitable": None,
        "applicationServices": None,
        "aiRemediationAnalysis": {"summary": "close it"},
        "entitySnapshot.resourceGroupId": None,
        "resolvedBy": None,
    },
}

VULNERABILITY: dict[str, Changes] = {
    "severities of three sources": {"nvdSeverity": "HIGH", "weightedSeverity": None, "cnaScore": 9.8},
    "vectors that are null": {"cvssv2": {"vectorString": None, "attackVector": None}, "cvssv3": None, "cvssv4": None},
    "a weakness in code": {"name": "CWE-89"},
    "an advisory": {"name": "openssl advisory"},
    "a score of nothing": {"score": 0, "CVSSSeverity": "NONE", "vendorSeverity": "CRITICAL"},
    "no score": {"score": GONE},
    "nearly nothing": {
        **dict.fromkeys(FULL["vulnerability"].keys() - {"id", "name"}, GONE),
        "vulnerableAsset": {"id": "va-1", "name": "web-1"},
    },
    "an empty description": {"CVEDescription": ""},
    "no description": {"CVEDescription": GONE},
    "an unknown exploit": {"hasExploit": None},
    "no dates and no catalogue": {
        key: GONE
        for key in FULL["vulnerability"]
        if key in ("hasCisaKevExploit", "publishedDate") or (key.endswith("At") and key != "updatedAt")
    },
    "what is null at once": dict.fromkeys(
        ["version", "fixedVersion", "locationPath", "remediation", "projects", "ignoreRules", "layerMetadata"]
    ),
    "a container's image": {
        "vulnerableAsset": {
            "id": "va-3",
            "type": "CONTAINER_IMAGE",
            "name": "shop",
            "imageId": "sha256:0c",
            "cloudProviderURL": None,
            "subscriptionName": None,
            "providerUniqueId": "",
        }
    },
    "tags with separators in their keys": {
        "vulnerableAsset.tags": {"aws:autoscaling:groupName": "web", "io.cri-containerd.image": "managed", "io": "x"}
    },
    "a percentage for a share": {"epssProbability": 42.5},
    "a text for the categories": {"categories": "DOS"},
    "no asset": {"vulnerableAsset": GONE, "rootComponent": None},
}

CONFIGURATION_FINDING: dict[str, Changes] = {
    "no time of the analysis": {"analyzedAt": GONE},
    "no time of the last change": {"updatedAt": GONE},
    "no evidence": {"evidence": GONE},
    "a deleted finding": {"deleted": True},
    "no ids of the provider": {"targetObjectProviderUniqueId": None, "resource.providerId": None},
    "null for tags": {"resource.tags": None},
    "no tags": {"resource.tags": []},
    "no tags, as an object": {"resource.tags": {}},
    "a list of tags": {"resource.tags": [{"key": "a.b", "value": "c"}, {"key": "a", "value": None}]},
    "a list of projects": {"resource.projects": [{"id": "p-1", "name": "Payments", "riskProfile": None}]},
    "a failure of no severity": {"severity": "NONE", "result": "FAIL"},
    "a rule without tags and short id": {"rule.tags": GONE, "rule.shortId": GONE},
    "a rule as a control": {"rule.functionAsControl": True},
    "line breaks in a title": {"securitySubCategories.0.title": "1.1\nClosed\r\nstorage"},
    "no frameworks": {"securitySubCategories": GONE},
    "the subscription beside the resource": {
        **dict.fromkeys([f"resource.{key}" for key in ("subscription", "nativeType", "region", "providerId")], GONE),
        "sourceMappedIacFindings": None,
        "resource.status": "Active",
        "rule.opaPolicy": "package wiz",
        "subscription": {"id": "sub-7", "name": "shop", "sourceDeployments": [{"id": "c-1", "type": "AWS"}]},
        "rule.risks": None,
        "rule.threats": None,
        "rule.tags": None,
    },
}

_EVENT = "triggeringEvents.nodes.0"
DETECTION: dict[str, Changes] = {
    "no actors": {"actors": None, "primaryActor.id": "", "primaryActor.type": "UNKNOWN"},
    "no main actor": {"primaryActor": GONE},
    "ids for the main actor and resource": {"primaryActor": {"id": "a-1"}, "primaryResource": {"id": "r-1"}},
    "null for organizations": {"cloudOrganizations": None},
    "no issue": {"issue": GONE},
    "an issue with its page": {"issue": {"id": "i-9", "url": "https://app.wiz.example/issues/i-9"}},
    "no rule": {"ruleMatch": GONE},
    "no type, origins and change": dict.fromkeys(["type", "origins", "updatedAt"], GONE),
    "a start and an end": {"startedAt": "2026-03-04T04:50:00.81988Z", "endedAt": "2026-03-04T04:59:59.9Z"},
    "a count of events": {"triggeringEvents.totalCount": 61, "triggeringEvents.__typename": "EventConnection"},
    "no events": {"triggeringEvents.nodes": []},
    "a deep record": {f"{_EVENT}.rawAuditLogRecord": {"a": {"b": {"c": [{"d": {"e": [{"f.g": 1}, "x"]}}]}}}},
    "an event with little": {"triggeringEvents.nodes": [{"id": "ev-9", "description": "Something happened."}]},
    "a text for a number": {f"{_EVENT}.actorIPMeta.autonomousSystemNumber": "64500"},
    "a framework's id alone": {"ruleMatch.rule.securitySubCategories.0.category.framework": {"id": "f-1"}},
    "a framework's name alone": {"ruleMatch.rule.securitySubCategories.0.category.framework": {"name": "MITRE"}},
    "an endpoint": {"primaryResource.type": "ENDPOINT", "primaryResource.externalId": "://host:27017/"},
    "an attack surface": {"primaryResource.type": "ATTACK_SURFACE_FINDING"},
}

_PROCESS = {"id": "77", "userId": "0", "command": "sh -c id", "hash": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}
DEFEND: dict[str, Changes] = {
    "a list of events": {"triggeringEvent": GONE, "triggeringEvents": [{"id": "ev-1"}, {"id": "ev-2", "actor": {}}]},
    "lists of one": {"actors": [{"id": "ac-1"}], "resources": [{"id": "re-1"}], "cloudAccounts": [{"id": "ca-1"}]},
    "no main actor": {"primaryActor": GONE},
    "no source and page": {"source": GONE, "detectionUrl": GONE},
    "no organizations": {"cloudOrganizations": GONE},
    "an empty list of organizations": {"cloudOrganizations": []},
    "a number for an account": {"cloudAccounts.0.externalId": 112233445566},
    "tactics and techniques written together": {
        "mitreTactics": ["TA0043", "TA0043", "TA0006"],
        "mitreTechniques": ["TA0043-T1595", "T1070.006"],
    },
    "an actor's id alone": {"triggeringEvent.actor": {"id": "ac-9"}},
    "a tree of processes": {"triggeringEvent.runtimeDetails": {"processTree": [_PROCESS, {**_PROCESS, "id": "78"}]}},
    "empty lists of an address": {
        "triggeringEvent.actorIPMeta.customIPRanges": [],
        "triggeringEvent.actorIPMeta.relatedAttackGroupNames": [],
    },
}

_RESOURCE = {"id": "e-1", "name": "web-1", "type": "virtualMachine", "status": "", "cloudProviderURL": ""}
_ISSUE = {"id": "i-1", "status": "Resolved", "severity": "HIGH", "projects": "Payments, Shop,"}
BODIES: dict[str, dict[str, Any]] = {
    "an issue": {
        "trigger": {"source": "ISSUES", "type": "Created", "ruleId": "ar-2", "ruleName": "Issues"},
        "issue": _ISSUE,
        "resource": {**_RESOURCE, "id": ""},
        "control": _CONTROL,
    },
    "a changed issue": {
        "trigger": {"source": "ISSUES", "type": "Manually Triggered", "updatedFields": "status", "changedBy": "ada"},
        "issue": {**_ISSUE, "projects": ""},
        "resource": _RESOURCE,
        "control": _CONTROL,
    },
    "an issue of a user's template": {
        "issue": {**_ISSUE, "control": _CONTROL, "entitySnapshot": "web-1"},
        "policy": _CONTROL,
        "trigger": {"type": "Open"},
        "entitySnapshot": _RESOURCE,
    },
    "a threat": {
        "trigger": {"source": "THREAT_DETECTION", "type": "Created", "ruleId": "ar-3", "ruleName": "Threats"},
        "threat": {
            "id": "th-1",
            "tdrNames": "Odd login, Odd key",
            "detectionIds": "d-1,d-2",
            "mitreTactics": None,
            "actors": [{"id": "ac-1", "type": "Service Account"}],
            "resources": [{"id": "re-1", "type": "BUCKET"}],
        },
    },
}
"""What a receiver gets by a wrong automation rule: no detections at all."""

SHAPES: dict[str, dict[str, Changes]] = {
    "audit": AUDIT,
    "issue": ISSUE,
    "vulnerability": VULNERABILITY,
    "cloud_configuration_finding": CONFIGURATION_FINDING,
    "cloud_configuration_finding_full_posture": CONFIGURATION_FINDING,
    "detection": DETECTION,
    "defend": DEFEND,
}
