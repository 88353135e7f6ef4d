"""Our documents against those of Elastic's integration; docs/conformance.md holds the allowed differences."""

import importlib.util
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.transform import transform_lines
from wiz_dagster_tests.datasets.making import problems
from wiz_dagster_tests.differences import ROOT, table

CONFORMANCE = Path(os.environ.get("WIZ_SHARED") or ROOT.parent / "shared") / "conformance"
NAMES = [dataset.name for dataset in DATASETS]
IN_FORCE = ("preserve_original_event", "preserve_duplicate_custom_fields")
OTHERWISE = {"detection": IN_FORCE[:1], "defend": IN_FORCE[1:]}
"""The tags on the integration's own examples."""
OF_THE_AGENT = {"defend": {"host.name"}}
"""What of those examples is about the machine that an Elastic Agent received them on."""
MOST_DEVIATIONS = 3 / 100

needs_conformance_set = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="the conformance set isn't there; name its parent folder in WIZ_SHARED"
)


def extras(name: str) -> list[str]:
    """Patterns of the paths that may be there besides Elastic's, without a usable main date `@timestamp` too."""
    rows = [field for field in dataset_named(name).fields() if field.extra]
    below = [f"{field.name}.*" for field in rows if field.type == "flattened"]
    return ["@timestamp", *(field.name for field in rows), *below, *keys_inside(name)]


def keys_inside(name: str) -> list[str]:
    return [row[1] for row in table("Keys inside flattened fields") if row[0] == name]


def deviations(dataset: str) -> dict[str, int]:
    return {row[1]: int(row[2]) for row in table("Deviations") if row[0] == dataset}


def listed(path: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance_compare", CONFORMANCE / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def transformed(dataset: str, lines: bytes, tags: tuple[str, ...]) -> list[dict[str, Any]]:
    target, errors = io.BytesIO(), io.StringIO()
    assert transform_lines(dataset, io.BytesIO(lines), target, errors, tags) == 0
    assert errors.getvalue() == ""
    return [json.loads(line) for line in target.getvalue().splitlines()]


@needs_conformance_set
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_missing_or_different_on_the_integrations_own_examples(name: str, oracle: ModuleType) -> None:
    dataset = dataset_named(name)
    folder = CONFORMANCE / dataset.stream
    tags = OTHERWISE.get(name, IN_FORCE)
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["expected"]
    actual = transformed(name, (folder / "input.ndjson").read_bytes(), tags)
    assert len(actual) == len(expected) > 0
    for want, got in zip(expected, actual, strict=True):
        found = oracle.compare(want, got, ignore=OF_THE_AGENT.get(name, set()))
        assert found.missing == found.different == []
        assert [path for path in found.extra if not listed(path, extras(name))] == []
        assert problems(dataset, got) == []


@needs_conformance_set
@pytest.mark.parametrize("name", NAMES)
def test_mutated_nodes_differ_only_where_the_list_of_deviations_says_so(
    name: str, oracle: ModuleType, compared: Callable[[str], None]
) -> None:
    folder = CONFORMANCE / dataset_named(name).stream
    cases = [json.loads(line) for line in (folder / "variations.ndjson").read_text().splitlines()]
    examples = len((folder / "input.ndjson").read_text().splitlines())
    allowed, seen, deviating = deviations(name), Counter[str](), 0
    for case in cases:
        (got,) = transformed(name, json.dumps(case["input"]).encode(), tuple(case["tags"]))
        assert set(got.get("tags", [])) == set(case["tags"])
        found = oracle.compare(case["expected"], got, ignore={"user_agent"})
        paths = {line.partition(": ")[0] for line in found.missing + found.different}
        paths |= {path for path in found.extra if not listed(path, extras(name))}
        assert [path for path in paths if not listed(path, list(allowed))] == [], case["case"]
        seen.update(pattern for pattern in allowed if any(fnmatchcase(path, pattern) for path in paths))
        deviating += bool(paths)
    compared(f"{name} {examples}+{len(cases)} cases, {deviating} deviate")
    assert seen == allowed
    assert deviating <= len(cases) * MOST_DEVIATIONS


@pytest.mark.parametrize("name", NAMES)
def test_each_listed_key_lies_inside_a_flattened_field_that_elastic_has_too(name: str) -> None:
    flattened = [field.name for field in dataset_named(name).fields() if field.type == "flattened" and not field.extra]
    for path in keys_inside(name):
        assert any(path.startswith(f"{parent}.") for parent in flattened), path


def test_each_deviation_is_of_a_dataset_and_has_a_reason() -> None:
    assert {name for name, *_ in table("Deviations")} <= set(NAMES)
    assert all("".join(why) for _, _, _, *why in table("Deviations"))
