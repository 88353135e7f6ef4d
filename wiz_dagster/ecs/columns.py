"""The columns of one batch of nodes while a transform fills them, before they become a frame.

A column is a list with a value a node. Values that Elasticsearch would refuse in a field of that type are set aside:
they stand in the flattened field `<root>.unmapped` under the name that Wiz gives them, and are counted as drift.
So are keys that nobody maps. Nothing here knows a dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import chain
from typing import Any

from wiz_dagster.ecs.tables import Table
from wiz_dagster.ecs.values import LARGEST, MAX_DEPTH, boolean, is_empty, is_ip, number, timestamp

Node = dict[str, Any]
Values = list[Any]
Shape = dict[str, "Shape | None"]
"""Keys of an object: None where texts, numbers, booleans or lists of them are due, a shape where objects are."""

LONG = range(-(2**63), 2**63)
"""What a field of type `long` takes."""
LONGEST_NAME = 64
"""Characters of an unknown key or value that tell it apart where drift is counted."""
_OF_GRAPHQL = frozenset({"__typename"})
"""What any object may have besides."""
_NOTHING: Node = {}
_SCALARS = frozenset({str, int, float, bool, type(None)})
_NUMBERS = frozenset({float, int, type(None)})
_SCALARS_AND_LISTS = _SCALARS | {list}
_OBJECTS = frozenset({dict, type(None)})
_WHOLE = frozenset({int, type(None)})
_BOOLEANS = frozenset({bool, type(None)})


def pluck(objects: Sequence[Node], key: str) -> Values:
    """The value of a key in each object, None where it has none."""
    return [item.get(key) for item in objects] if any(objects) else [None] * len(objects)


def copy_to(wanted: bool, path: str) -> tuple[str, ...]:
    """The path of a field that repeats an ECS field, when such are wanted."""
    return (path,) if wanted else ()


class Columns:
    """Columns by dotted ECS path, and what drifted while they were filled."""

    def __init__(self, root: str, nodes: Sequence[Node], known_keys: frozenset[str]) -> None:
        """Start with the nodes' unknown top-level keys set aside. `root` is the dataset's own prefix, `wiz.audit`."""
        self.by_path: dict[str, Values] = {}
        self.settled: set[str] = set()
        """Paths whose cells documents take as they are: single values, and what is pruned."""
        self.drift: Counter[str] = Counter()
        self._unmapped: list[Node | None] = [None] * len(nodes)
        self._repeated: set[tuple[int, str]] = set()
        self.by_path[f"{root}.unmapped"] = self._unmapped
        self.nodes = Table(nodes)
        """The columns of the nodes' own keys."""
        if not known_keys.issuperset(self.nodes.keys):
            for row, node in enumerate(nodes):
                for key in node:
                    if key not in known_keys:
                        self._keep(row, key, node[key])
                        self.drift[f"unknown key: {key[:LONGEST_NAME]}"] += 1

    def put(self, values: Values, *paths: str, settled: bool = False) -> None:
        """Take a finished column as it is, under each path. `settled`: see there."""
        for path in paths:
            self.by_path[path] = values
        if settled:
            self.settled.update(paths)
        else:
            self.settled.difference_update(paths)

    def constant(self, value: Any, *paths: str) -> None:
        """The same value, or list of texts, for every node."""
        self.put([value] * len(self._unmapped), *paths, settled=type(value) is not list or "" not in value)

    def set_aside(self, row: int, source: str, value: Any) -> None:
        """Keep a value that has no place of its own under the name Wiz gives it, and count it."""
        if is_empty(value) or value == "null":
            return
        self._keep(row, source, value)
        self.drift[f"wrong type: {source}"] += 1

    def keyword(self, values: Values, source: str, *paths: str) -> Values:
        """A column of texts, numbers, booleans or lists of them; objects are set aside."""
        settled = _SCALARS.issuperset(map(type, values))
        if not settled and not _are_lists_of_scalars(values):
            values = self._checked(values, source, holds_no_object)
        self.put(values, *paths, settled=settled)
        return values

    def long(self, values: Values, source: str, *paths: str) -> Values:
        """A column of whole numbers."""
        if not (_WHOLE.issuperset(map(type, values)) and _within(values, LONG.start, LONG.stop - 1)):
            values = self._checked(values, source, lambda value: type(value) is int and value in LONG)
        self.put(values, *paths, settled=True)
        return values

    def double(self, values: Values, source: str, *paths: str) -> Values:
        """A column of numbers or lists of them, for a field of type `double` or `float`; texts of numbers are read."""
        settled = _NUMBERS.issuperset(map(type, values)) and _within(values, -LARGEST, LARGEST)
        if not settled:
            values = self._converted(values, source, number)
        self.put(values, *paths, settled=settled)
        return values

    def boolean(self, values: Values, source: str, *paths: str) -> Values:
        """A column of true and false, also where a text says so."""
        if not _BOOLEANS.issuperset(map(type, values)):
            values = self._converted(values, source, boolean)
        self.put(values, *paths, settled=True)
        return values

    def ip(self, values: Values, source: str, *paths: str) -> Values:
        """A column of IP addresses."""
        values = self._checked(values, source, is_ip)
        self.put(values, *paths, settled=True)
        return values

    def date(self, values: Values, source: str, *paths: str) -> Values:
        """A column of moments, written as `timestamp()` does."""
        moments = self._converted(values, source, timestamp)
        self.put(moments, *paths, settled=True)
        return moments

    def main_date(self, candidates: Sequence[tuple[str, Values]], last_resort: str) -> None:
        """`@timestamp`: each node's first candidate that has a moment. A node without the first one is counted."""
        first, moments = candidates[0]
        missing = sum(moment is None for moment in moments)
        if missing:
            self.drift[f"missing date: {first}"] += missing
            columns = [values for _, values in candidates]
            moments = [next(filter(None, row), last_resort) for row in zip(*columns, strict=True)]
        self.put(moments, "@timestamp", settled=True)

    def objects(self, values: Values, source: str, known: frozenset[str] | None = None) -> list[Node]:
        """The objects of a column, an empty one where there is none; what is no object is set aside.

        So are keys of the objects that aren't known; None: an object may have any.
        """
        if values.count(None) == len(values):
            return [_NOTHING] * len(values)
        if not {dict}.issuperset(map(type, values)):
            if not _OBJECTS.issuperset(map(type, values)):
                for row, value in enumerate(values):
                    if type(value) is not dict:
                        self.set_aside(row, source, value)
            values = [value if type(value) is dict else _NOTHING for value in values]
        if known is not None and set().union(*values) - known - _OF_GRAPHQL:
            for row, value in enumerate(values):
                self.set_aside_unknown(row, source, value, known)
        return values

    def set_aside_unknown(self, row: int, source: str, item: Node, known: frozenset[str]) -> None:
        """Keep an object's keys that have no place of their own under `source.key`, and count them."""
        for key in self.unknown_keys(source, item, known):
            self._keep(row, f"{source}.{key}", item[key])

    def unknown_keys(self, source: str, item: Node, known: Set[str]) -> list[str]:
        """The keys of an object that aren't known, counted as drift."""
        unknown = [key for key in item if key not in known and key not in _OF_GRAPHQL]
        for key in unknown:
            self.drift[f"unknown key: {source}.{key[:LONGEST_NAME]}"] += 1
        return unknown

    def expect(self, values: Iterable[Any], source: str, known: frozenset[str]) -> None:
        """Count the texts that are none of the known values of an enumeration."""
        values = list(values)
        try:
            unknown = {value for value in set(values) if type(value) is str and value and value not in known}
        except TypeError:  # a list, which can't be in a set
            unknown = {value for value in values if type(value) is str and value and value not in known}
        if unknown:
            found = Counter(value for value in values if type(value) is str and value in unknown)
            for value, count in found.items():
                self.drift[f"unknown value: {source}={value[:LONGEST_NAME]}"] += count

    def _checked(self, values: Values, source: str, fits: Callable[[Any], bool]) -> Values:
        if values.count(None) == len(values):
            return values
        checked = list(values)
        for row, value in enumerate(values):
            if value is not None and not fits(value):
                self.set_aside(row, source, value)
                checked[row] = None
        return checked

    def _converted(self, values: Values, source: str, convert: Callable[[Any], Any]) -> Values:
        """The values as `convert` makes them; what it makes None of is set aside."""
        empty = values.count(None)
        if empty == len(values):
            return values
        converted = [None if value is None else convert(value) for value in values]
        if converted.count(None) != empty:
            for row, (value, made) in enumerate(zip(values, converted, strict=True)):
                if made is None:
                    self.set_aside(row, source, value)
        return converted

    def _keep(self, row: int, source: str, value: Any) -> None:
        kept = self._unmapped[row]
        if kept is None:
            kept = self._unmapped[row] = {}
        if kept.get(source) is None:
            kept[source] = value
        elif (row, source) in self._repeated:
            kept[source].append(value)
        else:
            kept[source] = [kept[source], value]
            self._repeated.add((row, source))


