"""What the detections of one tenant share: threat detection rules, the identities that act and the resources acted on.

A scene says where a detection comes from, and with that what its events and resources look like.
"""

import random
from dataclasses import dataclass
from itertools import cycle, islice
from uuid import UUID

from wiz_dagster.sandbox.wiz.pools import REGIONS, SEVERITIES, Pools, Record
from wiz_dagster.sandbox.wiz.projection import Shared

AUDIT, SENSOR, GUARD, CLUSTER = range(4)
"""The scenes: a cloud's audit log, a sensor on a host, a cloud's own threat detection, a cluster's audit log."""

RESOURCES_OF_ACCOUNT = 3
RULES = 60

_TECHNIQUES = {
    "Initial Access": {"Valid Accounts": "T1078", "Valid Accounts: Cloud Accounts": "T1078.004",
                       "Exploit Public-Facing Application": "T1190"},
    "Execution": {"Command and Scripting Interpreter": "T1059",
                  "Command and Scripting Interpreter: Unix Shell": "T1059.004"},
    "Persistence": {"Account Manipulation": "T1098", "Create Account: Cloud Account": "T1136.003",
                    "Scheduled Task/Job: Cron": "T1053.003"},
    "Privilege Escalation": {"Escape to Host": "T1611", "Abuse Elevation Control Mechanism": "T1548"},
    "Credential Access": {"Brute Force": "T1110", "Brute Force: Password Spraying": "T1110.003",
                          "Unsecured Credentials": "T1552"},
    "Credential access": {"Secret theft": "secret-theft"},
    "Discovery": {"Cloud Service Discovery": "T1526", "Account Discovery: Cloud Account": "T1087.004"},
    "C2 & Exfiltration": {"Abnormal-sourced communication": "abnormal-source",
                          "Exfiltration Over Web Service": "T1567"},
    "Impact": {"Resource Hijacking": "T1496", "Data Destruction": "T1485"},
}  # fmt: skip
"""Techniques of each tactic, and the id that a matrix gives them."""
_TACTICS = {"Initial Access": "TA0001", "Execution": "TA0002", "Persistence": "TA0003",
            "Privilege Escalation": "TA0004", "Credential Access": "TA0006", "Discovery": "TA0007",
            "Impact": "TA0040"}  # fmt: skip
_FRAMEWORKS = ("MITRE ATT&CK Matrix", "Threat Detection", "Cloud Threats – Überblick")
_RULES = (
    ("Console login without a second factor by %s", AUDIT),
    ("Access key used from a new country (%s)", AUDIT),
    ("Logging was turned off in %s", AUDIT),
    ("Reverse shell was opened on %s", SENSOR),
    ("Service account token was read on %s", SENSOR),
    ("Coin miner started – %s", SENSOR),
    ("UnauthorizedAccess:Compute/SSHBruteForce.%s", GUARD),
    ("Exec into a pod of %s", CLUSTER),
    ("Cluster role bound to anonymous users (%s)", CLUSTER),
)
_ORIGINS = (
    ("AWS_CLOUDTRAIL", "AZURE_ACTIVITY_LOGS", "GCP_AUDIT_LOGS", "OKTA_SYSTEM_LOGS"),
    ("WIZ_SENSOR",),
    ("AWS_GUARD_DUTY", "AZURE_DEFENDER_FOR_CLOUD"),
    ("AWS_EKS_AUDIT_LOGS", "AZURE_AKS_AUDIT_LOGS"),
)
_SOURCES = ("WIZ", "WIZ_SENSOR", "GUARD_DUTY", "WIZ")
_RULE_TYPES = ("SINGLE", "WORKLOAD_RUNTIME_RULE", "EXTERNAL_DETECTION", "CORRELATION")
_RESOURCES = (
    (("BUCKET", "bucket", "invoices"), ("ACCESS_ROLE", "role", "deployer"), ("SUBSCRIPTION", "account", "account")),
    (("VIRTUAL_MACHINE", "virtualMachine", "worker"), ("CONTAINER", "container", "api")),
    (("VIRTUAL_MACHINE", "virtualMachine", "bastion"), ("DB_SERVER", "rds", "orders")),
    (("CONTAINER", "container", "checkout"), ("KUBERNETES_CLUSTER", "cluster", "shop")),
)


