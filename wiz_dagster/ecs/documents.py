"""From a frame to documents: nested by the columns' dotted names, without empty values.

The nesting function is generated once per set of columns. Bytes are the same for equal frames: keys come in the order
of the sorted paths, inside a cell in the cell's own order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import orjson
import pandas as pd

from wiz_dagster.ecs.frames import SETTLED
from wiz_dagster.ecs.pruning import pruned_cells

Nest = Callable[[Iterable[tuple[Any, ...]]], Iterator[dict[str, Any]]]


def frame_documents(frame: pd.DataFrame) -> Iterator[bytes]:
    """The document of each row as JSON bytes, in row order."""
    return map(orjson.dumps, iter_documents(frame))


def iter_documents(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The document of each row, in row order, without None, "", [] and {} at any level.

    Raises:
        ValueError: one column's path is the beginning of another's.
    """
    settled = frame.attrs.get(SETTLED, ())
    columns = zip(frame.columns, frame.to_numpy(dtype=object).T.tolist(), strict=True)
    cells = {path: values if path in settled else pruned_cells(values) for path, values in columns}
    paths = tuple(sorted(frame.columns))
    return nesting(paths)(zip(*map(cells.__getitem__, paths), strict=True))


@lru_cache(maxsize=64)
def nesting(paths: tuple[str, ...]) -> Nest:
    """The function that makes nested documents of rows with these columns (sorted dotted paths).

    Raises:
        ValueError: one path is the beginning of another.
    """
    tree: dict[str, Any] = {}
    for number, path in enumerate(paths):
        *parents, leaf = path.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise ValueError(f"Column {path} lies below another column's path.")  # noqa: TRY004
        if leaf in branch:
            raise ValueError(f"Column {path} is there twice or lies above another column's path.")
        branch[leaf] = number
    names = "".join(f"c{number}, " for number in range(len(paths)))
    body = ["def nest(rows):", f"    for ({names}) in rows:", *_lines(tree, "d"), "        yield d"]
    namespace: dict[str, Any] = {}
    # Made of our own column names, each quoted by repr: three times faster than a loop over paths.
    exec("\n".join(body), namespace)  # noqa: S102
    nest: Nest = namespace["nest"]
    return nest


def _lines(branch: dict[str, Any], name: str) -> list[str]:
    """Statements that fill the object `name` with what is not empty (0 and False aren't)."""
    lines = [f"        {name} = {{}}"]
    for number, (key, below) in enumerate(branch.items()):
        if isinstance(below, dict):
            child = f"{name}_{number}"
            lines += _lines(below, child)
            lines.append(f"        if {child}: {name}[{key!r}] = {child}")
        else:
            cell = f"c{below}"
            lines.append(f"        if {cell} or {cell} is not None and {cell} == 0: {name}[{key!r}] = {cell}")
    return lines
