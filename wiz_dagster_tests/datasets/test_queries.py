"""The query files against Wiz's schema, and against the keys that the transforms know."""

import os
import re
from functools import cache
from pathlib import Path

import pytest
from graphql import (
    FieldNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)

from wiz_dagster.datasets import PULLED, audit, dataset_named, detection, issue
from wiz_dagster.datasets.base import Dataset

SCHEMA = Path(os.environ.get("WIZ_SHARED") or Path(__file__).parents[3] / "shared") / "wiz" / "schema.graphql"
needs_schema = pytest.mark.skipif(
    not SCHEMA.is_file(), reason="Wiz's schema isn't there; name its parent folder in WIZ_SHARED"
)
each_dataset = pytest.mark.parametrize("dataset", PULLED, ids=lambda dataset: dataset.name)
ALLOWED_DEPRECATED: dict[str, set[str]] = {
    "audit": {"AuditLogEntry.user", "AuditLogEntry.serviceAccount"},
    "issue": set(),
    "vulnerability": {"VulnerabilityFinding.ignoreRules"},
    "cloud_configuration_finding": set(),
    "cloud_configuration_finding_full_posture": set(),
    "detection": set(),
}
ALLOWED_ARGUMENTS: dict[str, set[str]] = {
    "detection": {
        "actors",  # Elastic's integration takes all that come without `first`
        "description",  # of a detection: the format, as Elastic's integration; of an event: Markdown by default
        "resources",  # as actors
        "triggeringEvents",  # the first 50 come with their detection, as Elastic's integration takes them
    }
}
"""What a query selects although it could take arguments: nothing of it costs another page."""


@cache
def definitions() -> dict[str, str]:
    """The text of each definition of the schema by the name it defines."""
    parts = re.split(r"\n\n(?=\S)", SCHEMA.read_text(encoding="utf-8"))
    return {words[1]: part for part in parts if len(words := part.split(maxsplit=2)) > 1 and not part.startswith("#")}


@cache
def schema(query: str) -> GraphQLSchema:
    """The part of the schema that a query can meet: fields whose names it has, the types of those, and all inputs.

    The whole one takes twenty seconds to build.
    """
    names = set(re.findall(r"\w+", query))
    kept: dict[str, str] = {}
    waiting = ["Query"]
    while waiting:
        name = waiting.pop()
        if name in kept or name not in definitions():
            continue
        text = definitions()[name]
        if text.startswith(("type ", "interface ")):
            head, *body = text.splitlines()
            fields = [line for line in body if re.match(r"\s*(\w*)", line)[1] in names or line.strip() == "}"]
            text = "\n".join([head, *fields]) if len(fields) > 1 else f"{head} unused: Int }}"
        kept[name] = text
        waiting += re.findall(r"\w+", re.sub(r"@deprecated\(.*\)", "", text))
        waiting += [other for other in names if other in definitions()]
    return build_schema("\n\n".join(kept.values()), assume_valid=True)


class Fields(Visitor):
    """Collects what a query selects that is deprecated or could take arguments."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.deprecated: set[str] = set()
        self.with_arguments: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        field, parent = self.info.get_field_def(), self.info.get_parent_type()
        assert field is not None
        assert parent is not None
        if field.deprecation_reason:
            self.deprecated.add(f"{parent.name}.{node.name.value}")
        if field.args:
            self.with_arguments.add(node.name.value)


def operation(dataset: Dataset) -> OperationDefinitionNode:
    (definition,) = parse(dataset.query()).definitions
    assert isinstance(definition, OperationDefinitionNode)
    return definition


def selected(selection: SelectionSetNode | None) -> dict[str, FieldNode]:
    assert selection is not None
    fields: dict[str, FieldNode] = {}
    for node in selection.selections:
        if isinstance(node, FieldNode):
            fields[node.name.value] = node
        elif isinstance(node, InlineFragmentNode):
            fields |= selected(node.selection_set)
    return fields


@needs_schema
@each_dataset
def test_a_query_is_valid_against_wizs_schema(dataset: Dataset) -> None:
    assert validate(schema(dataset.query()), parse(dataset.query())) == []


@needs_schema
@each_dataset
def test_a_query_selects_no_deprecated_field_and_no_subquery_but_those_allowed(dataset: Dataset) -> None:
    info = TypeInfo(schema(dataset.query()))
    found = Fields(info)
    visit(parse(dataset.query()), TypeInfoVisitor(info, found))
    assert found.deprecated == ALLOWED_DEPRECATED[dataset.name]
    assert found.with_arguments == {dataset.root} | ALLOWED_ARGUMENTS.get(dataset.name, set())


@each_dataset
def test_a_query_has_one_root_field_without_alias_and_the_variables_that_paging_needs(dataset: Dataset) -> None:
    query = operation(dataset)
    (root,) = query.selection_set.selections
    assert isinstance(root, FieldNode)
    assert root.name.value == dataset.root
    assert root.alias is None
    assert {variable.variable.name.value for variable in query.variable_definitions} == {
        "first",
        "after",
        "filterBy",
        "withCount",
    }
    below = selected(root.selection_set)
    assert set(below) - {"maxCountReached"} == {"nodes", "pageInfo", "totalCount"}
    assert set(selected(below["pageInfo"].selection_set)) == {"hasNextPage", "endCursor"}


@each_dataset
def test_a_query_selects_what_its_nodes_are_cut_and_versioned_by(dataset: Dataset) -> None:
    (root,) = operation(dataset).selection_set.selections
    assert isinstance(root, FieldNode)
    keys = set(selected(selected(root.selection_set)["nodes"].selection_set))
    assert keys >= {"id", *dataset.window_fields, *(walk.filter_field for walk in dataset.walks if walk.filter_field)}
    assert dataset.version_field is None or dataset.version_field in keys


@each_dataset
def test_the_keys_that_every_node_is_asked_for_are_those_of_the_query(dataset: Dataset) -> None:
    (root,) = operation(dataset).selection_set.selections
    assert isinstance(root, FieldNode)
    (nodes,) = [one for one in root.selection_set.selections if one.name.value == "nodes"]
    plain = [one for one in nodes.selection_set.selections if isinstance(one, FieldNode)]
    assert dataset.selected_keys() == {(one.alias or one.name).value for one in plain if not one.directives}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("audit", audit.KEYS),
        ("issue", issue.KEYS - {older for keys in issue.OLDER_KEYS.values() for older in keys}),
        ("detection", detection.KEYS),
    ],
)
def test_every_selected_key_has_a_place_in_the_document(name: str, known: frozenset[str]) -> None:
    (root,) = operation(dataset_named(name)).selection_set.selections
    assert isinstance(root, FieldNode)
    assert set(selected(selected(root.selection_set)["nodes"].selection_set)) == known
