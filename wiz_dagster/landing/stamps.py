"""Times inside file names ("20261124T064553123456Z"), which sort as text and outlive any copying of the files."""

import re
from datetime import UTC, datetime

_FORMAT = "%Y%m%dT%H%M%S%fZ"
_STAMP = re.compile(r"\d{8}T\d{12}Z")


def new_stamp() -> str:
    """Now, to the microsecond."""
    return datetime.now(UTC).strftime(_FORMAT)


def stamp_of(name: str) -> datetime | None:
    """The last time that a file's name holds, or None."""
    found = _STAMP.findall(name)
    return datetime.strptime(found[-1], _FORMAT).replace(tzinfo=UTC) if found else None
