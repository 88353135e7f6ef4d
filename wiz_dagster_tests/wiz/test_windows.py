from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.errors import PermanentError
from wiz_dagster.wiz.windows import Window, cut, format_time, parse_time, partition_window, snapshot_window

MOMENTS = st.timedeltas(timedelta(0), timedelta(days=40_000)).map(
    lambda offset: datetime(1990, 1, 1, tzinfo=UTC) + offset
)
LAG = timedelta(seconds=30)


def test_a_past_day_is_its_whole_day() -> None:
    window = partition_window("2024-02-29", datetime(2024, 6, 1, tzinfo=UTC), LAG)
    assert window == Window(datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))


def test_today_ends_at_now_less_the_lag_in_whole_seconds() -> None:
    window = partition_window("2024-06-01", datetime(2024, 6, 1, 12, 0, 0, 999, tzinfo=UTC), LAG)
    assert window.end == datetime(2024, 6, 1, 11, 59, 30, tzinfo=UTC)


def test_the_day_before_is_not_settled_right_after_midnight() -> None:
    window = partition_window("2024-05-31", datetime(2024, 6, 1, 0, 0, 10, tzinfo=UTC), LAG)
    assert window.end == datetime(2024, 5, 31, 23, 59, 40, tzinfo=UTC)


def test_a_day_that_has_only_just_begun_is_empty() -> None:
    window = partition_window("2024-06-01", datetime(2024, 6, 1, 0, 0, 10, tzinfo=UTC), LAG)
    assert window.empty
    assert cut(window, 5) == []


def test_now_in_another_zone_means_the_same_moment() -> None:
    east = timezone(timedelta(hours=9))
    window = partition_window("2024-05-31", datetime(2024, 6, 1, 3, 0, tzinfo=east), LAG)
    assert window.end == datetime(2024, 5, 31, 17, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2024-13-01", "yesterday", "", "2024-06-02"])
def test_a_day_that_is_none_or_in_the_future_is_refused(day: str) -> None:
    with pytest.raises(PermanentError):
        partition_window(day, datetime(2024, 6, 1, 23, 59, tzinfo=UTC), LAG)


@given(MOMENTS, st.timedeltas(timedelta(microseconds=1), timedelta(days=2)), st.integers(1, 40))
def test_slices_follow_each_other_and_fill_the_window_exactly(start: datetime, length: timedelta, n: int) -> None:
    window = Window(start, start + length)
    slices = cut(window, n)
    assert 1 <= len(slices) <= n
    assert slices[0].start == window.start
    assert slices[-1].end == window.end
    assert all(left.end == right.start for left, right in pairwise(slices))
    assert not any(part.empty for part in slices)


@given(MOMENTS, st.timedeltas(timedelta(minutes=1), timedelta(days=2)), st.integers(1, 24), st.data())
def test_every_moment_of_a_window_lies_in_exactly_one_slice(
    start: datetime, length: timedelta, n: int, data: st.DataObject
) -> None:
    window = Window(start, start + length)
    offset = data.draw(st.timedeltas(timedelta(0), length - timedelta(microseconds=1)))
    assert sum(start + offset in part for part in cut(window, n)) == 1


@given(MOMENTS)
def test_a_written_time_is_read_back(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


@given(
    MOMENTS,
    st.text("0123456789", max_size=12),
    st.sampled_from("T t"),
    st.sampled_from([":", ""]),
    st.integers(-14 * 60, 14 * 60),
)
def test_a_time_with_any_fraction_and_offset_is_its_moment_cut_to_microseconds(
    moment: datetime, fraction: str, separator: str, colon: str, minutes: int
) -> None:
    whole = moment.replace(microsecond=0)
    local = whole.astimezone(timezone(timedelta(minutes=minutes)))
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    point = f".{fraction}" if fraction else ""
    text = local.strftime(f"%Y-%m-%d{separator}%H:%M:%S") + f"{point}{sign}{hours:02}{colon}{rest:02}"
    assert parse_time(text) == whole.replace(microsecond=int((fraction + "000000")[:6]))


@pytest.mark.parametrize("text", ["2024-01-01T00:00:00", "2024-01-01 00:00:00Z", " 2024-01-01t00:00:00z\n"])
def test_a_time_without_zone_or_t_is_utc(text: str) -> None:
    assert parse_time(text) == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_leap_second_is_the_next_second() -> None:
    assert parse_time("2016-12-31T23:59:60.5Z") == datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, 5, "", "2024-01-01", "2024-02-30T00:00:00Z", "2024-01-01T00:00:00.Z", {}, "٢"])
def test_what_is_no_time_is_none(value: object) -> None:
    assert parse_time(value) is None


@given(st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d*[+-]\d\d:\d\d"))
def test_reading_a_time_never_raises(text: str) -> None:
    parse_time(text)


def test_a_snapshot_is_of_the_moment_it_is_taken() -> None:
    now = datetime(2024, 6, 1, 12, 30, tzinfo=UTC)
    assert snapshot_window("2024-06-01", now) == Window(now, now)


@pytest.mark.parametrize("day", ["2024-05-31", "2024-06-02", "yesterday"])
def test_a_snapshot_of_another_day_is_refused_with_the_reason(day: str) -> None:
    with pytest.raises(PermanentError, match=r"only tells what there is now: today, 2024-06-01 \(UTC\)"):
        snapshot_window(day, datetime(2024, 6, 1, 12, 30, tzinfo=UTC))
