"""What one check of the doctor found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wiz_dagster.errors import WizDagsterError


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it will do, what was found and, if it won't do, what to do."""

    name: str
    ok: bool
    detail: str

    def line(self) -> str:
        """As printed; one line whatever the detail holds."""
        return f"{'ok  ' if self.ok else 'FAIL'} {self.name}: {' '.join(self.detail.split())}"


def find(name: str, ask: Callable[[], str]) -> Finding:
    """What `ask` says, or the sentence of the error it ends with; the doctor outlives what it finds."""
    try:
        return Finding(name, True, ask())
    except WizDagsterError as error:
        return Finding(name, False, str(error))
    except OSError as error:
        return Finding(name, False, f"{error.filename or 'a file'} can't be used: {error.strerror or error}.")
