import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wiz_dagster.errors import PermanentError
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.fetch import MOST_SLICES, Fetch, fetch_window
from wiz_dagster.wiz.windows import Window, format_time, parse_time
from wiz_dagster_tests.wiz.scripted_wiz import ScriptedWiz, error, page

DAY = Window(datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 6, 2, tzinfo=UTC))


@dataclass(frozen=True)
class By:
    filter_field: str | None


@dataclass(frozen=True)
class Things:
    root: str = "things"
    scope: str = "read:things"
    walks: tuple[By, ...] = (By("at"),)
    window_fields: tuple[str, ...] = ("at",)

    def query(self) -> str:
        return "query ($first: Int) { things(first: $first) { nodes { id } } }"


SNAPSHOT = Things(walks=(By(None),), window_fields=())
CHANGES = Things(walks=(By("changed"), By("created")), window_fields=("changed", "created"))


def fetched(client: WizClient, dataset: Things = Things(), window: Window = DAY, page_size: int = 50) -> Fetch:
    return fetch_window(client, dataset, window, filters={}, page_size=page_size)


def ids(fetch: Fetch) -> list[str]:
    """The ids that came, each once: landing keeps one of equal nodes."""
    return sorted({node["id"] for batch in fetch for node in batch})


def moment(offset: timedelta) -> str:
    return format_time(DAY.start + offset)


def things(count: int) -> list[dict[str, Any]]:
    chance = random.Random(count)
    return [
        {"id": f"{number:06}", "at": moment(timedelta(seconds=chance.uniform(-7200, 93_000)))}
        for number in range(count)
    ]


def in_day(nodes: list[dict[str, Any]], name: str = "at") -> list[str]:
    return sorted(node["id"] for node in nodes if (at := parse_time(node[name])) is not None and at in DAY)


@pytest.mark.parametrize(("count", "countable"), [(0, True), (20, True), (100, True), (3000, True), (1200, False)])
def test_a_window_is_fetched_whole(wiz: ScriptedWiz, client: WizClient, count: int, countable: bool) -> None:
    wiz.nodes, wiz.count = things(count), countable
    fetch = fetched(client)
    expected = in_day(wiz.nodes)
    assert ids(fetch) == expected
    report = fetch.report
    twice = 50 if count > 100 else 0  # the first page, which told that slices are worth it
    assert (report.nodes, report.null_nodes, report.without_time) == (len(expected) + twice, 0, 0)
    assert report.wiz_count == (len(expected) if countable else None)
    assert report.pages == report.requests == len(wiz.asked)
    assert report.bytes_received > 0
    assert report.warnings == []
    assert report.window == DAY


