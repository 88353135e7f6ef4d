"""Documents that a destination refused, one NDJSON file per dataset, day and namespace, replaced by each write.

Each line holds the document, so that it can be looked at and sent again; the node it was made from stays in the
landed parts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

import orjson

from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.zone import LandingZone, day_folder

# Of a day whose every document is refused, the first are enough to see why; the later lines go without the document.
KEPT_DOCUMENT_BYTES = 32_000_000


@dataclass(frozen=True)
class DeadLetter:
    """One refused document: its id, HTTP-like status, the destination's error type and reason, its JSON bytes."""

    id: str
    status: int
    type: str
    reason: str
    document: bytes | None


def write_dead_letters(
    zone: LandingZone, dataset: str, day: str, namespace: str, letters: Iterable[DeadLetter]
) -> str | None:
    """Replace the file by `letters`; with none there is no file afterwards. Returns the file's path in the zone."""
    path = _path(dataset, day, namespace)
    text = BytesIO()
    kept = 0
    for letter in letters:
        document = letter.document
        kept += len(document or b"")
        text.write(
            orjson.dumps(
                {
                    "id": letter.id,
                    "status": letter.status,
                    "type": letter.type,
                    "reason": letter.reason,
                    "document": orjson.Fragment(document) if document and kept <= KEPT_DOCUMENT_BYTES else None,
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
        )
    if not text.tell():
        zone.store.delete(path)
        return None
    zone.store.put(path, text.getvalue())
    return path


def read_dead_letters(zone: LandingZone, dataset: str, day: str, namespace: str) -> Iterator[DeadLetter]:
    """The letters of the last write, none when nothing was refused; DamagedError when the file is damaged."""
    path = _path(dataset, day, namespace)
    try:
        data = zone.store.read(path)
    except FileNotFoundError:
        return
    for line in data.splitlines():
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise DamagedError(f"{path} in {zone.store.url} is damaged: delete it and write the day again.") from error
        document = None if found["document"] is None else orjson.dumps(found["document"])
        yield DeadLetter(found["id"], found["status"], found["type"], found["reason"], document)


def _path(dataset: str, day: str, namespace: str) -> str:
    return f"{day_folder(dataset, day)}/dead-letters.{namespace}.ndjson"
