"""The receiver's log on standard error: lines of its own, warnings of libraries, and of an exception only its place.

An exception's message may hold the payload that caused it, and its trace lines of this program; neither is written.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType


class PlaceOnly(logging.Formatter):
    """Writes an exception as its type and where it was raised."""

    def formatException(  # noqa: N802 - the name is logging's
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """One line, without the exception's message."""
        frames = traceback.extract_tb(ei[2])
        place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return f"{ei[0].__name__ if ei[0] else 'no exception'}{place}"


def log_to_stderr() -> None:
    """Send all that is logged in this process to standard error, ours from INFO, of others warnings and errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlaceOnly("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("wiz_dagster").setLevel(logging.INFO)
    # What uvicorn warns of, a refused request each, is counted and told here, not once for each of a flood.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
