"""Documents made to fit: nothing in them is lost or moved without need, and the real node takes them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import Field
from wiz_dagster.elasticsearch.fitting import Fitting
from wiz_dagster.elasticsearch.mappings import mapping, types
from wiz_dagster.elasticsearch.readable import RANGES, is_readable
from wiz_dagster.elasticsearch.templates import lacking_types
from wiz_dagster_tests.datasets.odd_nodes import texts

SETTINGS = {"index.mapping.ignore_malformed": False, "index.number_of_replicas": 0}
Document = dict[str, Any]


def refused(client: Elasticsearch, index: str, documents: list[Document]) -> list[tuple[Document, str]]:
    """The documents that the index doesn't take, each with the reason."""
    lines = [line for document in documents for line in (b'{"index":{}}', orjson.dumps(document))]
    answer = client.bulk(index=index, body=b"\n".join(lines) + b"\n")
    results = [item["index"] for item in answer["items"]]
    return [
        (document, str(result["error"]))
        for document, result in zip(documents, results, strict=True)
        if result["status"] >= 300
    ]


# One value in one field

READABLE: dict[str, list[Any]] = {
    "boolean": [True, "true", "false", ""],
    "date": [
        "2026-02-28",
        "2026-02-28T23:59",
        "2026-02-28T23:59:59.123456789Z",
        "2026-02-28T23:59:59,1-18:00",
        "1600-02-29T00:00:00+05:30",
        0,
        -5,
        1.5,
        2**63 - 1,
        "12.5",
        "123456789012345678",
    ],
    "ip": ["10.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "2001:DB8::A"],
    "long": [0, -(2**63), 2**63 - 1, 12.5, "12", "12.5", "+5", ""],
    "integer": [-(2**31), 2**31 - 1, 1.5, "12"],
    "double": [0, 2**63, -1.7e308, 5e-324, "9" * 300, "12.", ""],
    "float": [2**63, 3.4e38, "34" + "0" * 37],
    "keyword": ["", "text", 1, 1.5, True, "a\0b"],
    "text": ["", 1, False],
    "flattened": [{}, {"a": [1, {"b": [[None]]}], "": 1, "a..b": 2, ".": True}],
    "geo_point": [{"lat": 1.5, "lon": -180}, {"lat": -90, "lon": 0}],
}
UNREADABLE: dict[str, list[Any]] = {
    "boolean": [0, 1, "yes", "True", {}],
    "date": [
        "soon",
        "",
        "2026-02-30",
        "2026-02-28 00:00:00",
        "2026-02-28T24:00:00Z",
        "2026-02-28T00:00:00.1234567890Z",
        "2026-02-28T00:00:00+18:01",
        "9999-12-31T23:59:59-23:59",
        "2026-W01",
        " 2026-02-28",
        True,
        2**63,
        1e18,
        {},
    ],
    "ip": ["10.0.0", "01.0.0.1", "10.0.0.1/8", "", "[::1]", " ::1", 1, {}],
    "long": [2**63, 1e19, "9223372036854775808", "1_000", "0x10", "12d", " 12", "NaN", True, {}],
    "integer": [2**31, 1e10, "2147483648", {}],
    "double": ["1e400", "NaN", "Infinity", "soon", False, {}],
    "float": [3.5e38, "1e39", {}],
    "keyword": [{}, {"a": 1}],
    "text": [{}],
    "flattened": ["", "text", 1, True],
    "geo_point": [{"lat": 91, "lon": 0}, {"lat": 0, "lon": 181}, {"lat": 0}, {"lat": True, "lon": 0}, {}, 1, ""],
}


CAUTIOUS: dict[str, list[Any]] = {"date": [-(2**63)]}
"""Not counted as readable, though this index takes it: only refused documents are looked at, so it does no harm."""


@pytest.fixture
def typed(elasticsearch: Elasticsearch, namespace: str) -> Iterator[str]:
    """An index with a field of each type, named as the type."""
    index = f"fitting-{namespace}"
    properties = {kind: {"type": kind} for kind in READABLE}
    elasticsearch.indices.create(index=index, mappings={"dynamic": False, "properties": properties}, settings=SETTINGS)
    yield index
    elasticsearch.indices.delete(index=index)


def test_values_that_count_as_readable_are_taken_and_the_others_refused(
    elasticsearch: Elasticsearch, typed: str
) -> None:
    readable = [{kind: value} for kind, values in READABLE.items() for value in values]
    unreadable = [{kind: value} for kind, values in UNREADABLE.items() for value in values]
    held = [
        document
        for document in (*readable, *unreadable)
        for kind, value in document.items()
        if is_readable(kind, value)
    ]
    assert held == readable
    assert not any(is_readable(kind, value) for kind, values in CAUTIOUS.items() for value in values)
    assert refused(elasticsearch, typed, readable) == []
    assert [document for document, _ in refused(elasticsearch, typed, unreadable)] == unreadable


scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.from_regex(r"\A[+-]?[0-9]{0,20}(\.[0-9]{0,3})?(e[+-]?[0-9]{1,3})?\Z")
    | st.from_regex(
        r"\A-?[0-9]{4}-[0-9]{2}-[0-3][0-9](T[0-2][0-9]:[0-6][0-9](:[0-6][0-9]([.,][0-9]{0,10})?)?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?)?\Z"
    )
    | st.ip_addresses().map(str)
    | st.sampled_from([value for values in (*READABLE.values(), *UNREADABLE.values()) for value in values])
)