def test_a_small_window_is_one_request(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = things(30)
    ids(fetched(client))
    assert len(wiz.asked) == 1


def test_two_pages_are_walked_on_without_slices(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = things(100)
    fetch = fetched(client)
    ids(fetch)
    assert len(wiz.asked) == 2


def test_a_large_window_is_cut_into_slices_with_bounded_requests(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = things(3000)
    fetch = fetched(client)
    ids(fetch)
    windows = {(asked["filterBy"]["at"]["after"], asked["filterBy"]["at"]["before"]) for asked in wiz.asked}
    assert len(windows) == 1 + MOST_SLICES
    assert len(wiz.asked) <= 1 + 3000 // 50 + MOST_SLICES
    assert fetch.report.wiz_count is not None
    assert fetch.report.nodes == fetch.report.wiz_count + 50


def test_an_empty_window_asks_nothing(wiz: ScriptedWiz, client: WizClient) -> None:
    assert ids(fetched(client, window=Window(DAY.start, DAY.start))) == []
    assert wiz.asked == []


@pytest.mark.parametrize(
    ("offset", "inside"), [(0, True), (-1, False), (86_400 * 10**6, False), (864 * 10**8 - 1, True)]
)
def test_the_edges_are_cut_to_the_microsecond(wiz: ScriptedWiz, client: WizClient, offset: int, inside: bool) -> None:
    wiz.nodes = [{"id": "edge", "at": moment(timedelta(microseconds=offset))}]
    fetch = fetched(client)
    assert ids(fetch) == (["edge"] if inside else [])
    assert fetch.report.outside_window == (0 if inside else 1)


def test_nodes_on_the_edges_of_slices_come_once(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = [
        {"id": f"{hour}/{step}", "at": moment(timedelta(hours=hour, microseconds=step))}
        for hour in range(24)
        for step in range(10)
    ]
    fetch = fetched(client, page_size=10)
    assert ids(fetch) == in_day(wiz.nodes)
    assert fetch.report.warnings == []


def test_times_of_mixed_precision_are_compared_as_times(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = [
        {"id": "a", "at": "2024-06-01T00:00:00Z"},
        {"id": "b", "at": "2024-06-01T23:59:59.999999999Z"},
        {"id": "c", "at": "2024-06-02T01:30:00+02:00"},
        {"id": "d", "at": "2024-06-02T00:00:00.000Z"},
    ]
    assert ids(fetched(client)) == ["a", "b", "c"]


def test_two_walks_find_each_node_once_and_leave_what_belongs_to_another_day(
    wiz: ScriptedWiz, client: WizClient
) -> None:
    inside, later = moment(timedelta(hours=5)), moment(timedelta(days=3))
    wiz.nodes = [
        {"id": "changed", "created": "2024-01-01T00:00:00Z", "changed": inside},
        {"id": "both", "created": inside, "changed": inside},
        {"id": "created", "created": inside, "changed": None},
        {"id": "created, key absent", "created": inside},
        {"id": "changed later", "created": inside, "changed": later},
        {"id": "created earlier", "created": "2024-01-01T00:00:00Z", "changed": None},
    ]
    fetch = fetched(client, CHANGES)
    assert ids(fetch) == ["both", "changed", "created", "created, key absent"]
    assert (fetch.report.nodes, fetch.report.outside_window, fetch.report.wiz_count) == (5, 1, 2)


def test_two_large_walks_find_each_node_once(wiz: ScriptedWiz, client: WizClient) -> None:
    chance = random.Random(7)
    wiz.nodes = [
        {
            "id": f"{number:06}",
            "created": moment(timedelta(seconds=chance.uniform(-90_000, 90_000))),
            "changed": moment(timedelta(seconds=chance.uniform(0, 170_000))) if number % 3 else None,
        }
        for number in range(2000)
    ]
    moments = {node["id"]: parse_time(node["changed"] or node["created"]) for node in wiz.nodes}
    expected = sorted(name for name, at in moments.items() if at is not None and at in DAY)
    fetch = fetched(client, CHANGES)
    assert ids(fetch) == expected
    assert fetch.report.warnings == []


def test_a_node_without_a_time_is_kept_and_counted(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(page([{"id": "a"}, {"id": "b", "at": None}, {"id": "c", "at": "soon"}]))
    fetch = fetched(client)
    assert ids(fetch) == ["a", "b", "c"]
    assert fetch.report.without_time == 3


def test_null_nodes_are_counted(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(page([None, {"id": "a", "at": moment(timedelta(0))}], totalCount=2))
    fetch = fetched(client)
    assert ids(fetch) == ["a"]
    assert fetch.report.null_nodes == 1
    assert fetch.report.warnings == []


@pytest.mark.parametrize("reached", [True, False])
def test_a_count_that_wiz_broke_off_is_known_to_be_a_floor(wiz: ScriptedWiz, client: WizClient, reached: bool) -> None:
    nodes = [{"id": f"{number}", "at": moment(timedelta(hours=1))} for number in range(3)]
    wiz.replies.append(page(nodes, totalCount=2, maxCountReached=reached))
    fetch = fetched(client)
    ids(fetch)
    report = fetch.report
    assert (report.wiz_count, report.count_is_floor, report.missing) == (2, reached, 0)


def test_fewer_nodes_than_wiz_counted_are_a_warning(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(page([{"id": "a", "at": moment(timedelta(0))}], totalCount=3))
    fetch = fetched(client)
    ids(fetch)
    assert fetch.report.warnings == ["Wiz counted 3 nodes by at when the fetch began, 1 came."]


def test_versions_of_one_node_that_differ_are_all_kept(wiz: ScriptedWiz, client: WizClient) -> None:
    at = moment(timedelta(hours=1))
    wiz.replies.append(page([{"id": "a", "changed": at, "status": "OPEN"}]))
    wiz.replies.append(page([{"id": "a", "changed": at, "status": "RESOLVED"}]))
    statuses = [node["status"] for batch in fetched(client, CHANGES) for node in batch]
    assert statuses == ["OPEN", "RESOLVED"]


def test_filters_go_along_with_the_window(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(page([]))
    filters = {"severity": ["HIGH"], "resource": {"projectId": ["p"]}}
    list(fetch_window(client, Things(), DAY, filters=filters, page_size=50))
    assert wiz.asked[0]["filterBy"] == {
        "severity": ["HIGH"],
        "resource": {"projectId": ["p"]},
        "at": {"after": "2024-05-31T23:59:59.999000Z", "before": "2024-06-02T00:00:00.001000Z"},
    }


def test_an_error_in_one_slice_fails_the_fetch(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = things(3000)
    wiz.replies.extend([wiz.serve] * 10 + [error("UNAUTHORIZED")])
    with pytest.raises(PermanentError, match="read:things"):
        ids(fetched(client))
    assert len(wiz.asked) < 40


def test_leaving_the_block_stops_a_fetch(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = things(3000)
    with fetched(client) as fetch:
        next(fetch.batches)
        next(fetch.batches)
    assert len(wiz.asked) < 30
    assert fetch.report.requests == len(wiz.asked)


def test_errors_on_the_way_change_nothing_in_the_result(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.nodes = things(3000)
    faults = ["INTERNAL", "RATE_LIMIT_EXCEEDED", "UNAUTHENTICATED", "SOMETHING_NEW"]
    wiz.replies.extend(
        script
        for number in range(60)
        for script in (wiz.serve, error(faults[number % 4]) if number % 5 == 4 else wiz.serve)
    )
    fetch = fetched(client)
    assert ids(fetch) == in_day(wiz.nodes)
    assert fetch.report.requests == len(wiz.asked) > fetch.report.pages


def test_at_most_eight_requests_are_in_flight(wiz: ScriptedWiz, client: WizClient) -> None:
    in_flight: Counter[str] = Counter()
    most = 0

    def counted(variables: dict[str, Any]) -> Any:
        nonlocal most
        in_flight["now"] += 1
        most = max(most, in_flight["now"])
        reply = wiz.serve(variables)
        in_flight["now"] -= 1
        return reply

    wiz.nodes = things(3000)
    wiz.replies.extend([counted] * 200)
    ids(fetched(client))
    assert most <= 8


def test_a_snapshot_is_walked_whole_without_a_window(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(page([{"id": "a", "at": moment(timedelta(days=-9))}], "more", totalCount=2))
    wiz.replies.append(page([{"id": "b", "at": None}]))
    filters = {"status": ["OPEN"]}
    fetch = fetch_window(client, SNAPSHOT, Window(DAY.start, DAY.start), filters=filters, page_size=50)
    assert ids(fetch) == ["a", "b"]
    assert [asked["filterBy"] for asked in wiz.asked] == [filters, filters]
    assert (fetch.report.wiz_count, fetch.report.pages, fetch.report.missing) == (2, 2, 0)


def test_a_sweep_that_brings_less_than_wiz_counted_warns(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(page([{"id": "a"}, None], totalCount=4))
    fetch = fetch_window(client, SNAPSHOT, DAY, filters={}, page_size=50)
    assert ids(fetch) == ["a"]
    assert (fetch.report.missing, fetch.report.null_nodes) == (2, 1)
    assert fetch.report.warnings == ["Wiz counted 4 nodes when the sweep began, 2 came."]
