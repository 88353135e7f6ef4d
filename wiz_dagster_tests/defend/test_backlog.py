"""What the sensor asks for, whatever the spool, Dagster's records and the cursor say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.defend.backlog import LONGEST_PAUSE, MOST_DAYS, DayState, Plan, pause_after, plan, remembered_days

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TODAY = "2026-03-10"
FIRST_DAY = "2026-01-01"
SPOOLED = DayState(newest="0001.segment", digest="aa")
IN_FLIGHT = replace(SPOOLED, in_flight=True)
LANDED = DayState(landed=1)
DONE = DayState(landed=1, written=2)


def days(count: int) -> list[str]:
    """So many days, the last of them today."""
    return [(NOW - timedelta(days=back)).date().isoformat() for back in reversed(range(count))]


def at(tick: Plan | None, states: dict[str, DayState], seconds: float) -> Plan:
    return plan(states, tick.cursor if tick else None, NOW + timedelta(seconds=seconds), FIRST_DAY)


def launched(tick: Plan) -> list[str]:
    return [launch.day for launch in tick.launches]


def test_a_day_with_new_events_gets_one_run() -> None:
    tick = at(None, {TODAY: SPOOLED}, 0)
    assert [(one.day, one.run_key) for one in tick.launches] == [(TODAY, f"{TODAY}/0001.segment/1/20260310T120000")]
    assert launched(at(tick, {TODAY: IN_FLIGHT}, 15)) == []


def test_nothing_spooled_asks_for_nothing() -> None:
    tick = at(None, {TODAY: DayState(), days(2)[0]: DONE}, 0)
    assert (tick.launches, tick.waiting, remembered_days(tick.cursor)) == ([], [], set())


def test_a_run_in_flight_is_waited_for_whoever_started_it() -> None:
    tick = at(None, {TODAY: IN_FLIGHT}, 0)
    assert launched(tick) == []
    assert tick.waiting == [f"{TODAY} has a run under way"]


def test_a_day_is_forgotten_once_its_documents_stand() -> None:
    tick = at(at(None, {TODAY: SPOOLED}, 0), {TODAY: DONE}, 15)
    assert launched(tick) == []
    assert remembered_days(tick.cursor) == set()


def test_events_that_came_during_a_run_get_the_next_one_at_once() -> None:
    first = at(None, {TODAY: SPOOLED}, 0)
    more = DayState(newest="0002.segment", digest="bb", landed=1, written=2)
    tick = at(first, {TODAY: more}, 15)
    assert [one.run_key for one in tick.launches] == [f"{TODAY}/0002.segment/1/20260310T120015"]


def test_events_of_a_failed_run_come_again_after_a_pause() -> None:
    first = at(None, {TODAY: SPOOLED}, 0)
    soon = at(first, {TODAY: SPOOLED}, 15)
    assert launched(soon) == []
    assert soon.waiting == [f"{TODAY} failed, attempt 1; it is tried again at 12:00:30 UTC"]
    again = at(soon, {TODAY: SPOOLED}, 30)
    assert [one.run_key for one in again.launches] == [f"{TODAY}/0001.segment/2/20260310T120030"]


def test_new_events_do_not_shorten_the_pause() -> None:
    first = at(None, {TODAY: SPOOLED}, 0)
    assert launched(at(first, {TODAY: replace(SPOOLED, digest="bb")}, 15)) == []


def test_the_pause_counts_from_when_the_run_was_last_seen() -> None:
    first = at(None, {TODAY: SPOOLED}, 0)
    running = at(first, {TODAY: IN_FLIGHT}, 100)
    assert launched(at(running, {TODAY: SPOOLED}, 115)) == []
    assert launched(at(running, {TODAY: SPOOLED}, 130)) == [TODAY]


def test_landed_events_whose_documents_were_not_written_come_again() -> None:
    first = at(None, {TODAY: SPOOLED}, 0)
    assert launched(at(first, {TODAY: LANDED}, 30)) == [TODAY]
    assert launched(at(first, {TODAY: DayState(landed=3, written=2)}, 30)) == [TODAY]


def test_a_run_that_died_between_the_spool_and_its_record_comes_again() -> None:
    first = at(None, {TODAY: SPOOLED}, 0)
    assert launched(at(first, {TODAY: DayState()}, 30)) == [TODAY]


def test_a_day_landed_by_hand_and_not_written_is_written() -> None:
    assert launched(at(None, {TODAY: LANDED}, 0)) == [TODAY]


def test_an_outage_asks_for_a_run_every_ten_minutes_at_most() -> None:
    tick: Plan | None = None
    launches = 0
    for seconds in range(0, 6 * 3600, 15):
        tick = at(tick, {TODAY: SPOOLED}, seconds)
        launches += len(tick.launches)
    assert launches == 6 + 34  # after 0, 30, 90, 210, 450 and 930 s, then each ten minutes
    assert pause_after(10_000) == LONGEST_PAUSE


def test_segments_that_a_successful_run_left_are_not_tried_again_until_something_changes() -> None:
    first = at(None, {TODAY: SPOOLED}, 0)
    left = replace(SPOOLED, landed=1, written=2)
    second = at(first, {TODAY: left}, 60)
    assert launched(second) == []
    assert "can't be read" in second.waiting[0]
    later = at(second, {TODAY: left}, 86_000)
    assert launched(later) == []
    assert launched(at(later, {TODAY: replace(left, digest="repaired")}, 86_015)) == [TODAY]
    assert launched(at(later, {TODAY: replace(left, landed=5)}, 86_015)) == [TODAY]


def test_at_most_some_days_the_oldest_first_and_today_among_them() -> None:
    many = days(MOST_DAYS + 3)
    first = at(None, dict.fromkeys(many, SPOOLED), 0)
    assert launched(first) == [*many[: MOST_DAYS - 1], TODAY]
    running = {day: IN_FLIGHT if day in launched(first) else SPOOLED for day in many}
    assert launched(at(first, running, 15)) == many[MOST_DAYS - 1 : -1]


def test_days_that_fail_do_not_hold_up_the_others() -> None:
    many = dict.fromkeys(days(MOST_DAYS + 3), SPOOLED)
    first = at(None, many, 0)
    assert launched(at(first, many, 15)) == sorted(many.keys() - set(launched(first)))


def test_days_outside_the_partitions_wait_and_say_why() -> None:
    states = {"2025-12-31": SPOOLED, "2026-03-11": SPOOLED}
    tick = at(None, states, 0)
    assert launched(tick) == []
    assert "WIZ_START_DATE" in tick.waiting[0]
    assert tick.waiting[1] == "2026-03-11 has not begun"
    assert launched(at(tick, states, 12 * 3600)) == ["2026-03-11"]


def test_a_clock_set_back_does_not_hold_up_a_day() -> None:
    ahead = at(None, {TODAY: SPOOLED}, 10_000)
    assert launched(at(ahead, {TODAY: SPOOLED}, 0)) == [TODAY]


BROKEN = ("", "?", "[]", "7", '{"days": 1}', '{"days": {"2026-03-10": {}}}', '{"days": {"x": 1}}')


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_cursor_is_an_empty_one(text: str) -> None:
    assert launched(plan({TODAY: SPOOLED}, text, NOW, FIRST_DAY)) == [TODAY]


TRIED = {
    "digest": st.text(max_size=3),
    "written": st.integers(),
    "attempt": st.integers() | st.floats(),
    "at": st.floats() | st.integers(),
    "left": st.booleans(),
}
CURSORS = st.text() | st.dictionaries(
    st.just("days"), st.dictionaries(st.sampled_from([*days(3), "x"]), st.fixed_dictionaries(TRIED)), max_size=1
).map(json.dumps)
STATES = st.builds(
    DayState,
    newest=st.just("n"),
    digest=st.sampled_from(["", "aa", "bb"]),
    in_flight=st.booleans(),
    landed=st.integers(0, 3),
    written=st.integers(0, 3),
)


@given(st.dictionaries(st.sampled_from([*days(9), "2025-01-01", "2027-01-01"]), STATES), CURSORS)
def test_any_state_and_cursor_make_a_bounded_plan(states: dict[str, DayState], cursor: Any) -> None:
    tick = plan(states, cursor, NOW, FIRST_DAY)
    chosen = launched(tick)
    assert len(chosen) == len(set(chosen)) <= MOST_DAYS
    assert not any(states[day].in_flight for day in chosen)
    assert all(FIRST_DAY <= day <= TODAY for day in chosen)
    assert remembered_days(tick.cursor) <= states.keys()


@given(st.dictionaries(st.sampled_from(days(9)), STATES), CURSORS)
def test_whatever_is_spooled_or_unwritten_gets_its_run_in_time(states: dict[str, DayState], cursor: Any) -> None:
    resting = {day: replace(state, in_flight=False) for day, state in states.items()}
    fresh = {day: replace(state, digest=state.digest and "new") for day, state in resting.items()}
    tick = plan(fresh, cursor, NOW, FIRST_DAY)
    seen = set(launched(tick))
    for seconds in range(15, 1300, 15):
        tick = at(tick, fresh, seconds)
        seen |= set(launched(tick))
    assert {day for day, state in fresh.items() if state.spooled or state.unwritten} <= seen
