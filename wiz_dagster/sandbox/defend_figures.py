"""Webhook events in the demo: what was sent each way beside what the destination holds, and what the runs recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

UNAUTHORIZED = 401


@dataclass(frozen=True)
class WayFigures:
    """A row of the demo's table of webhook events.

    Attributes:
        events: of the bodies, told by `wiz/defend_truth.py`; what is sent again has none.
        accepted: bodies that were answered with 2xx.
        documents: that the destination holds of what was sent this way.
        refusal: the status for whoever doesn't know the secret; None where such a connection ends before.
        refuses: whether the receiver asks for a secret at all.
    """

    way: str
    bodies: int
    events: int
    redelivered: int
    accepted: int
    documents: int
    refusal: int | None
    refuses: bool

    def problems(self) -> Iterator[str]:
        """A sentence for each figure that doesn't agree with what was sent."""
        where = f"webhook, {self.way}"
        if self.accepted != self.bodies + self.redelivered:
            yield f"{where}: {self.accepted} bodies were accepted of {self.bodies + self.redelivered}."
        if self.documents != self.events:
            yield f"{where}: there are {self.documents} documents, the bodies have {self.events} events."
        if self.refuses and self.refusal not in (UNAUTHORIZED, None):
            yield f"{where}: a wrong secret was answered with {self.refusal} instead of {UNAUTHORIZED}."


@dataclass(frozen=True)
class DefendRun:
    """A run that the sensor asked for, and what it recorded of the documents."""

    day: str
    created: int | None
    unchanged: int | None
    deleted: int | None
    rejected: int | None
    failure: str | None

    def problems(self) -> Iterator[str]:
        """A sentence if the run failed or a document was rejected."""
        if self.failure is not None:
            yield f"defend {self.day}: the run failed: {self.failure}"
        elif self.rejected:
            yield f"defend {self.day}: {self.rejected} documents were rejected."