@dataclass(frozen=True)
class Cast:
    """What the detections of one tenant pick from; actors and resources by scene."""

    rules: list[tuple[int, Record]]
    """Scene and rule."""
    actors: list[list[Record]]
    resources: list[list[Record]]
    """`RESOURCES_OF_ACCOUNT` for each cloud account, in the order of the accounts."""


def draw_cast(key: int, pools: Pools) -> Cast:
    """The cast of one tenant; the same key gives the same one."""
    chance = random.Random(key ^ 1)  # noqa: S311  # nothing secret is drawn
    people: list[Record] = [Shared(_person(chance, who, pools.accounts)) for who in pools.users[:24]]
    addresses: list[Record] = [Shared(_address(chance, number)) for number in range(12)]
    machines: list[Record] = [Shared(_machine(chance, who)) for who in pools.service_accounts]
    return Cast(
        rules=[(scene, Shared(_rule(chance, name, scene))) for name, scene in islice(cycle(_RULES), RULES)],
        actors=[people, [Shared(NOBODY)], addresses, machines],
        resources=[
            [
                Shared(_resource(chance, scene, account))
                for account in pools.accounts
                for _ in range(RESOURCES_OF_ACCOUNT)
            ]
            for scene in range(len(_RESOURCES))
        ],
    )


def _uuid(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128)))


def _rule(chance: random.Random, name: str, scene: int) -> Record:
    text = name % chance.choice(("eu-central-1", "payments", "größe", "10%", "prod/eu"))
    return {
        "__typename": "CloudEventRule",
        "id": _uuid(chance),
        "name": text,
        "description": f"{text}. Look at who did it, from where, and whether the owner expected it.",
        "builtin": chance.random() < 0.9,
        "enabled": True,
        "severity": chance.choice(SEVERITIES),
        "type": _RULE_TYPES[scene],
        "sourceType": _SOURCES[scene],
        "origins": list(_ORIGINS[scene]),
        "risks": chance.choice((None, ["EXTERNAL_EXPOSURE"], ["RUNTIME", "UNPROTECTED_PRINCIPAL"])),
        "threats": chance.choice((None, ["CREDENTIAL_ACCESS"], ["EXECUTION", "PERSISTENCE"])),
        "tags": chance.choice((None, [], [{"key": "team", "value": "detection"}])),
        "version": chance.randrange(1, 40),
        "releaseStage": "RELEASED",
        "createdAt": "2024-06-01T00:00:00Z",
        "updatedAt": "2026-01-15T09:30:00.123456Z",
        "generateFindings": True,
        "generateIssues": True,
        "generateIssuesIsDynamic": scene == GUARD,
        "securitySubCategories": [_technique(chance) for _ in range(chance.choice((0, 1, 2, 3, 5)))],
    }


def _technique(chance: random.Random) -> Record:
    tactics = sorted(_TECHNIQUES)
    tactic, framework = chance.randrange(len(tactics)), chance.randrange(len(_FRAMEWORKS))
    name, number = tactics[tactic], 100 * framework + tactic
    category, identifier = f"wct-id-{number}", f"wsct-id-{chance.randrange(3500, 20500)}"
    title = chance.choice(tuple(_TECHNIQUES[name]))
    return {
        "id": identifier,
        "externalId": identifier if framework else _TECHNIQUES[name][title],
        "title": title,
        "category": {
            "id": category,
            "externalId": category if framework else _TACTICS.get(name, category),
            "name": name,
            "framework": {"id": f"wf-id-{framework}", "name": _FRAMEWORKS[framework]},
        },
    }


NOBODY: Record = {
    "id": "",
    "name": None,
    "type": "UNKNOWN",
    "nativeType": None,
    "email": None,
    "userAgent": None,
    "MFA": None,
    "federated": False,
    "friendlyName": None,
    "accessKeyId": None,
    "externalId": None,
    "providerUniqueId": None,
    "hasHighPrivileges": False,
    "hasAdminPrivileges": False,
    "hasHighKubernetesPrivileges": False,
    "hasAdminKubernetesPrivileges": False,
    "inactiveInLast90Days": False,
    "isExternalCloudAccount": False,
    "actingAs": None,
    "cloudAccount": None,
}
"""The actor of a detection that has none, as Wiz gives it."""


