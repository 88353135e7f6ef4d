"""What generated configuration findings pick from: rules, and the resources that they judge.

Many findings share one. Some rules and resources have the odd shapes of published samples.
"""

import random
from typing import Any
from uuid import UUID

from wiz_dagster.sandbox.wiz.pools import REGIONS, Pools, Record
from wiz_dagster.sandbox.wiz.projection import Shared

RESOURCES = 400

_KINDS = (
    ("BUCKET", "bucket"),
    ("VIRTUAL_MACHINE", "virtualMachine"),
    ("USER_ACCOUNT", "rootUser"),
    ("POD", "Pod"),
    ("DB_SERVER", "rds"),
    ("SERVERLESS", "lambda"),
    ("ENCRYPTION_KEY", "Microsoft.KeyVault/vaults/keys"),
    ("FIREWALL", "securityGroup"),
)
_TAGS: tuple[Any, ...] = (
    [],
    None,
    [{"key": "team", "value": "payments"}, {"key": "aws:cloudformation:stack-name", "value": "orders"}],
    [{"key": "app.kubernetes.io/name", "value": "größe"}, {"key": "env/stage", "value": "prod"}],
    [{"key": "empty", "value": ""}, {"key": "no value", "value": None}, {"key": "team", "value": "one"},
     {"key": "team", "value": "another"}],
)  # fmt: skip


def finding_rules(pools: Pools) -> list[Record]:
    """The rules of the pools that judge configurations, with all that a finding's rule has."""
    judging = [rule for rule in pools.rules if rule["__typename"] == "CloudConfigurationRule"]
    return [Shared(_rule(rule, number)) for number, rule in enumerate(judging)]


def _rule(rule: Record, number: int) -> Record:
    full = rule | {
        "graphId": f"graph-{rule['id']}",
        "findingTitle": rule["name"],
        "builtin": number % 4 != 0,
        "createdByType": "BUILT_IN",
        "cloudProvider": ("AWS", "Azure", None)[number % 3],
        "subjectEntityType": _KINDS[number % len(_KINDS)][0],
        "source": "WIZ_CSPM",
        "hasAutoRemediation": False,
        "createdAt": "2024-02-01T08:00:00Z",
        "updatedAt": "2025-02-01T08:00:00Z",
        "tags": ([], None, [{"key": "wiz/owner", "value": "cloud"}, {"key": "cis:1.4", "value": None}])[number % 3],
        "supportsNRT": False,
        "targetNativeTypes": [_KINDS[number % len(_KINDS)][1]],
    }
    if number % 15 == 4:
        del full["tags"], full["shortId"]
    if number % 15 == 9:
        full |= {"remediationInstructions": None, "shortId": "", "risks": None}
    return full


def draw_resources(key: int, pools: Pools) -> list[Record | None]:
    """Resources by number; the same key gives the same. Few are None."""
    chance = random.Random(key ^ 4)  # noqa: S311  # nothing secret is drawn
    return [_resource(chance, number, pools) if number % 131 else None for number in range(1, RESOURCES + 1)]


def _resource(chance: random.Random, number: int, pools: Pools) -> Record:
    kind, native = _KINDS[number % len(_KINDS)]
    account = chance.choice(pools.accounts)
    region = chance.choice(REGIONS)
    name = f"{native.rpartition('/')[2]}-{number}"
    first = chance.randrange(len(pools.projects))
    projects = pools.projects[first : first + chance.choice((0, 1, 1, 2))]
    resource = {
        "id": str(UUID(int=chance.getrandbits(128))),
        "name": name,
        "type": kind,
        "nativeType": native,
        "providerId": f"arn:cloud:{native}:{region}:{account['externalId']}:{name}",
        "region": region,
        "cloudPlatform": account["cloudProvider"],
        "cloudProviderUrl": f"https://console.cloud.example/{native}?region={region}#resource={name}",
        "status": chance.choice(("Active", "Active", "Inactive", "Error", None)),
        "subscription": account,
        "projects": projects if number % 7 else None,
        "tags": _TAGS[number % len(_TAGS)],
        "resourceGroupId": None,
        "isAccessibleFromInternet": chance.choice((True, False, None)),
        "isOpenToAllInternet": False,
        "hasSensitiveData": number % 8 == 0,
        "hasAccessToSensitiveData": False,
        "hasAdminPrivileges": number % 9 == 0,
        "hasHighPrivileges": False,
        "publicAccessTypes": None,
    }
    return Shared(_odd_resource(resource, number))


def _odd_resource(resource: Record, number: int) -> Record:
    if number % 50 == 7:
        resource |= {"providerId": None, "nativeType": "", "region": None}
    elif number % 50 == 17:
        resource |= {"providerId": "", "name": "UPPER-Case.Name", "region": ""}
    elif number % 50 == 27:
        del resource["nativeType"], resource["region"], resource["providerId"], resource["tags"]
    elif number % 50 == 37:
        resource |= {"type": "LUNAR_LANDER", "cloudPlatform": "Moonbase", "status": "Orbiting", "tags": "null"}
    return resource
