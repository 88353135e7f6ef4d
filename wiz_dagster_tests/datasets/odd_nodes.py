"""Nodes as no one expects them: any part of a full node missing, null, of another type, nested deeper, huge.

One drawn byte decides what becomes of a part, so that thousands of nodes are drawn in a minute; 0 leaves it as it is,
which is what a failing node is shrunk towards.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

TEXTS = [
    "2026-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30T00:00:00Z",
    "null",
    "true",
    "-0",
    "1e999",
    "::1",
    "fe80::1%eth0",
    "http://[::1",
    "a:b@c:",
    "a.b..c.",
    "\0",
]


def nested(depth: int, kind: type) -> Any:
    """Lists in lists, or objects in objects."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind is list else {"k": value}
    return value


HUGE: dict[str, Any] = {
    "<9,000 letters>": "x" * 9_000,
    "<27,000 bytes>": "㐀" * 9_000,
    "<2,000 numbers>": list(range(2_000)),
    "<300 objects>": [{"id": str(number)} for number in range(300)],
    "<500 keys>": {f"k{number}": number for number in range(500)},
    "<300 lists in each other>": nested(300, list),
    "<300 objects in each other>": nested(300, dict),
    "<30 objects in each other>": nested(30, dict),
    "<2**63>": 2**63,
    "<1.7e308>": 1.7e308,
    "<5e-324>": 5e-324,
}
"""By the names that stand for them where a failing node is printed."""
UNREADABLE: dict[str, Any] = {
    "<half a pair>": "\ud800",
    "<half a pair after a>": "a\udfff",
    "<half a pair as key>": {"\ud83d": 1},
    "<10**400>": 10**400,
}
"""What the fast parser refuses in a line."""
NAMED = HUGE | UNREADABLE
REMOVED = object()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(TEXTS)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Oddity:
    """What becomes of a node: a byte for each of its parts; below `calm` the part stays.

    The others are removed when `ways` is 1, removed or null when it is 2, and so on.
    """

    moves: bytes
    calm: int
    ways: int
    others: list[Any]

    def of(self, node: dict[str, Any]) -> dict[str, Any]:
        """The node after it."""
        return self._keys(node, iter(self.moves))

    def _keys(self, node: dict[str, Any], moves: Iterator[int]) -> dict[str, Any]:
        after = {key: self._part(value, moves) for key, value in node.items()}
        return {key: value for key, value in after.items() if value is not REMOVED}

    def _part(self, value: Any, moves: Iterator[int]) -> Any:
        move = next(moves)
        if move < self.calm:
            if isinstance(value, list):
                after = [self._part(item, moves) for item in value]
                return [item for item in after if item is not REMOVED]
            return self._keys(value, moves) if isinstance(value, dict) else value
        other = self.others[move % len(self.others)]
        other = NAMED.get(other, other) if isinstance(other, str) else other
        grown = {**value, "neverSeen": other} if isinstance(value, dict) else [value, other]
        return (REMOVED, None, other, {"deeper": value}, grown, [value])[move % self.ways]


def oddities_of(node: dict[str, Any], named: Mapping[str, Any] = HUGE) -> st.SearchStrategy[Oddity]:
    """Oddities of a full node; parts of it may be replaced by `named` values, too."""
    size = parts(node)
    return st.builds(
        Oddity,
        moves=st.binary(min_size=size, max_size=size),
        calm=st.sampled_from([250, 230, 128, 0]),
        ways=st.sampled_from([6, 6, 2, 1]),
        others=st.lists(values | st.sampled_from(list(named)), min_size=1, max_size=4),
    )


def parts(value: Any) -> int:
    """How many parts a value has, itself included."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(parts, below))
