"""Making a refused document fit: what its mapping doesn't take is moved below `unmapped`, all else stays as it is.

The mapping is that of the dataset's field table (`mappings.py`); what a type takes is in `readable.py`. Nesting that is
too deep and terms that are too long are refused as well; those stay. Sending is in `document_writer.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from wiz_dagster.ecs.columns import LONGEST_NAME
from wiz_dagster.ecs.fields import Field
from wiz_dagster.elasticsearch.readable import is_readable

OBJECTS = ("nested", "object")
NOTHING = object()
"""What is left of a value that was moved."""


class Fitted(NamedTuple):
    """A document that fits, as JSON, and what was moved in it as drift: sentence -> how often."""

    document: bytes
    drift: Counter[str]


class Fitting:
    """Makes documents of one dataset fit: `fields` is its table, `stream` names its own fields below `wiz`."""

    def __init__(self, fields: Iterable[Field], stream: str) -> None:
        self._unmapped = ("wiz", stream, "unmapped")
        self._types = {field.name: field.type for field in fields if field.type not in OBJECTS}
        names = [field.name.split(".") for field in fields]
        self._objects = {".".join(name[:end]) for name in names for end in range(1, len(name))}
        self._objects |= {field.name for field in fields if field.type in OBJECTS}

    def fit(self, document: bytes) -> Fitted | None:
        """The document with each value that doesn't fit moved below `wiz.<stream>.unmapped`; None when all fit.

        The key there is the field's path; several values of one path become a list.
        """
        walk = _Walk(self._types, self._objects)
        fitted = walk.keys("", orjson.loads(document))
        if not walk.moved:
            return None
        self._add(fitted, walk.moved)
        return Fitted(orjson.dumps(fitted), walk.drift)

    def _add(self, document: dict[str, Any], moved: dict[str, list[Any]]) -> None:
        *parents, last = self._unmapped
        for name in parents:
            document = _object_in(document, name)
        there = document.get(last) or {}
        if isinstance(there, dict):
            document[last] = there
        else:  # a list of objects, which has no place for keys
            document[last] = {".".join(self._unmapped): there}
        for path, values in moved.items():
            _add(document[last], path, values)


class _Walk:
    """One way through a document; `moved` is what was taken out of it by path."""

    def __init__(self, types: dict[str, str], objects: set[str]) -> None:
        self._types = types
        self._objects = objects
        self.moved: dict[str, list[Any]] = {}
        self.drift: Counter[str] = Counter()

    def keys(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        """What stays of an object at a path."""
        kept = {}
        for key, below in value.items():
            name = f"{path}.{key}" if path else key
            left = self._part(name, below) if self._is_taken(path, key) else self._move("unknown key", name, below)
            if left is not NOTHING:
                kept[key] = left
        return kept

    def _part(self, path: str, value: Any) -> Any:
        if isinstance(value, list):
            left = [kept for item in value if (kept := self._part(path, item)) is not NOTHING]
            return left if left or not value else NOTHING
        if value is None:
            return value
        if path in self._objects:
            if not isinstance(value, dict):
                return self._move("wrong type", path, value)
            kept = self.keys(path, value)
            return kept if kept or not value else NOTHING
        kind = self._types.get(path)
        return value if kind is None or is_readable(kind, value) else self._move("wrong type", path, value)

    def _is_taken(self, path: str, key: str) -> bool:
        """Whether Elasticsearch takes the key: it reads dots as objects in each other, and none may be without a name.

        Keys in what the table doesn't name are never read, so they may be anything.
        """
        *parents, last = key.split(".")
        for part in parents:
            path = f"{path}.{part}" if path else part
            if not part.strip() or path in self._types:
                return False
        return bool(last.strip())

    def _move(self, kind: str, path: str, value: Any) -> Any:
        self.moved.setdefault(path, []).append(value)
        self.drift[f"{kind}: {path if kind == 'wrong type' else path[:LONGEST_NAME]}"] += 1
        return NOTHING


def _object_in(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The object under a name, made if it is missing; where several stand in a list, one more."""
    there = document.get(name)
    if isinstance(there, dict):
        return there
    made: dict[str, Any] = {}
    if isinstance(there, list):
        there.append(made)
    else:
        document[name] = made
    return made


def _add(unmapped: dict[str, Any], path: str, values: list[Any]) -> None:
    if path in unmapped:
        there = unmapped[path]
        values = [*(there if isinstance(there, list) else [there]), *values]
    unmapped[path] = values if len(values) > 1 else values[0]