def _are_lists_of_scalars(values: Values) -> bool:
    """Whether no value is an object, and no list holds more than scalars."""
    if not _SCALARS_AND_LISTS.issuperset(map(type, values)):
        return False
    return _SCALARS.issuperset(map(type, chain.from_iterable([value for value in values if type(value) is list])))


def _within(numbers: Values, least: float, most: float) -> bool:
    known = [value for value in numbers if value is not None]
    return not known or (min(known) >= least and max(known) <= most)


def fitted(columns: Columns, row: int, source: str, value: Any, shape: Shape) -> Any:
    """An object, or a list of such, as far as it has that shape; values of another type are set aside.

    Keys that the shape doesn't name stay as they are and are counted. The value itself isn't changed.
    """
    if type(value) is list:
        return [fitted(columns, row, source, item, shape) for item in value]
    if type(value) is not dict:
        columns.set_aside(row, source, value)
        return None
    if not shape.keys() >= value.keys():
        columns.unknown_keys(source, value, shape.keys())
    fitting = value
    for key, below in shape.items():
        item = value.get(key)
        if item is None or (below is None and (type(item) is str or holds_no_object(item))):
            continue
        if fitting is value:
            fitting = dict(value)
        if below is None:
            columns.set_aside(row, f"{source}.{key}", item)
            fitting[key] = None
        else:
            fitting[key] = fitted(columns, row, f"{source}.{key}", item, below)
    return fitting


def holds_no_object(value: Any, depth: int = 0) -> bool:
    """Whether a keyword field takes the value: no object, nor a list that holds one."""
    if type(value) is list and depth < MAX_DEPTH:
        return all(holds_no_object(item, depth + 1) for item in value)
    return type(value) is not dict