def test_the_node_takes_every_value_that_counts_as_readable(elasticsearch: Elasticsearch, typed: str) -> None:
    @settings(max_examples=10, phases=[Phase.generate])
    @given(values=st.lists(scalars, min_size=20, max_size=60))
    def check(values: list[Any]) -> None:
        documents = [{kind: value} for value in values for kind in READABLE if is_readable(kind, value)]
        assert not documents or refused(elasticsearch, typed, documents) == []

    check()


def test_every_type_of_the_field_tables_is_known_here() -> None:
    alike = {"match_only_text", "wildcard", "constant_keyword", "nested", "object"}
    of_tables = {field.type for dataset in DATASETS for field in dataset.fields()}
    assert of_tables <= READABLE.keys() | RANGES.keys() | alike


# Whole documents

ISSUE = dataset_named("issue")


def fitted(document: Document) -> tuple[Document, dict[str, int]] | None:
    found = Fitting(ISSUE.fields(), ISSUE.stream).fit(orjson.dumps(document))
    return found and (orjson.loads(found.document), dict(found.drift))


@pytest.mark.parametrize(
    ("own", "left", "unmapped"),
    [
        ({"projects": "a text"}, {}, {"projects": "a text"}),
        ({"projects": ["a", {"id": "p"}, "b"]}, {"projects": [{"id": "p"}]}, {"projects": ["a", "b"]}),
        ({"projects": [[{"id": "p"}, 5]]}, {"projects": [[{"id": "p"}]]}, {"projects": 5}),
        ({"projects": [{"id": {"a": 1}, "name": "n"}]}, {"projects": [{"name": "n"}]}, {"projects.id": {"a": 1}}),
        ({"projects": [{"id": {"a": 1}}, None]}, {"projects": [None]}, {"projects.id": {"a": 1}}),
        ({"due_at": ["2026-01-01", "soon"]}, {"due_at": ["2026-01-01"]}, {"due_at": "soon"}),
        ({"entity_snapshot": {"tags": "a text"}, "id": "i"}, {"id": "i"}, {"entity_snapshot.tags": "a text"}),
        ({"source_rules": ["a", {"enabled": 1}]}, {}, {"source_rules": "a", "source_rules.enabled": 1}),
        ({"notes": [{"a..b": 1, "": [2], "text": "t"}]}, {"notes": [{"text": "t"}]}, {"notes.a..b": 1, "notes.": [2]}),
        ({"projects": [{"id.x": 1}]}, {}, {"projects.id.x": 1}),
        ({"projects": 1, "unmapped": {"dueAt": [7]}}, {}, {"dueAt": [7], "projects": 1}),
        ({"unmapped": ["a"], "id": "i"}, {"id": "i"}, {"unmapped": "a"}),
        ({"unmapped": [{"a": 1}], "projects": 1}, {}, {"unmapped": [{"a": 1}], "projects": 1}),
    ],
)
def test_what_does_not_fit_is_moved_below_its_path_and_all_else_stays(
    own: Document, left: Document, unmapped: Document
) -> None:
    ours = {"dueAt"}
    keyed = {key if key in ours else f"wiz.issue.{key}": value for key, value in unmapped.items()}
    found = fitted({"message": "m", "wiz": {"issue": own}})
    assert found is not None
    assert found[0] == {"message": "m", "wiz": {"issue": {**left, "unmapped": keyed}}}


