"""Frames to documents."""

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.ecs.documents import frame_documents, iter_documents


def frame(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({path.replace("__", "."): cells for path, cells in columns.items()}, dtype=object)


def test_dotted_columns_become_nested_objects_in_row_order() -> None:
    made = list(iter_documents(frame(b__c__d=[1, None], a=["x", "y"], b__e=[[1], [2]])))
    assert made == [{"a": "x", "b": {"c": {"d": 1}, "e": [1]}}, {"a": "y", "b": {"e": [2]}}]


def test_empty_values_are_left_out_and_zero_and_false_stay() -> None:
    cells: list[Any] = [None, "", [], {}, [None, ""], {"x": {}}, 0, False, 0.0]
    made = list(iter_documents(frame(a__b=cells)))
    assert made == [{}] * 6 + [{"a": {"b": 0}}, {"a": {"b": False}}, {"a": {"b": 0.0}}]


def test_a_frame_without_rows_or_columns_gives_no_documents() -> None:
    assert list(iter_documents(frame(a=[]))) == []
    assert list(iter_documents(pd.DataFrame())) == []


@pytest.mark.parametrize("paths", [("a", "a__b"), ("a__b__c", "a__b"), ("a__b", "a__b__c__d")])
def test_a_path_that_is_the_beginning_of_another_is_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"Column a"):
        list(iter_documents(frame(**{path: [1] for path in paths})))


names = st.sampled_from(["a", "b c", "it's", 'q"', "\\", "{x}", "ü", "if"])
cells = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "t", "ü\n"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=3),
)


@given(st.dictionaries(names, st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=4), names)
def test_any_cells_under_any_names_give_what_plain_nesting_gives(columns: dict[str, list[Any]], parent: str) -> None:
    made = frame(**{f"top.{parent}.{name}": column for name, column in columns.items()})
    documents = list(iter_documents(made))
    for row, document in enumerate(documents):
        plain = {name: clean(column[row]) for name, column in columns.items()}
        assert document == clean({"top": {parent: plain}})
    assert [json.loads(text) for text in frame_documents(made)] == documents
    assert list(frame_documents(made)) == list(frame_documents(made[reversed(made.columns)]))


def clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: item for key, each in value.items() if (item := clean(each)) not in (None, "", [], {})}
    if isinstance(value, list):
        return [item for each in value if (item := clean(each)) not in (None, "", [], {})]
    return value
