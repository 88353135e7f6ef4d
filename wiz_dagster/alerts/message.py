"""The words of a message, the same for the webhook and for mail: what failed, on which days, why, and what mends it.

Causes come in as sentences without payload; nothing else that a run said is repeated here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel

from wiz_dagster.alerts.memory import Told, Trouble

MOST_PARAGRAPHS = 10
"""Paragraphs of one message; what is told besides is named in one more."""
MOST_NAMES = 8
MOST_NAMED_DAYS = 3
MOST_PARTITIONS = 31
"""Days that a command names one by one."""
LONGEST = 300
ORDER = ("Failed", "Check failed", "Stale", "Warning", "Well again")
_SENTENCE = re.compile(r".+?[.!?](?=\s|$)")


class Message(BaseModel, frozen=True):
    """A line that says all in short, and the rest, a paragraph a failure."""

    title: str
    body: str


def first_sentence(text: str) -> str:
    """The first sentence of a text, in one line, cut where it is too long."""
    line = " ".join(text.split())
    found = _SENTENCE.match(line)
    return _cut(found[0] if found else line)


def message(told: Sequence[Told], dagster_url: str | None) -> Message:
    """One message of all that is to be told now; what failed on the same days of the same cause shares a paragraph."""
    alike: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Told]] = {}
    for one in sorted(told, key=lambda one: ORDER.index(_word(one))):
        alike.setdefault((_word(one), tuple(one.days), tuple(cause.cause for cause in one.causes)), []).append(one)
    heads = [_head(word, days, same) for (word, days, _), same in alike.items()]
    details = [_details(same[0], dagster_url) for same in alike.values()]
    if len(heads) == 1:
        return Message(title=heads[0], body=details[0])
    paragraphs = [f"{head}\n{detail}".rstrip() for head, detail in zip(heads, details, strict=True)]
    if len(heads) > MOST_PARAGRAPHS:
        more = heads[MOST_PARAGRAPHS:]
        paragraphs[MOST_PARAGRAPHS:] = [_cut(f"And {len(more)} more: {'; '.join(more)}")]
    return Message(title=f"{_cut(heads[0])}; {len(heads) - 1} more", body="\n\n".join(paragraphs))


def _word(one: Told) -> str:
    if one.well:
        return "Well again"
    if one.kind == "stale":
        return "Stale"
    if one.kind == "run":
        return "Failed"
    return "Warning" if all(cause.warning for cause in one.causes) else "Check failed"


def _head(word: str, days: Sequence[str], same: Sequence[Told]) -> str:
    names = [one.name for one in same]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{word}: {', '.join(names[:MOST_NAMES])}{more}{_on(sorted(filter(None, days)))}"


def _on(days: Sequence[str]) -> str:
    if not days:
        return ""
    if len(days) <= MOST_NAMED_DAYS:
        return f" on {', '.join(days)}"
    return f" on {len(days)} days, {days[0]} to {days[-1]}"


def _details(one: Told, dagster_url: str | None) -> str:
    """Why, where to look, and what to do."""
    lines = [f"{cause.day}: {cause.cause}" if len(one.days) > 1 else cause.cause for cause in one.causes]
    run = next((cause for cause in one.causes if cause.run_id), None)
    if run:
        where = f"{dagster_url}/runs/{run.run_id}" if dagster_url else run.run_id
        lines.append(f"Run: {where} ({run.job})")
    command = _command(one.causes, sorted(filter(None, one.days)))
    return "\n".join([*lines, f"Once mended: `{command}`"] if command else lines)


def _command(causes: Sequence[Trouble], days: Sequence[str]) -> str:
    """What runs the failed days again; empty where the trouble says no job."""
    job = next((cause.mend for cause in causes if cause.mend), "")
    if not job:
        return ""
    if not days:
        return f"dagster job execute -m wiz_dagster.definitions -j {job}"
    chosen = f"--partitions {','.join(days)}" if len(days) <= MOST_PARTITIONS else f"--from {days[0]} --to {days[-1]}"
    return f"dagster job backfill -w workspace.yaml -j {job} {chosen} --noprompt"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
