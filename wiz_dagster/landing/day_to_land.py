"""What the landing IO manager takes: a day whose nodes are fetched from Wiz or come from anywhere else.

`RawDay` asks Wiz; the webhook's day draws from the spool, see `defend/spooled_day.py`. What landing means is in
`zone.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.landing.landing_run import FetchFigures, LandReport
from wiz_dagster.landing.manifest import FetchInfo, Tenant


class Source(Protocol):
    """Nodes to iterate once, batch by batch, and what was counted of them, final once they are drawn."""

    @property
    def report(self) -> FetchFigures:
        """The figures."""

    def __iter__(self) -> Iterator[Sequence[Mapping[str, Any]]]: ...


class DayToLand(Protocol):
    """A day of a dataset and where its nodes come from; whoever lands it leaves the figures in `landed`.

    `held` is how many nodes the day then has, those of earlier landings too.
    """

    dataset: Dataset
    day: str
    landed: LandReport | None
    held: int | None

    @property
    def tenant(self) -> Tenant:
        """Whose data it is."""

    def fetch_info(self) -> FetchInfo:
        """What is known before the nodes are drawn."""

    def opened(self) -> AbstractContextManager[Source]:
        """The nodes; the block is left without an error only once they are landed."""

    def figures(self) -> Mapping[str, Any]:
        """What there is to say of the source, for the run's metadata, once the day is landed."""
