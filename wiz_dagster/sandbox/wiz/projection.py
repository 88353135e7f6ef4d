"""Answers a selection of a validated query from node dicts, by generated functions.

One function is generated for each selection set and concrete type, which is far quicker than `execute()`; a test holds
the two together. It is lenient where `execute()` isn't: a value that violates the schema stays itself, a key that the
node lacks is absent from the answer.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    SelectionNode,
    SelectionSetNode,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)
from graphql.execution.values import get_argument_values, get_directive_values
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


@cache
def schema() -> GraphQLSchema:
    """The part of Wiz's schema that the emulator knows."""
    return build_schema(resources.files(__package__).joinpath("schema.graphql").read_text("utf-8"))


class Shared(dict[str, Any]):
    """A record that many nodes hold and nobody changes: it is projected once a selection."""


_SHARED_KEPT = 4096


class Compiler:
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

    def _of_field(self, declared: GraphQLField, node: FieldNode, sets: list[SelectionSetNode]) -> Project:
        """With what the field's arguments say: `first` cuts, a cursor leads nowhere, others change nothing."""
        function = self.value(declared.type, sets)
        arguments = get_argument_values(declared, node, self._variables)
        if arguments.get("after") is not None:
            raise BadQueryError(f"The emulator serves the first nodes of {node.name.value} only: leave out after.")
        first: int | None = arguments.get("first")
        if first is None:
            return function
        if first < 0:
            raise BadQueryError(f"first of {node.name.value} must be at least 0, not {first}.")
        return _cut(first, function)

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
            function = self._of_field(_declaration(concrete, field), nodes[0], inner) if inner else _same
            names[f"f{number}"] = function
            value = f"node[{field!r}]" if function is _same else f"f{number}(node[{field!r}])"
            lines.append(f"    if {field!r} in node: out[{key!r}] = {value}")
        lines.append("    return out")
        exec("\n".join(lines), names)  # noqa: S102  # made of validated GraphQL names only
        generated: Project = names["project"]
        return generated


def _same(value: Any) -> Any:
    return value


def _cut(first: int, project: Project) -> Project:
    """For a list or a connection: only so many of its nodes."""

    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return project(value[:first])
        nodes = value.get("nodes") if isinstance(value, dict) else None
        if isinstance(nodes, list) and len(nodes) > first:
            value = {**value, "nodes": nodes[:first], "pageInfo": {"hasNextPage": True, "endCursor": None}}
        return project(value)

    return cut


def _holds(condition: str, concrete: _Composite) -> bool:
    """Whether a fragment on the named type holds for a node of the other; any may for one of unknown type."""
    if not isinstance(concrete, GraphQLObjectType) or condition == concrete.name:
        return True
    other = schema().type_map[condition]
    return isinstance(other, GraphQLInterfaceType | GraphQLUnionType) and schema().is_sub_type(other, concrete)


def _declaration(concrete: _Composite, field: str) -> GraphQLField:
    """The field's; of an abstract type, that of any type it can be which has the field."""
    possible = [concrete] if isinstance(concrete, GraphQLObjectType) else schema().get_possible_types(concrete)
    found: GraphQLField = next(one.fields[field] for one in possible if field in one.fields)
    return found
