import re
from importlib import resources
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    is_abstract_type,
    is_composite_type,
    parse,
)

from wiz_dagster.sandbox.wiz.projection import BadQueryError, schema
from wiz_dagster.sandbox.wiz.queries import read_query
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros

from .conftest import NOW

_DEPTH = 4


def _lenient_schema() -> GraphQLSchema:
    """Nothing is non-null and any enum value goes, so that `execute` nulls less of odd nodes."""
    text = (resources.files("wiz_dagster.sandbox.wiz") / "schema.graphql").read_text("utf-8")
    blocks = re.split(r"\n\n", text)
    outputs = [
        re.sub(r"(: \[?\w+)!?(\]?)!?", r"\1\2", one) if one.startswith(("type", "interface")) else one for one in blocks
    ]
    found = build_schema("\n\n".join(outputs), assume_valid=True)
    for one in found.type_map.values():
        if isinstance(one, GraphQLEnumType):
            one.serialize = lambda value: value  # type: ignore[method-assign,assignment]
    return found


def _everything(type_name: str, depth: int) -> str:
    """A selection of all fields, with a fragment for each possible type, down to some depth."""
    owner: Any = schema().type_map[type_name]
    common = getattr(owner, "fields", {})
    parts = ["__typename"] + [_field(name, field, depth) for name, field in common.items()]
    if is_abstract_type(owner):
        for one in schema().get_possible_types(owner):
            inner = " ".join(
                _field(name, field, depth, prefix=f"{one.name}_")
                for name, field in one.fields.items()
                if name not in common
            )
            alias = f"alias_{one.name}: id" if "id" in one.fields else ""
            parts.append(f"... on {one.name} {{ {alias} {inner} }}")
    return " ".join(parts)


def _field(name: str, field: Any, depth: int, prefix: str = "") -> str:
    inner = re.sub(r"[\[\]!]", "", str(field.type))
    alias = f"{prefix}{name}: " if prefix else ""
    if not is_composite_type(schema().type_map[inner]):
        return f"{alias}{name}"
    return f"{alias}{name} {{ {_everything(inner, depth - 1)} }}" if depth > 0 else ""


def _differences(projected: Any, executed: Any, path: str = "") -> list[str]:
    """Where the two differ; a key that the projection leaves out must be null in the other."""
    if isinstance(projected, dict) and isinstance(executed, dict):
        extra = sorted(projected.keys() - executed.keys())
        return extra + [
            found
            for key, value in executed.items()
            for found in (
                _differences(projected[key], value, f"{path}.{key}")
                if key in projected
                else ([] if value is None else [f"{path}.{key} missing"])
            )
        ]
    if isinstance(projected, list) and isinstance(executed, list) and len(projected) == len(executed):
        return [one for pair in zip(projected, executed, strict=True) for one in _differences(*pair, path)]
    return [] if _same(projected, executed) else [f"{path}: {projected!r} {executed!r}"]


def _same(projected: Any, executed: Any) -> bool:
    """The projection leaves numbers as they came; `execute` makes what the schema says of them."""
    if type(executed) in (int, float) and type(projected) in (int, float, str):
        return bool(float(projected) == executed)
    return bool(projected == executed) and type(projected) is type(executed)


@pytest.mark.parametrize(("dataset", "field", "node_type"), [
    ("audit", "auditLogEntries", "AuditLogEntry"),
    ("issue", "issuesV2", "Issue"),
    ("vulnerability", "vulnerabilityFindings", "VulnerabilityFinding"),
    ("cloud_configuration_finding", "configurationFindings", "ConfigurationFinding"),
    ("detection", "detections", "Detection"),
])  # fmt: skip
def test_the_projection_answers_what_execute_answers(dataset: str, field: str, node_type: str) -> None:
    query = f"{{ some: {field} {{ nodes {{ {_everything(node_type, _DEPTH)} }} totalCount }} }}"
    tenant = Tenant(now=NOW, days=3, volumes={dataset: 300})
    source, now = tenant.source(dataset), micros(tenant.now)
    (selection,) = read_query(query).select({})
    lenient, document = _lenient_schema(), parse(query)
    compared = 0
    for block in source.blocks({}, now):
        for node in source.nodes(block[::3], now):
            connection = {"nodes": [node], "totalCount": 1}
            result = execute_sync(lenient, document, {field: connection})
            if not result.errors and result.data:
                compared += 1
                assert _differences(selection.connection(connection), result.data["some"]) == []
    assert compared > 150