def _person(chance: random.Random, who: Record, accounts: list[Record]) -> Record:
    account = chance.choice(accounts)
    role = {"id": _uuid(chance), "name": "AdministratorAccess", "type": "SERVICE_ACCOUNT", "friendlyName": "Admin"}
    return NOBODY | {
        "id": _uuid(chance),
        "name": who["name"],
        "type": chance.choice(("USER_ACCOUNT", "IDENTITY", "ACCESS_KEY")),
        "nativeType": chance.choice(("IAM User", "Microsoft Entra ID User", None)),
        "email": chance.choice((who["email"], None)),
        "userAgent": chance.choice(("aws-cli/2.15.30 Python/3.11.8", "Mozilla/5.0 (X11; Linux x86_64)", "", None)),
        "MFA": chance.choice((True, False, None)),
        "federated": chance.random() < 0.3,
        "friendlyName": chance.choice((None, who["name"].split()[0])),
        "accessKeyId": chance.choice((None, f"AKIAEXAMPLE{chance.randrange(10**8):08d}")),
        "externalId": f"AIDAEXAMPLE{chance.randrange(10**8):08d}",
        "providerUniqueId": f"arn:aws:iam::{account['externalId']}:user/{who['email']}",
        "hasHighPrivileges": chance.random() < 0.4,
        "hasAdminPrivileges": chance.random() < 0.2,
        "inactiveInLast90Days": chance.random() < 0.1,
        "actingAs": chance.choice(
            (None, role | {"accessKeyId": None, "externalId": "AROAEXAMPLE", "providerUniqueId": None})
        ),
        "cloudAccount": account,
    }


def _machine(chance: random.Random, who: Record) -> Record:
    name = f"system:serviceaccount:shop:{who['name']}"
    found = {"id": _uuid(chance), "name": name, "type": "SERVICE_ACCOUNT", "externalId": name, "friendlyName": name}
    return NOBODY | found | {"hasAdminKubernetesPrivileges": chance.random() < 0.3, "nativeType": "ServiceAccount"}


def _address(chance: random.Random, number: int) -> Record:
    address = f"198.51.100.{chance.randrange(256)}" if number % 4 else f"2001:db8::{number:x}"
    return NOBODY | {"id": _uuid(chance), "name": address, "type": "NETWORK_ADDRESS", "externalId": address}


def _resource(chance: random.Random, scene: int, account: Record) -> Record:
    kind, native, stem = chance.choice(_RESOURCES[scene])
    name = f"{stem}-{chance.randrange(16**4):04x}"
    region = chance.choice(REGIONS)
    external = f"i-{chance.getrandbits(68):017x}" if kind == "VIRTUAL_MACHINE" else f"{native}/{name}"
    found = {
        "id": _uuid(chance),
        "type": kind,
        "nativeType": native,
        "name": name,
        "externalId": external,
        "providerUniqueId": chance.choice((None, f"arn:aws:{native}:{region}:{account['externalId']}:{external}")),
        "region": region,
        "hostname": f"{name}.corp.example" if scene == SENSOR else None,
        "cloudAccount": account,
        "tags": chance.choice(({}, None, {"team": "payments", "kubernetes.io/name": "größe"})),
        "hasSensitiveData": chance.random() < 0.2,
        "openToAllInternet": chance.random() < 0.1,
    }
    if kind == "CONTAINER":
        found |= {
            "kubernetesCluster": {"id": _uuid(chance), "name": "cluster-3", "type": "KUBERNETES_CLUSTER"},
            "kubernetesNamespace": {"id": _uuid(chance), "name": "shop", "externalId": "shop"},
            "kubernetesPod": {"id": _uuid(chance), "name": f"{name}-7d9f"},
            "kubernetesFlavor": "EKS",
        }
    return found
