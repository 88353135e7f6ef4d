"""Pages of a walk: the part of a selection that a cursor and `first` name, and how the walk goes on.

A walk sees the tenant as it was at its first page. Selections are kept for a few recent walks, so that a page costs no
more than its nodes.
"""

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from wiz_dagster.sandbox.wiz.cursors import Place, seal, unseal
from wiz_dagster.sandbox.wiz.hashing import Ordinals
from wiz_dagster.sandbox.wiz.projection import BadQueryError
from wiz_dagster.sandbox.wiz.roots import Root
from wiz_dagster.sandbox.wiz.selection import select
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import micros

LARGEST_PAGE = 500
_DEFAULT_PAGE = 50
_KEPT_NODES = 8_000_000


@dataclass(frozen=True)
class Page:
    """One page as Wiz would give it, before projection. `detour` leads to the same page again by another cursor."""

    nodes: list[Node]
    has_next: bool
    end_cursor: str | None
    total: int
    detour: str


@dataclass
class Paging:
    """Serves the pages of one tenant."""

    tenant: Tenant
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _kept: OrderedDict[bytes, Ordinals] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self, root: Root, query: str, arguments: Mapping[str, Any]) -> Page:
        """The page that the arguments ask for; BadQueryError for a bad size, cursor or filter."""
        first = arguments.get("first")
        first = _DEFAULT_PAGE if first is None else first
        if not 0 <= first <= LARGEST_PAGE:
            raise BadQueryError(f"first must be from 0 to {LARGEST_PAGE}, not {first}.")
        walk = _walk(root, query, arguments)
        place = self._place(arguments.get("after"), walk)
        ordinals = self._ordinals(root, walk, arguments, place.now)
        end = min(place.served + first, len(ordinals))
        nodes = self.tenant.source(root.dataset).nodes(ordinals[place.served : end], place.now)
        return Page(
            nodes=nodes,
            has_next=end < len(ordinals),
            end_cursor=seal(Place(end, place.now), key=self._key, walk=walk) if end > 0 else None,
            total=len(ordinals),
            detour=seal(Place(place.served, place.now, place.variant + 1), key=self._key, walk=walk),
        )

    def _place(self, cursor: str | None, walk: bytes) -> Place:
        if cursor is None:
            return Place(0, micros(self.tenant.now))
        place = unseal(cursor, key=self._key, walk=walk)
        if place is None:
            raise BadQueryError("after isn't a cursor of this query with this filter.")
        return place

    def _ordinals(self, root: Root, walk: bytes, arguments: Mapping[str, Any], now: int) -> Ordinals:
        name = walk + now.to_bytes(8, "big", signed=True)
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        found = select(root, self.tenant.source(root.dataset), arguments, now)
        with self._lock:
            self._kept[name] = found
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _KEPT_NODES:
                self._kept.popitem(last=False)
        return found


def _walk(root: Root, query: str, arguments: Mapping[str, Any]) -> bytes:
    rest = {name: value for name, value in arguments.items() if name not in ("first", "after")}
    text = orjson.dumps([root.field, query, rest], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()
