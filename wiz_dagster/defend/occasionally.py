"""Something costly that many may ask for: done once for all who ask within a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Occasionally(Generic[T]):
    """Gives what `do` gave when it last was done, if that is not longer ago than `seconds`; one at a time does it."""

    def __init__(self, seconds: float, do: Callable[[], Awaitable[T]]) -> None:
        self._seconds = seconds
        self._do = do
        self._done: tuple[float, T] | None = None
        self._lock = asyncio.Lock()

    async def __call__(self) -> T:
        """What was given last time, or now."""
        async with self._lock:
            if self._done is None or time.monotonic() - self._done[0] > self._seconds:
                result = await self._do()
                self._done = (time.monotonic(), result)
            return self._done[1]
