"""Nodes written for the tests: a full one a dataset, with every key that its query selects."""

from copy import deepcopy
from typing import Any

AUDIT: dict[str, Any] = {
    "id": "0d5c1f6e-0001-4a00-9000-00000000a001",
    "action": "CreateProject",
    "actionType": "MUTATION",
    "actionParameters": {
        "clientID": "client-7",
        "groups": ["platform", "security"],
        "name": "payments",
        "products": ["*"],
        "role": "PROJECT_ADMIN",
        "scopes": ["create:projects"],
        "userEmail": "ada@corp.example",
        "userID": "user-1",
        "userpoolID": "pool-1",
        "input": {"name": "payments", "tags": ["pci", {"k": "v"}], "note": None},
        "dryRun": False,
    },
    "aiAgentType": None,
    "aiEngines": None,
    "clientType": "WIZ_PORTAL",
    "duration": 0,
    "performer": {
        "__typename": "UserSnapshot",
        "id": "snapshot-1",
        "name": "Ada L.",
        "user": {"id": "user-1", "name": "Ada Lovelace", "email": "ada@corp.example"},
    },
    "requestId": "req-1",
    "serviceAccount": None,
    "sourceIP": "203.0.113.9",
    "sourceIPCountryCode": "NL",
    "status": "SUCCESS",
    "timestamp": "2026-03-04T05:06:07.891234Z",
    "user": {"id": "user-1", "name": "Ada Lovelace"},
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}

ISSUE: dict[str, Any] = {
    "id": "7b1d2c3e-0002-4b00-9000-00000000b001",
    "type": "TOXIC_COMBINATION",
    "status": "RESOLVED",
    "severity": "HIGH",
    "description": "A public machine holds a key to a bucket.",
    "url": "https://app.wiz.example/issues/7b1d2c3e",
    "createdAt": "2026-02-01T10:00:00Z",
    "updatedAt": "2026-03-02T10:00:00.5Z",
    "dueAt": "2026-04-01T00:00:00Z",
    "resolvedAt": "2026-03-02T09:59:59.123456789Z",
    "reopenedAt": "2026-02-20T00:00:00Z",
    "statusChangedAt": "2026-03-02T09:59:59.123456Z",
    "rejectionExpiredAt": None,
    "firstEventAt": None,
    "lastEventAt": "2026-03-01T00:00:00Z",
    "openReason": "ISSUE_DISCOVERED",
    "resolutionReason": "ISSUE_FIXED",
    "resolutionNote": "key revoked",
    "resolvedBy": {"type": "USER", "user": {"id": "u-9", "name": "Grace", "email": "grace@corp.example"}},
    "assignee": {"id": "i-3", "name": "Alan", "primaryEmail": "alan@corp.example"},
    "environments": ["PRODUCTION"],
    "groupingType": "NONE",
    "hasCodeRemediation": False,
    "validatedAsExploitable": True,
    "cloudAccounts": [{"id": "ca-1", "name": "prod", "externalId": "112233445566", "cloudProvider": "AWS"}],
    "sourceRules": [
        {
            "__typename": "Control",
            "id": "wc-id-9001",
            "name": "Public machine with a key",
            "description": "The machine can be reached and holds a key.",
            "enabled": True,
            "risks": ["EXTERNAL_EXPOSURE"],
            "threats": ["INITIAL_ACCESS"],
            "securitySubCategories": [
                {"title": "Exposure", "category": {"name": "Network", "framework": {"name": "House rules"}}}
            ],
            "severity": "HIGH",
            "resolutionRecommendation": "Close the port.",
        },
        {
            "__typename": "CloudConfigurationRule",
            "id": "ccr-1",
            "name": "Open port",
            "description": "A port is open.",
            "enabled": False,
            "severity": "LOW",
            "shortId": "EC2-001",
            "serviceType": "AWS",
            "remediationInstructions": "Change the group.",
        },
        {"__typename": "CloudEventRule", "id": "cer-1", "name": "Login", "sourceType": "CLOUD_TRAIL", "type": "SINGLE"},
    ],
    "projects": [
        {
            "id": "p-1",
            "name": "Payments",
            "slug": "payments",
            "businessUnit": "Retail",
            "riskProfile": {"businessImpact": "HBI"},
        }
    ],
    "entitySnapshot": {
        "id": "e-1",
        "type": "VIRTUAL_MACHINE",
        "nativeType": "ec2#instance",
        "name": "web-1",
        "fullResourceName": "prod/web-1",
        "status": "Active",
        "cloudPlatform": "AWS",
        "cloudProviderURL": "https://console.example:8443/ec2/v2/home.html?region=eu-west-1#i-1",
        "providerId": "arn:aws:ec2:eu-west-1:112233445566:instance/i-1",
        "externalId": "i-1",
        "region": "eu-west-1",
        "createdAt": "2025-12-31T23:59:59Z",
        "resourceGroupId": "rg-1",
        "resourceGroupExternalId": "rg-ext-1",
        "subscriptionId": "sub-1",
        "subscriptionExternalId": "112233445566",
        "subscriptionName": "prod",
        "subscriptionTags": {"owner": "retail"},
        "tags": {"Name": "web-1", "app.example/tier": "front", "empty": ""},
        "kubernetesClusterId": "k-1",
        "kubernetesClusterName": "blue",
        "kubernetesNamespaceName": "shop",
        "containerServiceId": "cs-1",
        "containerServiceName": "shop-web",
    },
    "serviceTickets": [{"id": "t-1", "externalId": "OPS-1", "name": "OPS-1", "url": "https://tickets.example/OPS-1"}],
    "notes": [
        {
            "id": "n-1",
            "createdAt": "2026-02-02T00:00:00Z",
            "updatedAt": None,
            "text": "looking",
            "user": {"name": "Grace", "email": "grace@corp.example"},
            "serviceAccount": None,
        },
        {"id": "n-2", "createdAt": "2026-02-03T00:00:00Z", "text": "ticket made", "serviceAccount": {"name": "bot"}},
    ],
}


def audit(**changes: Any) -> dict[str, Any]:
    """The audit entry with some keys changed."""
    return deepcopy(AUDIT) | changes


def issue(**changes: Any) -> dict[str, Any]:
    """The issue with some keys changed."""
    return deepcopy(ISSUE) | changes
