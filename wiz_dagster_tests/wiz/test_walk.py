from typing import Any

import pytest

from wiz_dagster.errors import TransientError
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.walk import ATTEMPTS, EMPTY_PAGES, Connection, Page
from wiz_dagster_tests.wiz.scripted_wiz import Reply, ScriptedWiz, page

QUERY = "query ($first: Int) { things(first: $first) { nodes { id } } }"


def walk(client: WizClient, page_size: int = 500) -> list[Page]:
    connection = Connection(client, QUERY, "things", "read:things", {"day": {"after": "x"}, "severity": ["HIGH"]})
    return list(connection.pages(page_size, count=True))


def ids(pages: list[Page]) -> list[str]:
    return [node["id"] for one in pages for node in one.nodes]


def test_the_pages_follow_the_cursor_and_the_count_is_asked_for_once(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend([page([{"id": "a"}], "c1", totalCount=3), page([{"id": "b"}], "c2"), page([{"id": "c"}])])
    pages = walk(client, 100)
    assert ids(pages) == ["a", "b", "c"]
    assert [one.total for one in pages] == [3, None, None]
    filters = {"day": {"after": "x"}, "severity": ["HIGH"]}
    assert wiz.asked == [
        {"first": 100, "after": None, "filterBy": filters, "withCount": True},
        {"first": 100, "after": "c1", "filterBy": filters, "withCount": False},
        {"first": 100, "after": "c2", "filterBy": filters, "withCount": False},
    ]


def test_null_nodes_are_dropped_and_counted(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend([page([None, {"id": "a"}, None], "c1"), page([None])])
    pages = walk(client)
    assert ids(pages) == ["a"]
    assert [one.null_nodes for one in pages] == [2, 1]


def test_empty_pages_with_more_to_come_are_walked_through(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend(page([], f"c{number}") for number in range(EMPTY_PAGES))
    wiz.replies.append(page([{"id": "a"}], "more"))
    wiz.replies.extend(page([], f"d{number}") for number in range(EMPTY_PAGES))
    wiz.replies.append(page([{"id": "b"}]))
    assert ids(walk(client)) == ["a", "b"]


def test_empty_pages_without_end_fail(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend(page([], f"c{number}") for number in range(100))
    with pytest.raises(TransientError, match="things: 11 empty pages"):
        walk(client)


BROKEN: list[Any] = [
    page(None, None),
    page([{"id": "a"}], ""),
    page([5], None),
    page("nodes", None),
    page([], None, pageInfo=None),
    page([], None, pageInfo={"hasNextPage": None, "endCursor": None}),
    page([], None, pageInfo={"hasNextPage": "true", "endCursor": "x"}),
    page([], None, pageInfo={"hasNextPage": True, "endCursor": None}),
    page([], None, pageInfo={"hasNextPage": True, "endCursor": 5}),
    page([], None, pageInfo={"endCursor": "x"}),
    Reply({"data": {"things": {"nodes": []}}}),
    Reply({"data": {"things": None}}),
    Reply({"data": {}}),
]


@pytest.mark.parametrize("reply", BROKEN)
def test_a_broken_page_fails_after_some_attempts(wiz: ScriptedWiz, client: WizClient, reply: Reply) -> None:
    wiz.replies.extend([page([{"id": "a"}], "c1")] + [reply] * 20)
    with pytest.raises(TransientError, match="paging is broken"):
        walk(client)
    assert client.requests == 1 + ATTEMPTS


@pytest.mark.parametrize("reply", BROKEN)
def test_a_page_that_heals_is_taken(wiz: ScriptedWiz, client: WizClient, reply: Reply) -> None:
    wiz.replies.extend([reply, page([{"id": "a"}])])
    assert ids(walk(client)) == ["a"]


@pytest.mark.parametrize("cycle", [["c1", "c1"], ["c1", "c2", "c1"]])
def test_a_cursor_that_comes_back_fails_instead_of_looping(
    wiz: ScriptedWiz, client: WizClient, cycle: list[str]
) -> None:
    wiz.replies.extend(page([{"id": "a"}], cursor) for cursor in cycle + cycle[-1:] * 20)
    with pytest.raises(TransientError, match="a cursor came twice"):
        walk(client)
    assert client.requests == len(cycle) - 1 + ATTEMPTS


@pytest.mark.parametrize("total", [None, True, "many", 2.5])
def test_a_count_that_is_none_is_no_count(wiz: ScriptedWiz, client: WizClient, total: object) -> None:
    wiz.replies.append(page([], None, totalCount=total))
    assert walk(client)[0].total is None


def test_a_page_that_had_to_shrink_keeps_the_next_ones_small(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend([page([{"id": "a"}], "c1"), Reply(b"", 504), page([{"id": "b"}], "c2"), page([{"id": "c"}])])
    assert ids(walk(client)) == ["a", "b", "c"]
    assert [asked["first"] for asked in wiz.asked] == [500, 500, 250, 250]
