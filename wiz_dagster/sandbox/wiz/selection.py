"""Which nodes a request gets, and in which order: Wiz's filters over a source.

Both bounds of a time filter are exclusive, a null time never passes one, values of a list are alternatives. Filters are
told apart by their dotted path (`severity.equals`). One that Wiz has and the emulator hasn't is refused, never ignored.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from wiz_dagster.sandbox.wiz.hashing import Ordinals, mix
from wiz_dagster.sandbox.wiz.projection import BadQueryError
from wiz_dagster.sandbox.wiz.roots import Root
from wiz_dagster.sandbox.wiz.source import Bounds, Source
from wiz_dagster.sandbox.wiz.times import NEVER, micros_of_text

_Condition = tuple[str, frozenset[Any], bool]
"""A category, values of it, and whether a node needs one of them or mustn't have any."""

_ALWAYS = (-(1 << 61), 1 << 61)


def select(root: Root, source: Source, arguments: Mapping[str, Any], now: int) -> Ordinals:
    """The ordinals of all nodes that the arguments ask for, in serving order; BadQueryError for a bad argument."""
    filters = dict(_leaves(arguments.get("filterBy") or {}))
    bounds = {key: _bounds(name, filters) for name, key in root.times.items() if _is_bounded(name, filters)}
    ids = _texts(root.ids, filters.pop(root.ids)) if root.ids in filters else None
    conditions = [*_hidden(root, filters), *_wanted(root, filters)]
    if filters:
        raise BadQueryError(f"The emulator doesn't implement the filter {min(filters)} of {root.field}.")
    blocks = source.blocks(bounds, now) if ids is None else iter([source.named(ids, now)])
    kept = [_passing(source, block, bounds, conditions, now) for block in blocks]
    found = np.concatenate([np.empty(0, dtype=np.int64), *kept])
    return _ordered(root, source, found, arguments, bounds, now)


def _hidden(root: Root, filters: dict[str, Any]) -> Iterator[_Condition]:
    """Takes the switches that let nodes in out of the filters."""
    for path, (category, _) in root.includes.items():
        if not filters.pop(path, False):
            yield category, frozenset({True}), False


def _wanted(root: Root, filters: dict[str, Any]) -> Iterator[_Condition]:
    """Takes the lists of values out of the filters; those left out count as their defaults say."""
    for path, (category, _) in root.categories.items():
        if path in filters or path in root.defaults:
            yield category, frozenset(_texts(path, filters.pop(path, root.defaults.get(path)))), True


def _passing(source: Source, ordinals: Ordinals, bounds: Bounds, conditions: list[_Condition], now: int) -> Ordinals:
    for name, (after, before) in bounds.items():
        times = source.times(name, ordinals, now)
        ordinals = ordinals[(times != NEVER) & (times > after) & (times < before)]
    for category, values, wanted in conditions:
        codes, meanings = source.category(category, ordinals, now)
        having = np.array([not values.isdisjoint(filter(_is_plain, meaning)) for meaning in meanings], dtype=bool)
        ordinals = ordinals[having[codes] == wanted] if len(ordinals) else ordinals
    return ordinals


def _ordered(
    root: Root, source: Source, found: Ordinals, arguments: Mapping[str, Any], bounds: Bounds, now: int
) -> Ordinals:
    order = arguments.get("orderBy")
    if order and order.get("field") not in root.orders:
        raise BadQueryError(f"The emulator can't order {root.field} by {order.get('field')}.")
    by = root.orders[order["field"]] if order else root.version_order if root.version_order in bounds else None
    if by is None:
        return found[np.argsort(mix(0, found, 20), kind="stable")]
    places = np.argsort(source.times(by, found, now), kind="stable")
    return found[places[::-1]] if order and order["direction"] == "DESC" else found[places]


def _leaves(filters: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Each filter that has a value by its dotted path."""
    for name, value in filters.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        elif value is not None:
            yield path + name, value


def _is_bounded(name: str, filters: Mapping[str, Any]) -> bool:
    return f"{name}.after" in filters or f"{name}.before" in filters


def _bounds(name: str, filters: dict[str, Any]) -> tuple[int, int]:
    """Takes the time's two bounds out of the filters."""
    low, high = (_moment(path, filters.pop(path, None)) for path in (f"{name}.after", f"{name}.before"))
    return _ALWAYS[0] if low is None else low, _ALWAYS[1] if high is None else high


def _moment(name: str, value: Any) -> int | None:
    if value is None:
        return None
    found = micros_of_text(value)
    if found == NEVER:
        raise BadQueryError(f"{name} isn't a date and time as RFC 3339 has it.")
    return found


def _texts(name: str, value: Any) -> list[str]:
    if not value:
        raise BadQueryError(f"{name} is an empty list: leave it out.")
    return list(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool)