def test_fragments_and_directives_select_as_written() -> None:
    query = """
      query Q($more: Boolean!) { issuesV2 { nodes { ...A ... @skip(if: $more) { severity } } } }
      fragment A on Issue { state: status sourceRules { name ... on Control { id } ...B } }
      fragment B on CloudEventRule { what: type @include(if: $more) }
    """
    rules = [
        {"__typename": "Control", "id": "1", "name": "x", "type": "T"},
        {"__typename": "CloudEventRule", "id": "2", "type": "T"},
    ]
    node = {"status": "OPEN", "severity": "LOW", "sourceRules": rules}

    def ask(more: bool) -> Any:
        return read_query(query).select({"more": more})[0].connection({"nodes": [node]})["nodes"][0]

    assert ask(True) == {"state": "OPEN", "sourceRules": [{"name": "x", "id": "1"}, {"what": "T"}]}
    assert ask(False) == {"state": "OPEN", "severity": "LOW", "sourceRules": [{"name": "x", "id": "1"}, {}]}


def test_values_that_violate_the_schema_stay_themselves() -> None:
    query = "{ issuesV2 { nodes { id status dueAt projects { name } notes { text } entitySnapshot { name type } } } }"
    node = {
        "id": 7,
        "status": {"odd": 1},
        "projects": {"name": "one"},
        "notes": "null",
        "entitySnapshot": [None, {"name": "n"}],
    }
    (projected,) = read_query(query).select({})[0].connection({"nodes": [node]})["nodes"]
    assert projected == node


def test_a_rule_of_unknown_type_gets_the_fields_of_every_fragment() -> None:
    rules_of = "__typename name ... on Control { id } ... on CloudEventRule { type }"
    query = f"{{ issuesV2 {{ nodes {{ sourceRules {{ {rules_of} }} }} }} }}"
    rules = [{"name": "a", "id": "b", "type": "c"}, {"__typename": "NewRule", "name": "d"}]
    (projected,) = read_query(query).select({})[0].connection({"nodes": [{"sourceRules": rules}]})["nodes"]
    assert projected == {"sourceRules": rules}


def _events(arguments: str, variables: dict[str, Any]) -> Any:
    query = f"""
      query Q($after: String, $n: Int) {{ detections(after: $after) {{ nodes {{
        actors{arguments} {{ id }} resources(first: $n) {{ id }}
        triggeringEvents{arguments} {{ ...E }} description(format: PLAIN_TEXT)
      }} }} }}
      fragment E on CloudEventSearchResultConnection {{
        totalCountV2 pageInfo {{ hasNextPage }} nodes {{ ... on CloudEvent {{ id }} }}
      }}
    """
    some = [{"__typename": "CloudEvent", "id": str(number)} for number in range(4)]
    events = {"totalCountV2": 4, "nodes": some, "pageInfo": {"hasNextPage": False}}
    node = {"actors": some, "triggeringEvents": events, "description": "d"}
    return read_query(query).select(variables)[0].connection({"nodes": [node]})["nodes"][0]


@pytest.mark.parametrize(("arguments", "variables", "left", "more"), [
    ("", {}, 4, False),
    ("(first: 2)", {}, 2, True),
    ("(first: $n)", {"n": 3}, 3, True),
    ("(first: $n)", {"n": 1}, 1, True),
    ("(first: $n)", {}, 4, False),
    ("(first: 0)", {}, 0, True),
    ("(first: 50)", {}, 4, False),
])  # fmt: skip
def test_a_nested_list_ends_where_its_first_says_and_tells_the_whole_number(
    arguments: str, variables: dict[str, Any], left: int, more: bool
) -> None:
    ids = [{"id": str(number)} for number in range(left)]
    assert _events(arguments, variables) == {
        "actors": ids,
        "triggeringEvents": {"totalCountV2": 4, "pageInfo": {"hasNextPage": more}, "nodes": ids},
        "description": "d",
    }


@pytest.mark.parametrize(("arguments", "says"), [
    ("(first: -1)", "first of triggeringEvents must be at least 0"),
    ('(first: 1, after: "x")', "leave out after"),
])  # fmt: skip
def test_a_nested_page_that_cannot_be_is_refused(arguments: str, says: str) -> None:
    query = f"{{ detections {{ nodes {{ triggeringEvents{arguments} {{ totalCountV2 }} }} }} }}"
    with pytest.raises(BadQueryError, match=says):
        read_query(query).select({})


@pytest.mark.parametrize(("query", "variables", "says"), [
    ("{ issuesV2 { nodes { nonsense } } }", {}, "nonsense"),
    ("{ issuesV2(filterBy: {nonsense: 1}) { totalCount } }", {}, "nonsense"),
    ("query Q($f: IssueFilters) { issuesV2(filterBy: $f) { totalCount } }", {"f": {"status": ["GONE"]}}, "GONE"),
    ("query Q($n: Int!) { issuesV2(first: $n) { totalCount } }", {}, "$n"),
    ("{ issuesV2 { totalCount }", {}, "Syntax Error"),
    ("{ __typename }", {}, "__typename"),
])  # fmt: skip
def test_a_query_or_variable_that_does_not_fit_is_named(query: str, variables: dict[str, Any], says: str) -> None:
    with pytest.raises(BadQueryError, match=re.escape(says)):
        read_query(query).select(variables)
