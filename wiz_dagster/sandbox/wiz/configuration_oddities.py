"""Odd shapes of configuration findings that published samples show: each function gives one of them to a finding.

They change the node in place, and leave alone what filters read: times, status, severity, result, rule and resource.
"""

from collections.abc import Callable

from wiz_dagster.sandbox.wiz.source import Node


def _no_evidence(node: Node) -> None:
    del node["evidence"]


def _evidence_of_nulls(node: Node) -> None:
    node["evidence"] = dict.fromkeys(("currentValue", "expectedValue", "configurationPath", "cloudConfigurationLink"))


def _no_target(node: Node) -> None:
    node |= {"targetObjectProviderUniqueId": None, "targetExternalId": None}


def _keys_missing(node: Node) -> None:
    for key in ("securitySubCategories", "ignoreRules", "remediation", "name", "deleted"):
        if not (key == "deleted" and node[key]):
            del node[key]


def _texts_that_say_null(node: Node) -> None:
    node |= {"remediation": "null", "evidence": "null", "ignoreRules": "null"}


def _empty_texts(node: Node) -> None:
    node |= {"remediation": "", "name": "", "targetExternalId": ""}


def _unknown_values(node: Node) -> None:
    node |= {"source": "ORACLE_OF_DELPHI", "resolutionReason": "BY_MAGIC", "futureField": {"deep": [1, {"a.b": None}]}}


def _long_text(node: Node) -> None:
    node["remediation"] = "Ein langer Text mit “Zeichen”, \u2028 Zeilen\r\nund 🙂 – 漢字. " * 400


ODDITIES: tuple[Callable[[Node], None], ...] = (
    _no_evidence,
    _evidence_of_nulls,
    _no_target,
    _keys_missing,
    _texts_that_say_null,
    _empty_texts,
    _unknown_values,
    _long_text,
)
