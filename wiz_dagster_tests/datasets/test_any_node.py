"""Any JSON object gives exactly one document, whatever its keys hold."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.documents import frame_documents
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster_tests.datasets.making import FETCHED_AT, problems
from wiz_dagster_tests.datasets.nodes import AUDIT, CONFIGURATION_FINDING, DETECTION, ISSUE, VULNERABILITY

FULL: dict[str, dict[str, Any]] = {
    "audit": AUDIT,
    "issue": ISSUE,
    "vulnerability": VULNERABILITY,
    "cloud_configuration_finding": CONFIGURATION_FINDING,
    "cloud_configuration_finding_full_posture": CONFIGURATION_FINDING,
    "detection": DETECTION,
}
OPTIONS = EcsOptions(
    tags=(), fetched_at=FETCHED_AT, preserve_original_event=True, preserve_duplicate_custom_fields=True
)
UNKNOWN = "is no known field"
"""Keys that nobody knows stay in the lists of issues, see docs/conformance.md."""

NO_KEYWORD = ("cloud.account.id is no keyword", ".resource.subscription.external_id is no keyword")
"""What stays as it is in configuration findings, see there too."""

each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [
        "2026-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+14:00",
        "null",
        "::1",
        "http://[::1",
        "a:b@c:",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3),
    max_leaves=8,
)


def mutated(node: Any, draw: st.DrawFn) -> Any:
    """The node with some of its parts, at any depth, removed or replaced by anything."""
    if isinstance(node, dict):
        kept = {key: mutated(value, draw) for key, value in node.items() if draw(st.integers(0, 9))}
        return kept if draw(st.integers(0, 19)) else draw(values)
    if isinstance(node, list):
        return [mutated(item, draw) for item in node] if draw(st.integers(0, 9)) else draw(values)
    return node if draw(st.integers(0, 4)) else draw(values)


@st.composite
def nodes_like(draw: st.DrawFn, node: dict[str, Any]) -> dict[str, Any]:
    return {key: mutated(value, draw) for key, value in node.items()} | draw(st.dictionaries(texts, values, max_size=2))


def documents_of(dataset: Dataset, lines: list[bytes]) -> list[dict[str, Any]]:
    return [orjson.loads(text) for text in frame_documents(make_frame(dataset, lines, OPTIONS).frame)]


@each_dataset
def test_any_node_gives_one_document_with_a_time_no_empty_value_and_no_value_of_a_wrong_type(dataset: Dataset) -> None:
    @settings(max_examples=30, deadline=None)
    @given(nodes=st.lists(nodes_like(FULL[dataset.name]), max_size=3))
    def check(nodes: list[dict[str, Any]]) -> None:
        lines = [json.dumps(node, ensure_ascii=False).encode() for node in nodes]
        made = documents_of(dataset, lines)
        assert [document["event"]["original"] for document in made] == [line.decode() for line in lines]
        for document in made:
            assert document["@timestamp"].endswith("Z")
            assert not says_nothing_somewhere(document)
            wrong = [problem for problem in problems(dataset, document) if UNKNOWN not in problem]
            assert [problem for problem in wrong if not any(kept in problem for kept in NO_KEYWORD)] == []
        assert made == [document for line in lines for document in documents_of(dataset, [line])]

    check()


def says_nothing_somewhere(value: Any) -> bool:
    if isinstance(value, dict):
        return not value or any(map(says_nothing_somewhere, value.values()))
    if isinstance(value, list):
        return not value or any(map(says_nothing_somewhere, value))
    return value is None or value == ""


@each_dataset
@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [11, 30, 300, 1000])
def test_deep_nesting_in_any_key_is_no_obstacle(dataset: Dataset, opening: str, depth: int) -> None:
    deep = opening * depth + "1" + {"[": "]"}.get(opening, "}") * depth
    lines = [f'{{"{key}": {deep}}}'.encode() for key in [*FULL[dataset.name], "unknownKey"]]
    assert len(documents_of(dataset, lines)) == len(lines)


@each_dataset
def test_huge_values_are_kept(dataset: Dataset) -> None:
    text = "x" * 1_000_000
    (made,) = documents_of(dataset, [json.dumps({"id": text, "huge": list(range(50_000))}).encode()])
    assert made["event"]["id"] == text
    own = made["wiz"][dataset.stream]
    assert len(own.get("unmapped", own)["huge"]) == 50_000


@each_dataset
def test_the_frame_holds_only_plain_values(dataset: Dataset) -> None:
    lines = [json.dumps(node).encode() for node in (FULL[dataset.name], {}, {"duration": 1.5})]
    frame = make_frame(dataset, lines, OPTIONS).frame
    assert {str(kind) for kind in frame.dtypes} == {"object"}
    plain = (str, int, float, bool, list, dict, type(None))
    assert all(type(cell) in plain for path in frame for cell in frame[path].tolist())
    assert not any(cell != cell for path in frame for cell in frame[path].tolist())
