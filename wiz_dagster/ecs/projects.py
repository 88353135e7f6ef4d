"""Wiz's projects, which all kinds of findings name, with Wiz's keys in snake case."""

from __future__ import annotations

from typing import Any

from wiz_dagster.ecs.columns import Columns, Node, Shape, fitted

PROJECT: Shape = {
    "id": None,
    "name": None,
    "slug": None,
    "business_unit": None,
    "risk_profile": {"business_impact": None},
}


def project(columns: Columns, row: int, item: Node) -> Any:
    """A project: business unit and impact in snake case; other keys, also of the risk profile, stay where they were."""
    kept = dict(item)
    if "businessUnit" in kept:
        columns.set_aside(row, "projects.business_unit", kept.get("business_unit"))
        kept["business_unit"] = kept.pop("businessUnit")
    profile = kept.get("riskProfile")
    if type(profile) is dict and "businessImpact" in profile:
        rest = {key: value for key, value in kept.pop("riskProfile").items() if key != "businessImpact"}
        kept |= {"riskProfile": rest} if rest else {}
        kept["risk_profile"] = {"business_impact": profile["businessImpact"]}
    elif profile is None:
        kept.pop("riskProfile", None)
    return fitted(columns, row, "projects", kept, PROJECT)