def test_a_key_that_is_there_already_gets_the_moved_values_as_well() -> None:
    path = "wiz.issue.projects"
    found = fitted({"wiz": {"issue": {"projects": ["b", "c"], "unmapped": {path: "a"}}}})
    assert found == ({"wiz": {"issue": {"unmapped": {path: ["a", "b", "c"]}}}}, {f"wrong type: {path}": 2})


def test_the_drift_says_what_was_moved_and_how_often() -> None:
    found = fitted({"event": {"id": {}, "start": 5}, "wiz": {"issue": {"projects": [1, 2, {"": 3}]}}})
    assert found is not None
    assert found[1] == {
        "wrong type: event.id": 1,
        "wrong type: wiz.issue.projects": 2,
        "unknown key: wiz.issue.projects.": 1,
    }


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"wiz": {"issue": {"projects": [{"id": None}, None, []], "notes": {}, "never_seen": {"": {"a..b": "any"}}}}},
        {"wiz": {"issue": {"unmapped": [{"a": 1}], "source_rules": []}}, "labels": {"team": "red"}},
    ],
)
def test_a_document_in_which_everything_fits_is_left_alone(document: Document) -> None:
    assert fitted(document) is None


def leaves(value: Any) -> Iterator[bytes]:
    """All texts, numbers, true and false in a value."""
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from leaves(below)
    elif value is not None:
        yield orjson.dumps(value)


def fields_of(dataset: Dataset) -> list[Field]:
    """Those that a node decides about: neither what the sink sets nor the points of the user's own database."""
    return [field for field in dataset.fields() if field.type not in ("constant_keyword", "geo_point")]


def any_documents(dataset: Dataset) -> st.SearchStrategy[Document]:
    """Documents with anything in some fields of the table, in the objects above them, and in keys that it lacks."""
    fields = fields_of(dataset)
    names = sorted({name for field in fields for name in field.name.split(".")})
    odd = ["", " ", ".", "..", "a..b", ".id", "id.", "id.x", "tags.x", "neverSeen", "x y"]
    keys = st.sampled_from(names) | st.sampled_from(odd) | texts.filter(lambda text: "\0" not in text)
    values = st.recursive(
        st.none() | scalars.filter(lambda value: not isinstance(value, dict)),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(keys, below, max_size=4),
        max_leaves=10,
    )
    above = sorted({field.name.rpartition(".")[0] for field in fields if "." in field.name})
    paths = st.sampled_from([field.name for field in fields]) | st.sampled_from(above)
    return st.lists(st.tuples(paths, values), min_size=1, max_size=6).map(nested)


def nested(pairs: list[tuple[str, Any]]) -> Document:
    document: Document = {}
    for path, value in pairs:
        *parents, last = path.split(".")
        place = document
        for name in parents:
            below = place.setdefault(name, {})
            place = below if isinstance(below, dict) else place
        place[last] = value
    return document


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_any_document_made_to_fit_is_taken_and_has_lost_nothing(
    dataset: Dataset, elasticsearch: Elasticsearch, namespace: str
) -> None:
    fields = fields_of(dataset)
    fitting = Fitting(fields, dataset.stream)
    lacking = lacking_types(elasticsearch, types(mapping(fields, {})))
    index = f"fitting-{namespace}"
    elasticsearch.indices.create(index=index, mappings=mapping(fields, {}, lacking), settings=SETTINGS)

    @settings(max_examples=8, phases=[Phase.generate])
    @given(documents=st.lists(any_documents(dataset), min_size=10, max_size=30))
    def check(documents: list[Document]) -> None:
        made = []
        for document in documents:
            found = fitting.fit(orjson.dumps(document))
            made.append(orjson.loads(found.document) if found else document)
            assert Counter(leaves(made[-1])) == Counter(leaves(document))
            assert fitting.fit(orjson.dumps(made[-1])) is None
        assert refused(elasticsearch, index, made) == []

    check()
    elasticsearch.indices.delete(index=index)
