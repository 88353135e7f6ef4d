"""What every dataset of the emulated tenant offers: ordinals, times, categories and nodes, without filters or paging.

`GeneratedSource` computes them from hashes (the dataset's module says how); `GivenSource` reads them off nodes that
the caller handed in. Which of them a request gets is decided in `selection`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson

from wiz_dagster.errors import SettingsError
from wiz_dagster.sandbox.wiz.hashing import Ordinals, below, mix, ordinal_of
from wiz_dagster.sandbox.wiz.times import DAY, SECOND, Micros, cut, micros_of_text, precisions

Node = dict[str, Any]
Category = tuple[Ordinals, list[tuple[Any, ...]]]
"""A code an ordinal, and the values that each code stands for."""

Bounds = Mapping[str, tuple[int, int]]
"""Time's name to what it must lie between, in microseconds, bounds excluded."""

AsOf = int | Micros
"""The moment as of which nodes are looked at, in microseconds: one for all, or one for each."""

_BLOCK = 200_000


class Source(Protocol):
    """The nodes of one dataset, numbered from zero."""

    kept_for: int | None
    """Microseconds after which Wiz drops a node, counted from the date that says its day; None: never."""

    def span(self, earliest: int, latest: int) -> range:
        """Ordinals among which are all with a time in [earliest, latest], some of them perhaps not yet created."""

    def blocks(self, bounds: Bounds, now: int) -> Iterator[Ordinals]:
        """Ordinals that exist as of `now`, in blocks: all within the bounds, and perhaps others."""

    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:
        """The named time of each, `NEVER` where it is null."""

    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:
        """The named property of each, for filters."""

    def named(self, ids: Sequence[str], now: int) -> Ordinals:
        """The ordinals of those ids that exist."""

    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:
        """Whole nodes, with more keys than a query selects."""


class GeneratedSource(ABC):
    """The part that all generated datasets share: so many nodes a day, created evenly, each at its own time.

    A subclass says what they are. `life` is how many microseconds after its creation a node's times may still move,
    `created_name` the key of its time of creation.
    """

    life = 0
    kept_for: int | None = None
    created_name = "createdAt"

    def __init__(self, key: int, first_day: int, volume: int) -> None:
        """`first_day` is a midnight in microseconds; `volume` the nodes created a day."""
        self.key = key
        self._first_day = first_day
        self._volume = volume

    @abstractmethod
    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:
        """See `Source`."""

    @abstractmethod
    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:
        """See `Source`."""

    @abstractmethod
    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:
        """See `Source`."""

    def span(self, earliest: int, latest: int) -> range:
        """Created from `life` before the window to its end, and a little around that."""
        first, last = ((moment - self._first_day) * self._volume // DAY for moment in (earliest - self.life, latest))
        around = 1 + self._volume * SECOND // DAY
        return range(max(0, first - 1), max(0, last + 1 + around))

    def blocks(self, bounds: Bounds, now: int) -> Iterator[Ordinals]:
        """Cut at what exists by now: creation times grow with the ordinal."""
        earliest = max([low for low, _ in bounds.values()], default=self._first_day)
        latest = min([now, *(high for _, high in bounds.values())])
        if self.created_name in bounds:
            earliest = max(earliest, bounds[self.created_name][0] + self.life)
        ordinals = self.span(earliest, latest)
        for start in range(ordinals.start, ordinals.stop, _BLOCK):
            block = np.arange(start, min(start + _BLOCK, ordinals.stop), dtype=np.int64)
            yield block[self.created(block) <= now]

    def precision(self, ordinals: Ordinals) -> Ordinals:
        """How exact each node's times are."""
        return precisions(mix(self.key, ordinals, 1))

    def created(self, ordinals: Ordinals) -> Micros:
        """When each was created, spread evenly over its day."""
        day, place = np.divmod(ordinals, self._volume)
        moment = (place * DAY + below(mix(self.key, ordinals, 2), DAY)) // self._volume
        return cut(self._first_day + day * DAY + moment, self.precision(ordinals))

    def named(self, ids: Sequence[str], now: int) -> Ordinals:
        """Computed from the ids, without a scan."""
        found = [ordinal for text in ids if (ordinal := ordinal_of(self.key, text)) is not None and ordinal < 1 << 48]
        ordinals = np.array(sorted(set(found)), dtype=np.int64)
        return ordinals[self.created(ordinals) <= now]


class GivenSource:
    """Nodes served as they are, however odd or old; missing or unreadable times count as null."""

    kept_for: int | None = None

    def __init__(self, nodes: Sequence[Node], columns: Mapping[str, str]) -> None:
        """`columns` maps a category's name to the path of the value in a node, dotted, lists walked through."""
        self._nodes = list(nodes)
        self._columns = columns

    def span(self, earliest: int, latest: int) -> range:  # noqa: ARG002
        """All of them: given nodes are few."""
        return range(len(self._nodes))

    def blocks(self, bounds: Bounds, now: int) -> Iterator[Ordinals]:  # noqa: ARG002
        """All of them in one block."""
        yield np.arange(len(self._nodes), dtype=np.int64)

    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:  # noqa: ARG002
        """Read off the node's key of that name."""
        return np.array([micros_of_text(self._nodes[i].get(name)) for i in ordinals.tolist()], dtype=np.int64)

    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:  # noqa: ARG002
        """A code a node."""
        path = self._columns[name].split(".")
        found = [tuple(_values(self._nodes[i], path)) for i in ordinals.tolist()]
        return np.arange(len(found), dtype=np.int64), found

    def named(self, ids: Sequence[str], now: int) -> Ordinals:  # noqa: ARG002
        """Found by comparing every node's id."""
        wanted = set(ids)
        return np.array([i for i, node in enumerate(self._nodes) if node.get("id") in wanted], dtype=np.int64)

    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:  # noqa: ARG002
        """The nodes themselves, not copies."""
        return [self._nodes[i] for i in ordinals.tolist()]


def _values(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        yield from _values(value.get(path[0]), path[1:])


def read_nodes(path: Path) -> list[Node]:
    """The nodes of an NDJSON file, one JSON object a line; SettingsError names a line that isn't one."""
    nodes: list[Node] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SettingsError(f"Can't read the nodes file {path}: {error.strerror}. Name a readable file.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            node = orjson.loads(line)
        except orjson.JSONDecodeError:
            node = None
        if not isinstance(node, dict):
            raise SettingsError(f"Line {number} of {path} isn't a JSON object. Give one node a line.")
        nodes.append(node)
    return nodes
