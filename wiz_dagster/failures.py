"""How this package's errors become Dagster's.

A permanent error ends the step without the retry policy's attempts; a transient one is left to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from wiz_dagster.errors import PermanentError, TransientError


@contextmanager
def dagster_failures() -> Iterator[None]:
    """Around the body of an asset or IO manager: PermanentError ends as `dagster.Failure` that isn't retried.

    What caused an error is cut off: Dagster stores the whole chain, and a library's exception may quote findings.
    """
    try:
        yield
    except PermanentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    except TransientError as error:
        error.__cause__, error.__suppress_context__ = None, True
        raise
