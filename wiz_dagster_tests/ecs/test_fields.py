"""The vendored ECS facts and the datasets' field tables."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import resources

import pytest

from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import ECS_VERSION, ecs_fields, read_fields
from wiz_dagster.errors import PermanentError
from wiz_dagster_tests.datasets.making import OPTIONS
from wiz_dagster_tests.differences import table

TEXTS = {"keyword", "constant_keyword", "wildcard", "text", "match_only_text"}
NUMBERS = {"long", "float", "double", "scaled_float"}
PATTERNS: tuple[tuple[set[str], tuple[str, ...]], ...] = (
    (TEXTS, ("message", "*.message", "*event.original", "*.io.text", "*.message_id", "*registry.data.strings")),
    (TEXTS, ("*url.path", "*url.full", "*url.original", "*.body.content", "*command_line", "*stack_trace")),
    (TEXTS, ("*.title", "*.executable", "*.name", "*.working_directory", "*.full_name", "*file.path", "*os.full")),
    (TEXTS, ("*file.target_path", "*email.subject", "*vulnerability.description", "*user_agent.original")),
    ({"ip"}, ("ip", "*.ip", "*_ip")),
    ({"date"}, ("*.timestamp", "*_timestamp", "created", "*.created", "ingested", "*.ingested", "*.start", "*.end")),
    ({"date"}, ("*.not_after", "*.not_before", "*.accessed", "*.installed", "*.creation_date", "*.ctime", "*.mtime")),
    ({"date"}, ("*.indicator.first_seen", "*.indicator.last_seen", "*.indicator.modified_at")),
    ({"date"}, ("*threat.enrichments.matched.occurred",)),
    (NUMBERS, ("*.score.*", "*_score*", "*.usage", "*.x509.public_key_exponent")),
    ({"geo_point"}, ("location", "*.location")),
    ({"flattened"}, ("*structured_data", "*exports", "*imports")),
)
"""Which types of ours hold values that fit the type which `ecs@mappings` (8.9 to 9.x) gives to such a name."""
OBJECTS_TOO = (*PATTERNS[-2][1], *PATTERNS[-1][1])
"""The patterns that take objects as well, so that no field of ours may lie below such a name."""

COMMON = (
    *("data_stream.dataset", "data_stream.namespace", "data_stream.type", "ecs.version", "tags"),
    *("event.dataset", "event.ingested", "event.module", "event.original"),
    *("labels.dagster_partition", "labels.dagster_run_id"),
)

each_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def outside_ecs() -> list[tuple[list[str], str]]:
    """Names and the reason that they share."""
    return [(names.replace("`", "").split(", "), why) for names, why in table("Fields outside ECS")]


def test_ecs_is_there_with_types_lists_and_allowed_values() -> None:
    fields = ecs_fields()
    assert ECS_VERSION == "9.4.0"
    assert len(fields) == 2605
    assert fields["source.ip"].type == "ip"
    assert fields["related.user"].array
    assert "pipeline_error" in fields["event.kind"].allowed
    assert not fields["event.original"].searchable


@each_dataset
def test_a_field_table_is_sorted_and_says_everything_in_plain_letters(dataset: Dataset) -> None:
    fields = dataset.fields()
    names = [field.name for field in fields]
    assert names == sorted(set(names))
    assert all(field.type and field.description for field in fields)
    assert all(f"{field.name}{field.description}{field.source}".isascii() for field in fields)
    leaning = [field.name for field in fields if field.description.startswith(("its ", "it ", "their "))]
    assert leaning == [], "a description is read alone"


@each_dataset
def test_the_fields_of_every_document_are_told_alike_in_every_table(dataset: Dataset) -> None:
    told = {field.name: field for field in dataset.fields()}
    known = {field.name: field for field in DATASETS[0].fields()}
    assert [told.get(name) for name in COMMON] == [known[name] for name in COMMON]
    assert told[f"wiz.{dataset.stream}.unmapped"].description == known["wiz.audit.unmapped"].description


@each_dataset
def test_a_field_that_has_fields_below_it_is_nested_and_none_lies_below_a_flattened_one(dataset: Dataset) -> None:
    types = {field.name: field.type for field in dataset.fields()}
    above = {parent for name in types for parent in parents(name)}
    assert {types[name] for name in above & types.keys()} <= {"nested"}


@each_dataset
def test_a_field_has_the_type_that_ecs_gives_it(dataset: Dataset) -> None:
    fields = [field for field in dataset.fields() if field.is_ecs]
    assert [field.name for field in fields if field.type != ecs_fields()[field.name].type] == []


@each_dataset
def test_our_own_fields_stand_below_wiz_and_the_others_are_listed_with_a_reason(dataset: Dataset) -> None:
    own = {field.name for field in dataset.fields() if not field.is_ecs}
    ours = {name for name in own if name.startswith((f"wiz.{dataset.stream}.", "labels.dagster_"))}
    assert own - ours <= {name for names, _ in outside_ecs() for name in names}


@each_dataset
def test_our_own_fields_fit_the_types_that_the_built_in_dynamic_templates_give(dataset: Dataset) -> None:
    for field in (field for field in dataset.fields() if not field.is_ecs):
        for fitting, patterns in PATTERNS:
            if matches(field.name, patterns) and not (fitting is NUMBERS and field.name.endswith(".version")):
                assert field.type in fitting, field.name
        assert not any(matches(parent, OBJECTS_TOO) for parent in parents(field.name)), field.name


def test_every_field_that_is_listed_outside_ecs_is_there_and_has_a_reason() -> None:
    tables = resources.files("wiz_dagster.datasets").iterdir()
    texts = [file.read_text(encoding="utf-8") for file in tables if file.name.endswith("_fields.csv")]
    known = {field.name for text in texts for field in read_fields(text)}
    for names, why in outside_ecs():
        assert set(names) <= known
        assert why


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
