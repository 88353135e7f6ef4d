"""The tables of docs/conformance.md, which the tests hold the program to."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of docs/conformance.md."""
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    lines = next(part for part in section if part.startswith(heading)).splitlines()
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]
