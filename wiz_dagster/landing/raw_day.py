"""A day that Wiz is asked for: what to ask, how to reach Wiz, and the figures of the fetch.

Fetching happens while the landing zone draws the nodes, so a day never sits in memory. How Wiz is asked is in `wiz/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.landing.landing_run import LandReport
from wiz_dagster.landing.manifest import FetchInfo, Tenant
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.fetch import Fetch, FetchReport, fetch_window
from wiz_dagster.wiz.windows import Window


@dataclass
class RawDay:
    """A day to be fetched; `fetched`, `landed` and `held` are the figures once it is kept."""

    dataset: Dataset
    day: str
    window: Window
    run_id: str
    settings: WizSettings
    open_client: Callable[[], WizClient]
    filters: Mapping[str, Any]
    page_size: int
    warnings: Sequence[str] = ()
    fetched: FetchReport | None = field(default=None, init=False)
    landed: LandReport | None = field(default=None, init=False)
    held: int | None = field(default=None, init=False)

    @property
    def tenant(self) -> Tenant:
        """Whom the settings let ask."""
        return Tenant.of(self.settings.api_url, self.settings.client_id)

    @property
    def query_hash(self) -> str:
        """Tells one question from another, whatever the window: the query and the filters."""
        filters = orjson.dumps(self.filters, option=orjson.OPT_SORT_KEYS)
        return sha256(self.dataset.query().encode() + b"\0" + filters).hexdigest()

    def fetch_info(self) -> FetchInfo:
        """The fetch as it begins now."""
        return FetchInfo(
            run_id=self.run_id,
            fetched_at=datetime.now(UTC),
            window_start=self.window.start,
            window_end=self.window.end,
            query_hash=self.query_hash,
        )

    @contextmanager
    def opened(self) -> Iterator[Fetch]:
        """The fetch, which asks Wiz while it is iterated."""
        with (
            self.open_client() as client,
            fetch_window(client, self.dataset, self.window, filters=self.filters, page_size=self.page_size) as fetch,
        ):
            fetch.report.warnings.extend(self.warnings)
            yield fetch
        self.fetched = fetch.report

    def figures(self) -> dict[str, Any]:
        """What Wiz was asked and sent, for the run's metadata."""
        fetched = self.fetched
        if fetched is None:
            return {}
        figures: dict[str, Any] = {
            "wiz/nodes": fetched.nodes,
            "wiz/pages": fetched.pages,
            "wiz/requests": fetched.requests,
            "wiz/bytes": fetched.bytes_received,
            "wiz/null_nodes": fetched.null_nodes,
            "wiz/without_time": fetched.without_time,
            "wiz/window": f"{fetched.window.start.isoformat()} to {fetched.window.end.isoformat()}",
        }
        return figures if fetched.wiz_count is None else {**figures, "wiz/count": fetched.wiz_count}
