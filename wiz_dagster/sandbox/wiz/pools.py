"""Things that many generated nodes share: people, projects, cloud accounts and the rules behind issues.

Each tenant draws its own from its seed. All names, ids and addresses are invented; hosts end in `.example`.
"""

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from wiz_dagster.sandbox.wiz.projection import Shared

Record = dict[str, Any]

PLATFORMS = ("AWS", "AWS", "AWS", "Azure", "Azure", "GCP", "Kubernetes", "OCI", "Wiz")
REGIONS = ("eu-central-1", "us-east-1", "westeurope", "europe-west4", "ap-southeast-2", "us-01")
TEAMS = ("Payments", "Data Platform", "Storefront", "Identität", "物流", "R&D", "Search", "Ops", "Finance")
RISKS = ("EXTERNAL_EXPOSURE", "VULNERABILITY", "UNPROTECTED_DATA", "INSECURE_USE_OF_SECRETS", "RELIABILITY_IMPACT",
         "UNPROTECTED_PRINCIPAL", "INSECURE_KUBERNETES_CLUSTER")  # fmt: skip
THREATS = ("INITIAL_ACCESS", "PERSISTENCE", "CREDENTIAL_ACCESS", "EXECUTION", "IMPACT", "DISCOVERY")
FRAMEWORKS = ("Cloud Hygiene Baseline", "Attack Techniques Matrix", "Payment Rules 4.0", "Basic Protection\n2024")
SEVERITIES = ("INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")
_SUBJECTS = ("A public bucket", "A virtual machine", "A service account", "A container image", "A database", "A role")
_FLAWS = (
    "is reachable from the internet and holds credentials in clear text",
    "has a critical weakness with a known exploit",
    "may assume an administrator's role in another account",
    "is not encrypted at rest",
    "writes no access logs",
    "runs a privileged process – seldom used otherwise",
)
_ADVICE = (
    "### What to do\n1. Limit ingress to the load balancer.\n2. Rotate the key and keep it in a vault.\n"
    "3. Run `kubectl get pods -A` and look for the owner in the tag `team`.\n\n> Ask the owner first."
)


@dataclass(frozen=True)
class Pools:
    """What the nodes of one tenant pick from, by index."""

    users: list[Record]
    service_accounts: list[Record]
    projects: list[Record]
    accounts: list[Record]
    rules: list[Record]


def draw(key: int) -> Pools:
    """The pools of one dataset of one tenant; the same key gives the same pools."""
    chance = random.Random(key)  # noqa: S311  # nothing secret is drawn
    return Pools(
        users=[Shared(_user(chance, number)) for number in range(60)],
        service_accounts=[Shared(_service_account(chance, number)) for number in range(15)],
        projects=[Shared(_project(chance, number)) for number in range(24)],
        accounts=[Shared(_account(chance, number)) for number in range(40)],
        rules=[Shared(_RULES[number % 3](chance, number)) for number in range(90)],
    )


def _uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128)))


def _user(chance: random.Random, number: int) -> Record:
    name = chance.choice(("Ada", "Björn", "Chiara", "Đặng", "Eñe", "Fatima", "Grace", "Hörður", "Ирина", "Jun 潤"))
    family = chance.choice(("Okafor", "Lindqvist", "O'Brien", "Müller-Lüdenscheidt", "Sato", "da Silva", "Nowak"))
    return {
        "id": f"user-{_uuid(chance)}",
        "name": f"{name} {family}",
        "email": f"user{number}@corp.example",
        "enabled": True,
        "createdAt": "2024-02-01T08:00:00Z",
    }


def _service_account(chance: random.Random, number: int) -> Record:
    purpose = chance.choice(("siem-export", "ci-scanner", "ticket-sync", "terraform"))
    return {
        "id": f"{chance.getrandbits(200):053x}",
        "name": f"{purpose}-{number}",
        "scopes": ["read:issues", "admin:audit"],
        "type": "THIRD_PARTY",
    }


