"""Nodes that Wiz tells of late: what happened to them is seen only some time after, though it bears its own time.

Each node has a delay of its own, most have none. A node is what it was so long ago, so both its appearance and its
changes come late.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from wiz_dagster.sandbox.wiz.hashing import Ordinals, mix, weighted
from wiz_dagster.sandbox.wiz.source import AsOf, Bounds, Category, GeneratedSource, Node
from wiz_dagster.sandbox.wiz.times import SECOND, Micros

_DELAYS = np.array([0, 15, 200, 900], dtype=np.int64) * SECOND
"""The last one is longer than a refresh looks back."""
_WEIGHTS = (640, 240, 100, 20)


class LateSource:
    """The nodes of `source`, told late; see `Source` for what each method gives."""

    def __init__(self, source: GeneratedSource) -> None:
        self._source = source
        self.kept_for = source.kept_for

    def delays(self, ordinals: Ordinals) -> Micros:
        """Microseconds until what happens to each is seen."""
        delays: Micros = _DELAYS[weighted(mix(self._source.key, ordinals, 41), _WEIGHTS)]
        return delays

    def span(self, earliest: int, latest: int) -> range:
        """As the nodes' own times say."""
        return self._source.span(earliest, latest)

    def blocks(self, bounds: Bounds, now: int) -> Iterator[Ordinals]:
        """Without what isn't told yet."""
        for block in self._source.blocks(bounds, now):
            yield self._told(block, now)

    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:
        """As they are told."""
        return self._source.times(name, ordinals, now - self.delays(ordinals))

    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:
        """As they are told."""
        return self._source.category(name, ordinals, now - self.delays(ordinals))

    def named(self, ids: Sequence[str], now: int) -> Ordinals:
        """Without what isn't told yet."""
        return self._told(self._source.named(ids, now), now)

    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:
        """Those that are told of; `now` may be a moment for each."""
        moments = now - self.delays(ordinals)
        told = self._source.created(ordinals) <= moments
        return self._source.nodes(ordinals[told], moments[told])

    def _told(self, ordinals: Ordinals, now: int) -> Ordinals:
        return ordinals[self._source.created(ordinals) <= now - self.delays(ordinals)]
