"""How often something is tried and how long is waited in between."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wiz_dagster.elasticsearch.client import translated
from wiz_dagster.errors import TransientError

T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """Attempts in all, and a random pause before each further one below a bound that doubles (seconds)."""

    attempts: int = 9
    first: float = 0.5
    most: float = 30.0

    def pause(self, retry: int) -> float:
        """Seconds to wait before the given retry, counted from 1."""
        return random.SystemRandom().uniform(0, min(self.most, self.first * 2 ** (retry - 1)))

    def patiently(self, read: Callable[[], T]) -> T:
        """The result of a call that may safely be repeated; its errors in our words, a transient one when all fail."""
        for retry in range(1, self.attempts):
            try:
                with translated():
                    return read()
            except TransientError:
                time.sleep(self.pause(retry))
        with translated():
            return read()
