"""Ids and versions of the latest views' documents: facts of the landing zone, and within what Elasticsearch takes."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.elasticsearch.latest_versions import FindingIds, millis, moments, version_of

MOST = (1 << 63) - 1
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAYS = st.dates(min_value=datetime(1970, 1, 1, tzinfo=UTC).date(), max_value=datetime(2149, 1, 1, tzinfo=UTC).date())


def frame(version: int, timestamp: str = "2026-11-20T12:00:00.000Z") -> pd.DataFrame:
    """A node with a version in microseconds, and the date of its document."""
    key = b"n" * 16 + version.to_bytes(8, "big", signed=True)
    return pd.DataFrame({"@timestamp": [timestamp]}, index=pd.Index([key], dtype=object), dtype=object)


def test_a_node_counts_from_its_version_and_in_a_sweep_from_the_sweeps_start() -> None:
    version = int((NOON + timedelta(hours=1)).timestamp() * 1_000_000) + 1_999
    assert moments(frame(version), snapshot=False) == [millis(NOON + timedelta(hours=1)) + 1]
    assert moments(frame(version), snapshot=True) == [millis(NOON)]


@pytest.mark.parametrize("version", [-1, 0, -62_135_596_800_000_000])
def test_a_node_without_a_version_counts_from_its_documents_date(version: int) -> None:
    assert moments(frame(version), snapshot=False) == [millis(NOON)]


@given(
    version=st.integers(-(1 << 63), MOST),
    timestamp=st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    day=DAYS,
)
def test_any_version_is_one_that_elasticsearch_takes(version: int, timestamp: str, day: object) -> None:
    for snapshot in (False, True):
        (moment,) = moments(frame(version, timestamp), snapshot=snapshot)
        assert 0 <= version_of(moment, str(day)) <= MOST


@given(st.integers(0, 1 << 46), st.integers(0, 1 << 46), DAYS, DAYS)
def test_the_later_moment_wins_and_of_equal_ones_the_later_day(one: int, two: int, day: object, other: object) -> None:
    assert (version_of(one, str(day)) < version_of(two, str(other))) == ((one, str(day)) < (two, str(other)))


def test_the_id_of_a_finding_is_its_own_in_each_namespace() -> None:
    ids = {FindingIds(namespace).of(node) for namespace in ("a", "b") for node in (b"1" * 16, b"2" * 16)}
    assert len(ids) == 4
    assert FindingIds("a").of(b"1" * 16) in ids
