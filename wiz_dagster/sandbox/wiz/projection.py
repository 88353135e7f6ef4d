"""Answers a query's selection from node dicts: parsed and validated by graphql-core, projected by generated functions.

One function is generated for each selection set and concrete type, which is far quicker than `execute()`; a test holds
the two together. It is lenient where `execute()` isn't: a value that violates the schema stays itself, a key that the
node lacks is absent from the answer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    parse,
    validate,
)
from graphql.execution.values import get_argument_values, get_directive_values, get_variable_values
from graphql.type import (
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLSkipDirective,
    GraphQLUnionType,
)

Project = Callable[[Any], Any]
_Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType


class BadQueryError(Exception):
    """The query or its variables don't fit the schema; the message says where."""


@dataclass(frozen=True)
class RootSelection:
    """One root field of a query, with its arguments and what it selects of the connection."""

    key: str
    field: str
    arguments: Mapping[str, Any]
    connection: Project


@cache
def schema() -> GraphQLSchema:
    """The part of Wiz's schema that the emulator knows."""
    return build_schema(resources.files(__package__).joinpath("schema.graphql").read_text("utf-8"))


class Shared(dict[str, Any]):
    """A record that many nodes hold and nobody changes: it is projected once a selection."""


_SHARED_KEPT = 4096


class Query:
    """A parsed and validated query; `select` brings in the variables."""

    def __init__(self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._operation = operation
        self._fragments = fragments
        self._compiled: dict[tuple[tuple[str, bool], ...], list[tuple[str, FieldNode, Project]]] = {}

    def select(self, variables: Mapping[str, Any]) -> list[RootSelection]:
        """The root fields with coerced arguments; BadQueryError when a variable doesn't fit."""
        coerced = get_variable_values(schema(), self._operation.variable_definitions or (), dict(variables))
        if isinstance(coerced, list):
            raise BadQueryError(coerced[0].message)
        # Only @include and @skip make a selection depend on variables, and those are Booleans.
        switches = tuple((name, value) for name, value in coerced.items() if isinstance(value, bool))
        if switches not in self._compiled:
            self._compiled[switches] = list(self._compile(coerced))
        return [
            RootSelection(key, node.name.value, _arguments(node, coerced), connection)
            for key, node, connection in self._compiled[switches]
        ]

    def _compile(self, coerced: Mapping[str, Any]) -> Iterator[tuple[str, FieldNode, Project]]:
        compiler = _Compiler(self._fragments, coerced)
        for key, nodes in compiler.fields(_query_type(), [self._operation.selection_set]).items():
            name = nodes[0].name.value
            if name not in _query_type().fields:
                raise BadQueryError(f"The emulator answers no {name} at the root of a query.")
            sets = [node.selection_set for node in nodes if node.selection_set]
            yield key, nodes[0], compiler.value(_query_type().fields[name].type, sets)


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


class _Compiler:
    """Turns selection sets into functions, with the variables of one request."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]) -> None:
        self._fragments = fragments
        self._variables = dict(variables)

    def value(self, declared: GraphQLOutputType, sets: list[SelectionSetNode]) -> Project:
        """A function for a value of this type: objects are projected, lists walked, anything else kept."""
        named = get_named_type(declared)
        if not is_composite_type(named):
            return _same
        whole = self._object(named, sets)
        kept: dict[int, tuple[Any, Any]] = {}

        def project(value: Any) -> Any:
            if type(value) is dict:
                return whole(value)
            if isinstance(value, list):
                return [project(item) for item in value]
            return shared(value) if type(value) is Shared else value

        def shared(value: Shared) -> Any:
            if id(value) not in kept:
                if len(kept) >= _SHARED_KEPT:
                    kept.clear()
                kept[id(value)] = value, whole(value)
            return kept[id(value)][1]

        return project

    def fields(self, concrete: _Composite, sets: Iterable[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Fields by answer key, in the order of the query, of those selections that hold for the type."""
        found: dict[str, list[FieldNode]] = {}
        for selections in sets:
            for node in selections.selections:
                if not self._included(node):
                    continue
                if isinstance(node, FieldNode):
                    found.setdefault((node.alias or node.name).value, []).append(node)
                    continue
                for key, nodes in self._fragment(concrete, node).items():
                    found.setdefault(key, []).extend(nodes)
        return found

    def _fragment(self, concrete: _Composite, node: Any) -> dict[str, list[FieldNode]]:
        body: Any = self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        condition = body.type_condition.name.value if body.type_condition else concrete.name
        return self.fields(concrete, [body.selection_set]) if _holds(condition, concrete) else {}

    def _included(self, node: SelectionNode) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return not (skip and skip["if"]) and not (include and not include["if"])

    def _object(self, declared: Any, sets: list[SelectionSetNode]) -> Project:
        if not is_abstract_type(declared):
            return self._generated(declared, sets)
        by_name = {one.name: self._generated(one, sets) for one in schema().get_possible_types(declared)}
        otherwise = self._generated(declared, sets)
        return lambda node: by_name.get(node.get("__typename"), otherwise)(node)

    def _generated(self, concrete: _Composite, sets: list[SelectionSetNode]) -> Project:
        """An abstract type stands for a node that doesn't say what it is: every fragment's fields are tried."""
        names: dict[str, Any] = {}
        lines = ["def project(node):", "    out = {}"]
        for number, (key, nodes) in enumerate(self.fields(concrete, sets).items()):
            field = nodes[0].name.value
            if field == "__typename" and not is_abstract_type(concrete):
                lines.append(f"    out[{key!r}] = node.get('__typename', {concrete.name!r})")
                continue
            inner = [node.selection_set for node in nodes if node.selection_set]
            function = self.value(_type_of(concrete, field), inner) if inner else _same
            names[f"f{number}"] = function
            value = f"node[{field!r}]" if function is _same else f"f{number}(node[{field!r}])"
            lines.append(f"    if {field!r} in node: out[{key!r}] = {value}")
        lines.append("    return out")
        exec("\n".join(lines), names)  # noqa: S102  # made of validated GraphQL names only
        generated: Project = names["project"]
        return generated


def _same(value: Any) -> Any:
    return value


def _holds(condition: str, concrete: _Composite) -> bool:
    """Whether a fragment on the named type holds for a node of the other; any may for one of unknown type."""
    if not isinstance(concrete, GraphQLObjectType) or condition == concrete.name:
        return True
    other = schema().type_map[condition]
    return isinstance(other, GraphQLInterfaceType | GraphQLUnionType) and schema().is_sub_type(other, concrete)


def _type_of(concrete: _Composite, field: str) -> GraphQLOutputType:
    """The field's type; of an abstract type, that of any type it can be which has the field."""
    possible = [concrete] if isinstance(concrete, GraphQLObjectType) else schema().get_possible_types(concrete)
    found: GraphQLOutputType = next(one.fields[field].type for one in possible if field in one.fields)
    return found
