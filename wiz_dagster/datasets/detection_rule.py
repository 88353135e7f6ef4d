"""The rule that a detection matched: what ECS has a place for, MITRE's tactics and techniques, and what is left of it.

Many detections share a rule, so each is read once a batch. How to read values that may be anything stands here, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from wiz_dagster.datasets.detection_rows import of_shared
from wiz_dagster.ecs.columns import Columns, Node
from wiz_dagster.ecs.values import distinct

MITRE = "MITRE ATT&CK"
_TACTIC = re.compile(r"TA\d{4}", re.ASCII)
_TECHNIQUE = re.compile(r"(T\d{4})(\.\d{3})?", re.ASCII)
THREAT = ("tactic.id", "tactic.name", "technique.id", "technique.name")
SUB_TECHNIQUE = ("technique.subtechnique.id", "technique.subtechnique.name")

MOVED_FROM_RULE = ("id", "name", "description")
OF_RULE = (
    "rule.version",
    *(f"rule.{key}" for key in MOVED_FROM_RULE),
    "rule.category",
    *(f"threat.{name}" for name in (*THREAT, *SUB_TECHNIQUE)),
    "threat.framework",
)


def put_rules(columns: Columns, rows: Sequence[Node]) -> None:
    """The rule that matched, without what ECS has a place for, and what it says of MITRE's matrix."""
    found = of_shared([as_object(row.get("rule_match")) for row in rows], _rule)
    for path, values in zip(OF_RULE, zip(*found, strict=True) if found else [()] * len(OF_RULE), strict=False):
        columns.put(list(values), path, settled=True)
    for row, (*_, match) in zip(rows, found, strict=True):
        if type(row.get("rule_match")) is dict:
            row["rule_match"] = match


def _rule(match: Node) -> tuple[Any, ...]:
    """What a match and its rule say, in the order of `OF_RULE`, and what is left of it."""
    rule = as_object(match.get("rule"))
    filed = objects_in(rule.get("security_sub_categories"))
    threats = _threats(filed)
    left = {key: value for key, value in match.items() if key != "version"}
    if type(left.get("rule")) is dict:
        left["rule"] = {key: value for key, value in rule.items() if key not in MOVED_FROM_RULE}
        if not left["rule"]:
            del left["rule"]
    return (
        match.get("version"),
        *(rule.get(key) for key in MOVED_FROM_RULE),
        distinct([at(item, ("category", "name")) for item in filed]),
        *(distinct(threats.get(name, [])) for name in (*THREAT, *SUB_TECHNIQUE)),
        MITRE if threats else None,
        left,
    )


def _threats(sub_categories: Iterable[Node]) -> dict[str, list[Any]]:
    """Values by their name below `threat.`, of the sub-categories in MITRE's framework."""
    found: dict[str, list[Any]] = {}
    for item in sub_categories:
        category = as_object(item.get("category"))
        if "MITRE" not in str(at(category, ("framework", "name"))).upper():
            continue
        tactic = _TACTIC.fullmatch(str(category.get("external_id")))
        technique = _TECHNIQUE.search(str(item.get("external_id")))
        if tactic:
            _add(found, THREAT[:2], tactic[0], category.get("name"))
        if technique and technique[2]:
            _add(found, THREAT[2:3], technique[1])
            _add(found, SUB_TECHNIQUE, technique[0], item.get("title"))
        elif technique:
            _add(found, THREAT[2:], technique[1], item.get("title"))
    return found


def _add(found: dict[str, list[Any]], names: Iterable[str], *values: Any) -> None:
    for name, value in zip(names, values, strict=True):
        found.setdefault(name, []).append(value)


def as_object(value: Any) -> Node:
    """The object, an empty one in the place of anything else."""
    return value if type(value) is dict else {}


def objects_in(value: Any) -> list[Node]:
    """The objects of a list, or the single one."""
    items = value if type(value) is list else (value,)
    return [item for item in items if type(item) is dict]


def at(value: Any, path: tuple[str, ...]) -> Any:
    """What stands at that path of keys, None where an object on the way is missing."""
    for key in path:
        if type(value) is not dict:
            return None
        value = value.get(key)
    return value
