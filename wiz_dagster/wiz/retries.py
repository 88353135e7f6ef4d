"""How long to wait before an attempt is repeated: exponential with full jitter, so that threads don't march in step."""

import random

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0


def delay(failed: int) -> float:
    """Seconds to wait after the `failed`-th failed attempt (from 1)."""
    return random.uniform(0, ceiling(failed))  # noqa: S311 - spreads load, guards nothing


def ceiling(failed: int) -> float:
    """The longest such wait."""
    return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (failed - 1)))
