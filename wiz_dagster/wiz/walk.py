"""Walking a connection's pages: one page's shape, and cursors that must lead on and end.

A page that breaks the rules of paging is asked for again a few times and then a TransientError: Wiz's backend has been
seen to heal such pages, and a run that fails is tried again by Dagster; what must not happen is a walk without an end
or one that stops early. Windows, filters and which nodes count are decided in `fetch.py`.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from wiz_dagster.errors import TransientError
from wiz_dagster.wiz import retries
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.rate_limit import Sleep

Node = dict[str, Any]

ATTEMPTS = 3
EMPTY_PAGES = 10
"""Empty pages in a row with more to come that are taken as legal."""


@dataclass(frozen=True)
class Page:
    """A page as it came; `cursor` is where the next one starts, None on the last; `total` only when asked for.

    `at_least`: Wiz stopped counting at `total`, there may be more.
    """

    nodes: list[Node]
    null_nodes: int
    cursor: str | None
    total: int | None
    at_least: bool


@dataclass(frozen=True)
class Connection:
    """A query's root field under one filter, as `client` reads it."""

    client: WizClient
    query: str
    root: str
    scope: str
    filter_by: Mapping[str, Any]

    def pages(self, page_size: int, *, count: bool = False, sleep: Sleep | None = None) -> Iterator[Page]:
        """Walk from the first page to the last; `count` asks for the total with the first. `sleep`: as the client's.

        Raises PermanentError and TransientError as the client does, TransientError when paging leads nowhere.
        """
        variables: dict[str, Any] = {"first": page_size, "after": None, "filterBy": self.filter_by, "withCount": count}
        seen: set[str] = set()
        empty = 0
        while True:
            page = self._page(variables, seen, sleep)
            empty = 0 if page.nodes or page.null_nodes else empty + 1
            if page.cursor is not None and empty > EMPTY_PAGES:
                raise TransientError(f"{self.root}: {empty} empty pages in a row, each with more to come.")
            yield page
            if page.cursor is None:
                return
            seen.add(page.cursor)
            variables |= {"after": page.cursor, "withCount": False}

    def _page(self, variables: MutableMapping[str, Any], seen: set[str], sleep: Sleep | None) -> Page:
        for attempt in range(1, ATTEMPTS + 1):
            data = self.client.execute(self.query, variables, scope=self.scope, sleep=sleep)
            page = _read(data.get(self.root))
            if isinstance(page, Page) and page.cursor in seen:
                page = "a cursor came twice"
            if isinstance(page, Page):
                return page
            if attempt < ATTEMPTS:
                (sleep or self.client.sleep)(retries.delay(attempt))
        raise TransientError(f"{self.root}: Wiz's paging is broken: {page}. Gave up after {ATTEMPTS} attempts.")


def _read(connection: Any) -> Page | str:
    """Return the page, or what is wrong with it."""
    if not isinstance(connection, dict):
        return "the answer lacks the root field"
    nodes, info, total = (connection.get(name) for name in ("nodes", "pageInfo", "totalCount"))
    if not isinstance(nodes, list):
        return "nodes is not a list"
    present = [node for node in nodes if node is not None]
    if not all(isinstance(node, dict) for node in present):
        return "a node is not an object"
    if not isinstance(info, dict) or not isinstance(info.get("hasNextPage"), bool):
        return "pageInfo is missing or incomplete"
    cursor = info.get("endCursor")
    if info["hasNextPage"] and not (isinstance(cursor, str) and cursor):
        return "more pages are announced without a cursor"
    return Page(
        nodes=present,
        null_nodes=len(nodes) - len(present),
        cursor=cursor if info["hasNextPage"] else None,
        total=total if isinstance(total, int) and not isinstance(total, bool) else None,
        at_least=connection.get("maxCountReached") is True,
    )
