"""The few pieces of Markdown that the reference pages are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence


def code(text: str) -> str:
    """A name in the text."""
    return f"`{text}`"


def codes(items: Iterable[str]) -> str:
    """Names in the text."""
    return ", ".join(map(code, items))


def fenced(value: object) -> str:
    """A block of JSON, keys sorted."""
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=dict)}\n```"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; pipes and line ends in cells are taken care of."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def paragraphs(parts: Iterable[str]) -> str:
    """A whole file."""
    return "\n\n".join(parts) + "\n"


def _cell(cell: object) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")
