"""Any JSON object gives exactly one document, whatever its keys hold.

`HYPOTHESIS_PROFILE=thorough pytest wiz_dagster_tests/datasets/test_any_node.py` tries 2,000 examples a dataset and
property in a few minutes; without it there are some dozens.
"""

import io
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.documents import frame_documents
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.ecs.options import EcsOptions
from wiz_dagster.transform import transform_lines
from wiz_dagster_tests.datasets.making import FETCHED_AT, problems
from wiz_dagster_tests.datasets.nodes import FULL
from wiz_dagster_tests.datasets.odd_nodes import NAMED, Oddity, oddities_of

OPTIONS = EcsOptions(
    tags=(), fetched_at=FETCHED_AT, preserve_original_event=True, preserve_duplicate_custom_fields=True
)
UNKNOWN = "is no known field"
"""Keys that nobody knows stay in the lists of issues, see docs/conformance.md."""

AS_ELASTIC = (
    *("cloud.account.id is no keyword", ".resource.subscription.external_id is no keyword"),
    "wiz.defend.triggering_events_count is no long",
)
"""What stays as it is in configuration findings, and in Defend's events, see there too."""

each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


def full(dataset: Dataset) -> dict[str, Any]:
    assert dataset.name in FULL, f"nodes.py has no full node of {dataset.name}: write one and name it in FULL"
    return FULL[dataset.name]


def documents_of(dataset: Dataset, lines: list[bytes]) -> list[dict[str, Any]]:
    return [orjson.loads(text) for text in frame_documents(make_frame(dataset, lines, OPTIONS).frame)]


@each_dataset
def test_the_full_node_has_every_key_that_is_asked_for(dataset: Dataset) -> None:
    assert dataset.selected_keys() <= full(dataset).keys()


@each_dataset
def test_any_node_gives_one_document_with_a_time_no_empty_value_and_no_value_of_a_wrong_type(dataset: Dataset) -> None:
    @given(oddities=st.lists(oddities_of(full(dataset)), min_size=1, max_size=3))
    def check(oddities: list[Oddity]) -> None:
        nodes = [oddity.of(full(dataset)) for oddity in oddities]
        lines = [json.dumps(node, ensure_ascii=False).encode() for node in nodes]
        made = documents_of(dataset, lines)
        assert [document["event"]["original"] for document in made] == [line.decode() for line in lines]
        for document in made:
            assert document["@timestamp"].endswith("Z")
            assert not says_nothing_somewhere(document)
            wrong = [problem for problem in problems(dataset, document) if UNKNOWN not in problem]
            assert [problem for problem in wrong if not any(kept in problem for kept in AS_ELASTIC)] == []
        if len(lines) > 1:
            assert made == [document for line in lines for document in documents_of(dataset, [line])]

    check()


@each_dataset
def test_any_line_gives_one_document_or_one_error_and_stops_no_other(dataset: Dataset) -> None:
    @given(
        oddities=st.lists(oddities_of(full(dataset), NAMED), max_size=2),
        broken=st.sampled_from([b"{", b"[]", b"null", b'{"id": NaN}', b'{"id": "\xff"}', b"", b"\0"]),
    )
    def check(oddities: list[Oddity], broken: bytes) -> None:
        nodes = [oddity.of(full(dataset)) for oddity in oddities]
        lines = [line for node in nodes for line in (json.dumps(node).encode(), broken)]
        target, errors = io.BytesIO(), io.StringIO()
        status = transform_lines(dataset.name, io.BytesIO(b"\n".join(lines)), target, errors, None)
        refused = [int(said.split()[1].rstrip(":")) for said in errors.getvalue().splitlines()]
        assert refused == list(range(2, len(lines) + (1 if lines and lines[-1] else 0), 2))
        assert status == bool(refused)
        assert len(target.getvalue().splitlines()) == len(nodes)

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
    lines = [f'{{"{key}": {deep}}}'.encode() for key in [*full(dataset), "unknownKey"]]
    assert len(documents_of(dataset, lines)) == len(lines)


@each_dataset
def test_huge_values_are_kept(dataset: Dataset) -> None:
    text = "x" * 1_000_000
    (made,) = documents_of(dataset, [json.dumps({"id": text, "huge": list(range(50_000))}).encode()])
    own = made["wiz"][dataset.stream]
    assert (own if dataset.pushed else made["event"])["id"] == text
    assert len(own.get("unmapped", own)["huge"]) == 50_000


@each_dataset
def test_the_frame_holds_only_plain_values(dataset: Dataset) -> None:
    lines = [json.dumps(node).encode() for node in (full(dataset), {}, {"duration": 1.5})]
    frame = make_frame(dataset, lines, OPTIONS).frame
    assert {str(kind) for kind in frame.dtypes} == {"object"}
    plain = (str, int, float, bool, list, dict, type(None))
    assert all(type(cell) in plain for path in frame for cell in frame[path].tolist())
    assert not any(cell != cell for path in frame for cell in frame[path].tolist())
