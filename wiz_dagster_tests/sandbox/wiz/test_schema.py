import os
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLSchema,
    build_schema,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
    validate_schema,
)

from wiz_dagster.sandbox.wiz.projection import schema

_BESIDE = Path(__file__).parents[4] / "shared"
_WIZ = Path(os.environ.get("WIZ_SHARED", _BESIDE)) / "wiz" / "schema.graphql"


@pytest.fixture(scope="module")
def wiz() -> GraphQLSchema:
    if not _WIZ.is_file():
        pytest.skip(f"Wiz's whole schema isn't at {_WIZ}; name its folder by WIZ_SHARED")
    return build_schema(_WIZ.read_text("utf-8"), assume_valid=True)


def _own_types() -> list[Any]:
    return [one for name, one in schema().type_map.items() if not name.startswith("__")]


def test_the_emulators_schema_is_valid() -> None:
    assert validate_schema(schema()) == []


def test_every_type_is_of_wiz_and_of_the_same_kind(wiz: GraphQLSchema) -> None:
    assert [one.name for one in _own_types() if type(wiz.type_map.get(one.name)) is not type(one)] == []


def test_every_field_has_wizs_type_and_arguments(wiz: GraphQLSchema) -> None:
    wrong = []
    for own in _own_types():
        if is_object_type(own) or is_interface_type(own) or is_input_object_type(own):
            for name, field in own.fields.items():
                other = wiz.type_map[own.name].fields.get(name)  # type: ignore[attr-defined]
                if other is None or _signature(field) != _signature(other):
                    wrong.append(f"{own.name}.{name}")
    assert wrong == []


def test_every_deprecation_is_wizs(wiz: GraphQLSchema) -> None:
    fields = [(own.name, *pair) for own in _own_types() if is_object_type(own) for pair in own.fields.items()]
    wrong = [
        f"{owner}.{name}"
        for owner, name, field in fields
        if bool(field.deprecation_reason) != bool(wiz.type_map[owner].fields[name].deprecation_reason)  # type: ignore[attr-defined]
    ]
    assert wrong == []


def test_every_enum_has_exactly_wizs_values(wiz: GraphQLSchema) -> None:
    enums = [own for own in _own_types() if is_enum_type(own)]
    assert [own.name for own in enums if set(own.values) != set(wiz.type_map[own.name].values)] == []  # type: ignore[attr-defined]


def test_every_interface_is_implemented_in_wiz_too(wiz: GraphQLSchema) -> None:
    wrong = [
        f"{own.name}: {interface.name}"
        for own in _own_types()
        if is_object_type(own)
        for interface in own.interfaces
        if interface.name not in {one.name for one in wiz.type_map[own.name].interfaces}  # type: ignore[attr-defined]
    ]
    assert wrong == []


def test_no_secret_can_be_selected() -> None:
    assert "clientSecret" not in schema().type_map["ServiceAccount"].fields  # type: ignore[attr-defined]


def _signature(field: Any) -> Any:
    arguments = getattr(field, "args", {})
    return str(field.type), {name: (str(one.type), one.default_value) for name, one in arguments.items()}
