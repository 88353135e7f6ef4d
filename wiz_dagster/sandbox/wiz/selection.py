"""Which nodes a request gets, and in which order: Wiz's filters over a source.

Both bounds of a time filter are exclusive, a null time never passes one, values of a list are alternatives. A filter
that Wiz has and the emulator hasn't is refused, never ignored.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wiz_dagster.sandbox.wiz.hashing import Ordinals, mix
from wiz_dagster.sandbox.wiz.projection import BadQueryError
from wiz_dagster.sandbox.wiz.roots import Root
from wiz_dagster.sandbox.wiz.source import Bounds, Source
from wiz_dagster.sandbox.wiz.times import NEVER, micros_of_text

_ALWAYS = (-(1 << 61), 1 << 61)


def select(root: Root, source: Source, arguments: Mapping[str, Any], now: int) -> Ordinals:
    """The ordinals of all nodes that the arguments ask for, in serving order; BadQueryError for a bad argument."""
    filters = {name: value for name, value in (arguments.get("filterBy") or {}).items() if value is not None}
    bounds = {name: _bounds(name, filters.pop(name)) for name in root.times if name in filters}
    ids = _texts("id", filters.pop("id")) if "id" in filters else None
    wanted = {name: frozenset(_texts(name, filters.pop(name))) for name in root.categories if name in filters}
    if filters:
        raise BadQueryError(f"The emulator doesn't implement the filter {min(filters)} of {root.field}.")
    blocks = source.blocks(bounds, now) if ids is None else iter([source.named(ids, now)])
    kept = [_passing(root, source, block, bounds, wanted, now) for block in blocks]
    found = np.concatenate([np.empty(0, dtype=np.int64), *kept])
    return _ordered(root, source, found, arguments, bounds, now)


def _passing(
    root: Root,
    source: Source,
    ordinals: Ordinals,
    bounds: Bounds,
    wanted: Mapping[str, frozenset[str]],
    now: int,
) -> Ordinals:
    for name, (after, before) in bounds.items():
        times = source.times(name, ordinals, now)
        ordinals = ordinals[(times != NEVER) & (times > after) & (times < before)]
    for name, values in wanted.items():
        codes, meanings = source.category(root.categories[name][0], ordinals, now)
        passing = np.array([not values.isdisjoint(map(_hashable, meaning)) for meaning in meanings], dtype=bool)
        ordinals = ordinals[passing[codes]] if len(ordinals) else ordinals
    return ordinals


def _ordered(
    root: Root, source: Source, found: Ordinals, arguments: Mapping[str, Any], bounds: Bounds, now: int
) -> Ordinals:
    order = arguments.get("orderBy")
    if order and order["field"] not in root.orders:
        raise BadQueryError(f"The emulator can't order {root.field} by {order['field']}.")
    by = root.orders[order["field"]] if order else root.version_order if root.version_order in bounds else None
    if by is None:
        return found[np.argsort(mix(0, found, 20), kind="stable")]
    places = np.argsort(source.times(by, found, now), kind="stable")
    return found[places[::-1]] if order and order["direction"] == "DESC" else found[places]


def _bounds(name: str, value: Mapping[str, Any]) -> tuple[int, int]:
    for operator in value:
        if operator not in ("after", "before"):
            raise BadQueryError(f"The emulator doesn't implement {name}.{operator}.")
    low, high = (_moment(f"{name}.{operator}", value.get(operator)) for operator in ("after", "before"))
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


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str) else None
