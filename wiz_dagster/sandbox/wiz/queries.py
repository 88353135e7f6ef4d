"""Reads GraphQL queries: parsed and validated by graphql-core, split into root fields with their arguments.

What a root field's selection makes of nodes is compiled in `projection`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    parse,
    validate,
    visit,
)
from graphql.execution.values import get_argument_values, get_variable_values

from wiz_dagster.sandbox.wiz.projection import BadQueryError, Compiler, Project, schema


@dataclass(frozen=True)
class RootSelection:
    """One root field of a query, with its arguments and what it selects of the connection."""

    key: str
    field: str
    arguments: Mapping[str, Any]
    connection: Project


class Query:
    """A parsed and validated query; `select` brings in the variables."""

    def __init__(self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._operation = operation
        self._fragments = fragments
        self._below = _variables_below(operation, fragments)
        self._compiled: dict[tuple[tuple[str, Any], ...], list[tuple[str, FieldNode, Project]]] = {}

    def select(self, variables: Mapping[str, Any]) -> list[RootSelection]:
        """The root fields with coerced arguments; BadQueryError when a variable doesn't fit."""
        coerced = get_variable_values(schema(), self._operation.variable_definitions or (), dict(variables))
        if isinstance(coerced, list):
            raise BadQueryError(coerced[0].message)
        # Booleans may stand in @include and @skip, where a selection depends on them as on arguments below the root.
        switches = tuple((n, value) for n, value in coerced.items() if isinstance(value, bool) or n in self._below)
        if switches not in self._compiled:
            self._compiled[switches] = list(self._compile(coerced))
        return [
            RootSelection(key, node.name.value, _arguments(node, coerced), connection)
            for key, node, connection in self._compiled[switches]
        ]

    def _compile(self, coerced: Mapping[str, Any]) -> Iterator[tuple[str, FieldNode, Project]]:
        compiler = Compiler(self._fragments, coerced)
        for key, nodes in compiler.fields(_query_type(), [self._operation.selection_set]).items():
            name = nodes[0].name.value
            if name not in _query_type().fields:
                raise BadQueryError(f"The emulator answers no {name} at the root of a query.")
            sets = [node.selection_set for node in nodes if node.selection_set]
            yield key, nodes[0], compiler.value(_query_type().fields[name].type, sets)


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found.add(node.name.value)


def _variables_below(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> frozenset[str]:
    """The variables that stand anywhere but in a root field's own arguments."""
    variables = _Variables()
    roots = operation.selection_set.selections
    below = [inner for root in roots if (inner := getattr(root, "selection_set", None))]
    for part in (*below, *fragments.values()):
        visit(part, variables)
    return frozenset(variables.found)


def _query_type() -> GraphQLObjectType:
    found = schema().query_type
    assert found is not None  # noqa: S101  # the schema text has one
    return found


def _arguments(node: FieldNode, coerced: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return get_argument_values(_query_type().fields[node.name.value], node, dict(coerced))
    except GraphQLError as error:
        raise BadQueryError(error.message) from error


@lru_cache(maxsize=256)
def read_query(text: str) -> Query:
    """Parse and validate; BadQueryError with graphql-core's own message."""
    try:
        document = parse(text)
    except GraphQLError as error:
        raise BadQueryError(error.message) from error
    errors = validate(schema(), document)
    if errors:
        raise BadQueryError(errors[0].message)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        raise BadQueryError("Send exactly one operation, a query.")
    fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}
    return Query(operations[0], fragments)
