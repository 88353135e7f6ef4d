"""Messages on their way: each is tried again with growing pauses until somebody took it or it is a day old.

A way that doesn't work keeps no other from its messages, and a tick sends only so many, so that it ends soon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from wiz_dagster.alerts.delivery import Send
from wiz_dagster.alerts.message import Message
from wiz_dagster.errors import TransientError

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=30)
GIVEN_UP = timedelta(hours=24)
MOST_LETTERS = 50
"""Kept for one way; the oldest are given up."""
MOST_SENT = 5
"""Sent over one way by a tick."""


class Letter(BaseModel, frozen=True):
    """A message that one way has still to take."""

    way: str
    message: Message
    written: datetime
    attempts: int = 0
    due: datetime


def addressed(message: Message, ways: Mapping[str, Send], now: datetime) -> list[Letter]:
    """A letter for each way."""
    return [Letter(way=way, message=message, written=now, due=now) for way in ways]


def deliver(
    letters: Sequence[Letter], ways: Mapping[str, Send], now: datetime, say: Callable[[str], None]
) -> tuple[list[Letter], int]:
    """Send what is due, oldest first; what remains, and how many were taken.

    The first failure of a way ends its turn. `say` hears what failed and what is given up.
    """
    remaining, taken = [], 0
    for name, send in ways.items():
        of_way = [letter for letter in letters if letter.way == name]
        kept = [letter for letter in of_way[-MOST_LETTERS:] if now - letter.written < GIVEN_UP]
        if len(kept) < len(of_way):
            say(f"{len(of_way) - len(kept)} messages by {name} were given up: nobody took them.")
        sent, failed = _send(kept[:MOST_SENT], send, now, say)
        taken += sent
        remaining += failed + kept[sent + len(failed) :]
    return remaining, taken


def _send(letters: Sequence[Letter], send: Send, now: datetime, say: Callable[[str], None]) -> tuple[int, list[Letter]]:
    """How many were taken, one after the other, and the one that wasn't, if any, as it is to be tried again."""
    for taken, letter in enumerate(letters):
        if letter.due > now:
            return taken, [letter]
        try:
            send(letter.message)
        except TransientError as error:
            pause = min(FIRST_PAUSE * 2 ** min(letter.attempts, 10), LONGEST_PAUSE)
            again = letter.model_copy(update={"attempts": letter.attempts + 1, "due": now + pause})
            say(f"A message by {letter.way} is tried again in {pause}: {error}")
            return taken, [again]
    return len(letters), []
