"""What a generated configuration finding looks like once its times, status, result, rule and resource are known.

Most are as Wiz's schema says; some have the odd shapes of published samples, see `configuration_oddities`.
"""

from typing import NamedTuple

from wiz_dagster.sandbox.wiz.configuration_oddities import ODDITIES
from wiz_dagster.sandbox.wiz.configuration_pools import draw_resources, finding_rules
from wiz_dagster.sandbox.wiz.hashing import node_id
from wiz_dagster.sandbox.wiz.pools import Record, draw
from wiz_dagster.sandbox.wiz.source import Node

_PATHS = ("$.spec.containers[0].securityContext", "properties.encryption", "ingress.cidrBlocks", "`MFA` of root")
_REASONS = ("FALSE_POSITIVE", "RISK_ACCEPTED", "BY_DESIGN", "EXCEPTION")


class ConfigurationFacts(NamedTuple):
    """All that a finding is made of. A time that is None is missing from the finding."""

    ordinal: int
    value: int
    seen: str | None
    analyzed: str | None
    updated: str | None
    changed: str | None
    status: str
    result: str
    deleted: bool
    severity: str
    rule: int
    resource: int


class ConfigurationShapes:
    """Makes the findings of one tenant."""

    def __init__(self, key: int) -> None:
        """`key` is the stream key of the dataset."""
        self._key = key
        self._pools = draw(key)
        self.rules = finding_rules(self._pools)
        self.resources = draw_resources(key, self._pools)

    def node(self, facts: ConfigurationFacts) -> Node:
        """The whole finding."""
        value = facts.value
        rule, resource = self.rules[facts.rule], self.resources[facts.resource]
        target = resource.get("providerId") if resource else None
        rejected = facts.status == "REJECTED"
        node: Node = {
            "id": node_id(self._key, facts.ordinal),
            "name": rule["name"],
            "analyzedAt": facts.analyzed,
            "updatedAt": facts.updated,
            "firstSeenAt": facts.seen,
            "statusChangedAt": facts.changed,
            "status": facts.status,
            "result": facts.result,
            "severity": facts.severity,
            "deleted": facts.deleted,
            "remediation": rule["remediationInstructions"] if value & 1 else None,
            "resolutionReason": _REASONS[value >> 1 & 3] if rejected else None,
            "rejectionExpiredAt": "2031-01-31T21:00:00Z" if rejected and value & 8 else None,
            "source": "WIZ_CSPM",
            "type": "WIZ_CSPM",
            "targetExternalId": target,
            "targetObjectProviderUniqueId": target,
            "evidence": _evidence(facts),
            "rule": rule,
            "resource": resource,
            "subscription": resource["subscription"] if resource else None,
            "relatedResources": None,
            "securitySubCategories": rule["securitySubCategories"],
            "ignoreRules": [_ignore_rule(value)] if rejected else None,
            "note": self._note(facts) if value & 112 == 0 else None,
        }
        for key in ("analyzedAt", "updatedAt"):
            if node[key] is None:
                del node[key]
        odd = (value >> 40) % 100
        if odd < len(ODDITIES):
            ODDITIES[odd](node)
        return node

    def _note(self, facts: ConfigurationFacts) -> Record:
        return {
            "id": f"note-{facts.ordinal}",
            "createdAt": facts.seen,
            "updatedAt": facts.seen,
            "text": ("Being looked at.", "修正済み 🎉\nsee ticket")[facts.value >> 30 & 1],
            "user": self._pools.users[facts.value % 60],
            "serviceAccount": None,
        }


def _evidence(facts: ConfigurationFacts) -> Record:
    number = facts.value >> 48
    return {
        "currentValue": ("true", f'{{"open": [{number % 65536}], "größe": "ja"}}', "", None)[facts.value >> 4 & 3],
        "expectedValue": "The setting should be `true`" if facts.result == "FAIL" else None,
        "configurationPath": _PATHS[number & 3] if facts.value & 64 else None,
        "cloudConfigurationLink": f"https://console.cloud.example/settings/{number}?tab=security",
    }


def _ignore_rule(value: int) -> Record:
    number = value >> 52
    return {"id": f"ignore-{number}", "name": f"Accepted until audit {number}", "enabled": True, "expiredAt": None}
