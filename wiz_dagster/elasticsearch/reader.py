"""Stored documents back as frames: a page a frame, nested objects as dotted columns.

For the IO managers' `load_input`. What the data stream's mapping holds as one open value stays one cell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pandas as pd
from elasticsearch import Elasticsearch

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import ecs_fields
from wiz_dagster.elasticsearch.client import translated
from wiz_dagster.elasticsearch.scan import of_partition, pages, point_in_time

PAGE = 1000
OPEN_TYPES = frozenset({"flattened", "nested"})


@dataclass(frozen=True)
class StoredFrames:
    """The documents of some partitions in Elasticsearch; each iteration reads them anew, one page in memory.

    A frame has a row a document, indexed by `_id`, and a column a path, None where a document has nothing there.
    Iterating raises PermanentError or TransientError when Elasticsearch can't be read completely.
    """

    open_client: Callable[[], AbstractContextManager[Elasticsearch]]
    dataset: Dataset
    stream: str
    days: Sequence[str]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        closed = open_fields(self.dataset)
        with translated(), self.open_client() as client, point_in_time(client, self.stream) as point:
            for day in self.days if point else ():
                for hits in pages(client, str(point), of_partition(day), PAGE, source=True):
                    index = pd.Index([hit["_id"] for hit in hits], dtype=object, name="_id")
                    yield documents_frame([hit["_source"] for hit in hits], index, closed)


def open_fields(dataset: Dataset) -> frozenset[str]:
    """The fields whose objects are one value: key-value sets and lists of objects."""
    known = ecs_fields()
    kinds = {field.name: field.type or known[field.name].type for field in dataset.fields()}
    return frozenset(name for name, kind in kinds.items() if kind in OPEN_TYPES)


def documents_frame(documents: Sequence[Mapping[str, Any]], index: pd.Index, closed: frozenset[str]) -> pd.DataFrame:
    """A frame of documents: dotted columns in sorted order, dtype object."""
    rows = [dict(_leaves(document, "", closed)) for document in documents]
    paths = sorted({path for row in rows for path in row})
    columns = {path: [row.get(path) for row in rows] for path in paths}
    return pd.DataFrame(columns, index=index, dtype=object)


def _leaves(value: Mapping[str, Any], prefix: str, closed: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, dict) and path not in closed:
            yield from _leaves(inner, f"{path}.", closed)
        else:
            yield path, inner
