"""The vendored ECS facts and the datasets' field tables."""

import pytest

from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import ECS_VERSION, ecs_fields, read_fields
from wiz_dagster.errors import PermanentError
from wiz_dagster_tests.datasets.making import OPTIONS

each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


def test_ecs_is_there_with_types_lists_and_allowed_values() -> None:
    fields = ecs_fields()
    assert ECS_VERSION == "9.4.0"
    assert len(fields) == 2605
    assert fields["source.ip"].type == "ip"
    assert fields["related.user"].array
    assert "pipeline_error" in fields["event.kind"].allowed
    assert not fields["event.original"].searchable


@each_dataset
def test_a_field_table_is_sorted_says_everything_and_names_ecs_fields_only_with_ecs_types(dataset: Dataset) -> None:
    fields = dataset.fields()
    names = [field.name for field in fields]
    assert names == sorted(set(names))
    assert all(field.type and field.description for field in fields)
    own = [field for field in fields if not field.is_ecs]
    assert {field.name.split(".")[0] for field in own} <= {"wiz", "labels", "url"}
    assert all(field.type == ecs_fields()[field.name].type for field in fields if field.is_ecs)


@each_dataset
def test_every_column_of_a_frame_is_in_the_field_table(dataset: Dataset) -> None:
    types = {field.name: field.type for field in dataset.fields()}
    for path in dataset.transform([{}], OPTIONS).by_path:
        below = [name for name in types if name.startswith(f"{path}.")]
        above = [name for name, kind in types.items() if kind == "flattened" and path.startswith(f"{name}.")]
        assert path in types or below or above, path


def test_a_row_without_a_type_must_be_ecs() -> None:
    with pytest.raises(KeyError):
        read_fields("name,type,description,source\nwiz.x,,d,s\n")


def test_an_unknown_dataset_is_answered_with_the_known_names() -> None:
    assert dataset_named("issue").root == "issuesV2"
    with pytest.raises(PermanentError, match=r"'isue'.*audit, issue"):
        dataset_named("isue")
