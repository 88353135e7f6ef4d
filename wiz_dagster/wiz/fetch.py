"""Fetching a window of a dataset: cut into time slices that are walked in parallel, as batches of nodes.

Wiz's date filters exclude their bounds and round in unknown ways, so they are asked for a little more than the window,
and the nodes are cut here by their own times. A node that two slices or walks return is yielded twice; landing keeps
one of equal ones. Memory holds some pages. Paging itself is in `walk.py`.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.parallel import merged
from wiz_dagster.wiz.rate_limit import Sleep
from wiz_dagster.wiz.walk import Connection, Node, Page
from wiz_dagster.wiz.windows import Window, cut, format_time, parse_time

Batch = list[Node]

THREADS = 8
"""Requests in flight at most."""
MOST_SLICES = 24
SLICES_WITHOUT_COUNT = 8
EDGE = timedelta(milliseconds=1)
"""How much more than a slice is asked for at either end."""


class WalkSpec(Protocol):
    """One way to find nodes of a window."""

    @property
    def filter_field(self) -> str | None:
        """The date filter in `filterBy`, the nodes' field of that name holds the time; None: everything is walked."""


class QuerySpec(Protocol):
    """What a fetch needs to know of a dataset."""

    @property
    def root(self) -> str:
        """The query's root field."""

    @property
    def scope(self) -> str:
        """The scope that Wiz wants for it."""

    @property
    def walks(self) -> Sequence[WalkSpec]:
        """The walks that find all nodes of a window together."""

    @property
    def window_fields(self) -> Sequence[str]:
        """The node keys that hold the time it is cut by; the first with a time counts. None: nothing is cut."""

    def query(self) -> str:
        """Return the query text, with the variables first, after, filterBy and withCount."""


@dataclass
class FetchReport:
    """Figures of a fetch, complete after its last batch."""

    window: Window
    pages: int = 0
    requests: int = 0
    bytes_received: int = 0
    nodes: int = 0
    """Nodes yielded, those that came twice included."""
    null_nodes: int = 0
    outside_window: int = 0
    """Nodes dropped because their time belongs to another window; those of a second walk are many."""
    without_time: int = 0
    """Nodes yielded though they have no time to cut them by."""
    wiz_count: int | None = None
    """Wiz's own count for the first walk of the window; may hold a node of the very edge."""
    count_is_floor: bool = False
    """Whether Wiz stopped counting there (`maxCountReached`), so that it proves nothing of what lies beyond."""
    missing: int = 0
    """Nodes that Wiz counted and that did not come, over all walks."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Fetch:
    """A fetch to iterate once, batch by batch; leaving its `with` block stops it."""

    batches: Generator[Batch]
    report: FetchReport

    def __iter__(self) -> Iterator[Batch]:
        return self.batches

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.batches.close()


def fetch_window(
    client: WizClient, dataset: QuerySpec, window: Window, *, filters: Mapping[str, Any], page_size: int
) -> Fetch:
    """Fetch the nodes of `window`, in no order; `filters` are the further keys of `filterBy`.

    Raises PermanentError and TransientError, while it is iterated, as `WizClient.execute` does; what came before an
    error is not the whole window.
    """
    report = FetchReport(window)
    work = _Work(client, dataset, window, filters, page_size, report)
    return Fetch(work.batches(), report)


@dataclass
class _Work:
    client: WizClient
    dataset: QuerySpec
    window: Window
    filters: Mapping[str, Any]
    page_size: int
    report: FetchReport

    def batches(self) -> Generator[Batch]:
        requests, received = self.client.requests, self.client.bytes
        try:
            for number, walk in enumerate(self.dataset.walks):
                if walk.filter_field is None:
                    yield from self._walk_everything()
                elif not self.window.empty:
                    yield from self._walk(walk.filter_field, number)
        finally:
            self.report.requests = self.client.requests - requests
            self.report.bytes_received = self.client.bytes - received

    def _walk(self, filter_field: str, number: int) -> Generator[Batch]:
        """Walk the window by one filter: its first page tells how much there is; if much, slices are walked anew."""
        pages = self._pages(filter_field, self.window, count=True)
        first = next(pages)
        if number == 0:
            self.report.wiz_count, self.report.count_is_floor = first.total, first.at_least
        slices = cut(self.window, self._slices(first))
        sliced = len(slices) > 1
        came = 0
        if not sliced:
            came += _counted(first, filter_field, self.window, self.window)
        yield from self._batch(first)
        sources = [partial(self._slice, filter_field, part) for part in slices]
        for page, part in merged(sources, THREADS) if sliced else ((page, self.window) for page in pages):
            came += _counted(page, filter_field, part, self.window)
            yield from self._batch(page)
        if first.total is not None and came < first.total:
            self.report.missing += first.total - came
            self.report.warnings.append(
                f"Wiz counted {first.total} nodes by {filter_field} when the fetch began, {came} came."
            )

    def _walk_everything(self) -> Generator[Batch]:
        """Walk from the first page to the last, without a window: pages of one walk are as consistent as Wiz can be."""
        came, total = 0, None
        for page in self._connection(self.filters).pages(self.page_size, count=True):
            if page.total is not None:
                total = self.report.wiz_count = page.total
                self.report.count_is_floor = page.at_least
            came += page.null_nodes + len(page.nodes)
            yield from self._batch(page)
        if total is not None and came < total:
            self.report.missing += total - came
            self.report.warnings.append(f"Wiz counted {total} nodes when the sweep began, {came} came.")

    def _slices(self, first: Page) -> int:
        if first.cursor is None:
            return 1
        if first.total is None:
            return SLICES_WITHOUT_COUNT
        pages = -(-first.total // self.page_size)
        # Two pages are walked on from the first one's cursor: slices would ask for more.
        return min(MOST_SLICES, pages) if pages > 2 else 1

    def _slice(self, filter_field: str, part: Window, sleep: Sleep) -> Iterator[tuple[Page, Window]]:
        return ((page, part) for page in self._pages(filter_field, part, sleep=sleep))

    def _pages(
        self, filter_field: str, part: Window, *, count: bool = False, sleep: Sleep | None = None
    ) -> Iterator[Page]:
        bounds = {"after": format_time(part.start - EDGE), "before": format_time(part.end + EDGE)}
        connection = self._connection({**self.filters, filter_field: bounds})
        return connection.pages(self.page_size, count=count, sleep=sleep)

    def _connection(self, filter_by: Mapping[str, Any]) -> Connection:
        dataset = self.dataset
        return Connection(self.client, dataset.query(), dataset.root, dataset.scope, filter_by)

    def _batch(self, page: Page) -> Iterator[Batch]:
        self.report.pages += 1
        self.report.null_nodes += page.null_nodes
        batch = [node for node in page.nodes if self._wanted(node)]
        self.report.nodes += len(batch)
        if batch:
            yield batch

    def _wanted(self, node: Node) -> bool:
        if not self.dataset.window_fields:
            return True
        moment = next(filter(None, (parse_time(node.get(name)) for name in self.dataset.window_fields)), None)
        if moment is not None and moment not in self.window:
            self.report.outside_window += 1
            return False
        self.report.without_time += moment is None
        return True


def _counted(page: Page, filter_field: str, part: Window, window: Window) -> int:
    """How many of Wiz's counted nodes a page brings: each in one part only, those of the window's outer edges too."""
    moments = (parse_time(node.get(filter_field)) for node in page.nodes)
    return page.null_nodes + sum(moment is None or moment in part or moment not in window for moment in moments)