def _project(chance: random.Random, number: int) -> Record:
    team = chance.choice(TEAMS)
    return {
        "id": _uuid(chance),
        "name": f"{team} {number}",
        "slug": f"project-{number}",
        "businessUnit": chance.choice(("", "Retail", "Corporate", None)),
        "isFolder": number % 6 == 0,
        "archived": False,
        "riskProfile": {"businessImpact": chance.choice(("LBI", "MBI", "HBI", None)), "isRegulated": "UNKNOWN"},
    }


def _account(chance: random.Random, number: int) -> Record:
    platform = PLATFORMS[number % len(PLATFORMS)]
    external = _uuid(chance) if platform == "Azure" else f"{chance.randrange(10**11, 10**12)}"
    return {
        "id": _uuid(chance),
        "name": f"{chance.choice(('prod', 'staging', 'sandbox', 'shared'))}-{platform.lower()}-{number}",
        "externalId": external,
        "cloudProvider": platform,
        "tags": chance.choice(({}, None, {"cost-center": "4711", "env/stage": "prod"}, {"aws:createdBy": "terraform"})),
    }


def _sub_category(chance: random.Random) -> Record:
    number = chance.randrange(1, 400)
    framework = chance.choice(FRAMEWORKS)
    return {
        "id": f"wsct-id-{number}",
        "externalId": f"{number}",
        "title": f"{number % 12 + 1}.{number % 7} {chance.choice(('Encrypt', 'Restrict', 'Patch'))} resources",
        "description": "Resources follow the organization's baseline and exceptions are approved in writing.",
        "category": {
            "id": f"wct-id-{number % 40}",
            "name": chance.choice(("Data protection", "Network & Exposure", "Logging", "Access «least privilege»")),
            "framework": {"id": f"wf-id-{FRAMEWORKS.index(framework)}", "name": framework},
        },
    }


def _rule(chance: random.Random, kind: str, identifier: str) -> Record:
    text = f"{chance.choice(_SUBJECTS)} {chance.choice(_FLAWS)}"
    return {
        "__typename": kind,
        "id": identifier,
        "name": text,
        "description": f"{text}.\n\nAn attacker who gets hold of it can move on to other resources of the account. "
        * 2,
        "enabled": True,
        "severity": chance.choice(SEVERITIES),
        "risks": chance.choice((None, [], chance.sample(RISKS, 2), [chance.choice(RISKS)])),
        "threats": chance.choice((None, [chance.choice(THREATS)])),
        "securitySubCategories": [_sub_category(chance) for _ in range(chance.randrange(1, 6))],
    }


def _control(chance: random.Random, number: int) -> Record:
    rule = _rule(chance, "Control", f"wc-id-{number}")
    rule |= {"resolutionRecommendation": _ADVICE, "type": "SECURITY_GRAPH", "tagsV2": [{"key": "team", "value": None}]}
    return rule


def _configuration_rule(chance: random.Random, number: int) -> Record:
    rule = _rule(chance, "CloudConfigurationRule", _uuid(chance))
    rule |= {
        "shortId": f"Bucket-{number:03d}",
        "remediationInstructions": _ADVICE,
        "serviceType": chance.choice(("AWS", "Azure", "GCP", "Kubernetes", None)),
        "functionAsControl": True,
    }
    return rule


def _event_rule(chance: random.Random, number: int) -> Record:
    rule = _rule(chance, "CloudEventRule", f"cer-id-{number}")
    rule |= {
        "sourceType": chance.choice(("WIZ", "WIZ_SENSOR", "GUARD_DUTY", None)),
        "type": chance.choice(("SINGLE", "CORRELATION", "WORKLOAD_RUNTIME_RULE")),
        "origins": [chance.choice(("AWS_CLOUDTRAIL", "AZURE_ACTIVITY_LOGS", "WIZ_SENSOR"))],
    }
    return rule


_RULES = (_control, _configuration_rule, _event_rule)
