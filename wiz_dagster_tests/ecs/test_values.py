"""Single values: times, URLs, emptiness."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.ecs.pruning import pruned
from wiz_dagster.ecs.values import (
    MAX_DEPTH,
    TOO_DEEP,
    boolean,
    is_empty,
    is_ip,
    number,
    timestamp,
    url_parts,
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06.000Z"),
        ("2026-02-03T04:05:06.7Z", "2026-02-03T04:05:06.700Z"),
        ("2026-02-03T04:05:06.123999999Z", "2026-02-03T04:05:06.123Z"),
        ("2026-02-03 04:05:06.763277000", "2026-02-03T04:05:06.763Z"),
        ("2026-02-03T04:05:06-05:30", "2026-02-03T09:35:06.000Z"),
        ("2026-02-03T04:05Z", "2026-02-03T04:05:00.000Z"),
        ("2026-02-03", "2026-02-03T00:00:00.000Z"),
    ],
)
def test_a_time_is_written_in_utc_cut_to_milliseconds(text: str, moment: str) -> None:
    assert timestamp(text) == moment


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        5,
        "never",
        "2026-02-30T00:00:00Z",
        "2026-02-03T25:00:00Z",
        "2026-W09-4T00:00:00Z",
        "2026-02-03T04:05:06.Z",
        "2026-02-03T04:05+01Z",
        "2026-02-03T04:05:06.1٣Z",
        "0001-01-01T00:00:00+14:00",
        ["2026-02-03"],
    ],
)
def test_what_is_no_time_gives_none(value: Any) -> None:
    assert timestamp(value) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [(7, 7), (0.5, 0.5), ("7.5", 7.5), ("-1e3", -1000.0), ([1, "2.5"], [1, 2.5]), (0, 0)]
    + [(odd, None) for odd in (True, "", "nan", "1_0", "1e999", 1e300, -1e300, "high", {"a": 1}, [1, "x"], [[1]])],
)
def test_a_number_is_read_from_a_text_or_a_list_and_fits_a_float(value: Any, read: Any) -> None:
    assert number(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [(True, True), (False, False), ("TRUE", True), ("false", False)]
    + [(odd, None) for odd in ("", "yes", 0, 1, [True], {})],
)
def test_true_and_false_are_read_from_their_names_too(value: Any, read: bool | None) -> None:
    assert boolean(value) is read


zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=zones))
def test_any_moment_survives_to_the_millisecond(moment: datetime) -> None:
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return
    assert timestamp(moment.isoformat()) == utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("value", "empty"),
    [(None, True), ("", True), ([], True), ({}, True), (0, False), (False, False), (0.0, False), (" ", False)],
)
def test_only_none_and_empty_texts_lists_and_objects_say_nothing(value: Any, empty: bool) -> None:
    assert is_empty(value) is empty


@pytest.mark.parametrize(
    ("value", "fits"),
    [("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("fe80::1%en0", False), ("10.0.0.256", False), (167772161, False)],
)
def test_addresses_are_those_that_elasticsearch_takes(value: Any, fits: bool) -> None:
    assert is_ip(value) is fits


def test_pruning_takes_what_is_empty_at_every_level_and_nothing_else() -> None:
    value = {"a": None, "b": [None, "", 0, False, [], [{}], {"c": ""}], "d": {"e": {"f": []}}, "g": {"h": 0}}
    assert pruned(value) == {"b": [0, False], "g": {"h": 0}}


def test_what_is_nested_too_deep_becomes_its_text() -> None:
    def nested(levels: int) -> Any:
        return [nested(levels - 1)] if levels else 1

    def depth(value: Any) -> int:
        return 1 + depth(value[0]) if isinstance(value, list) else 0

    assert depth(pruned(nested(MAX_DEPTH))) == MAX_DEPTH
    assert depth(pruned(nested(MAX_DEPTH + 5))) == MAX_DEPTH
    assert "[[[[[1]]]]]" in str(pruned(nested(MAX_DEPTH + 5)))
    assert TOO_DEEP in str(pruned(nested(600)))


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (
            "https://ada:pw@host.example:8443/a.b/c.tar.gz?q=1&r=%20#frag ment",
            {
                "scheme": "https",
                "domain": "host.example",
                "port": 8443,
                "path": "/a.b/c.tar.gz",
                "extension": "gz",
                "query": "q=1&r=%20",
                "fragment": "frag ment",
                "user_info": "ada:pw",
                "username": "ada",
                "password": "pw",
            },
        ),
        ("https://under_score.example/", {"scheme": "https", "domain": "under_score.example", "path": "/"}),
        ("https://[::1]:99/x", {"scheme": "https", "domain": "[::1]", "port": 99, "path": "/x"}),
        ("mailto:ada@corp.example", {"scheme": "mailto"}),
        ("not a url", {"path": "not a url"}),
        ("//host/path", {"domain": "host", "path": "/path"}),
        ("http://host:notaport/", {"scheme": "http", "domain": "host:notaport", "path": "/"}),
    ],
)
def test_a_url_is_split_into_its_parts(url: str, parts: dict[str, Any]) -> None:
    assert {key: value for key, value in url_parts(url).items() if value} == {"original": url, **parts}


@given(st.text())
def test_any_text_can_be_split_as_a_url(text: str) -> None:
    assert url_parts(text)["original"] == text
