"""Python's garbage collector while many documents are made.

Nodes and documents hold no cycles, yet each batch of them sets off collections that walk everything alive: measured on
issues, a quarter of the time, and half of it where Dagster is loaded. Whoever makes documents in bulk does it inside
`rare_collections()`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect seldom inside the block; the thresholds from before hold again after it."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
