"""Looking through a landed day's files: every part and index that its manifest names, read to the end."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.manifest import Manifest, PartRecord
from wiz_dagster.landing.parts import read_index, read_lines
from wiz_dagster.landing.store import Store


@dataclass(frozen=True)
class Damage:
    """A part of which a file is missing or isn't as it was written.

    `lines` and `index` say which of the two; `current`: the day's documents are made of it (not of a later sweep's).
    """

    part: PartRecord
    lines: bool
    index: bool
    current: bool

    @property
    def files(self) -> list[str]:
        """The names of the damaged files."""
        return [self.part.name] * self.lines + [self.part.index_name] * self.index


def damages(store: Store, folder: str, manifest: Manifest) -> list[Damage]:
    """The damaged parts of a day, those of a snapshot's earlier sweeps too; raises the store's errors but damage."""
    found = [
        Damage(part, _damaged_lines(store, folder, part), _damaged_index(store, folder, part), part in manifest.parts)
        for part in (*manifest.parts, *manifest.superseded)
    ]
    return [one for one in found if one.lines or one.index]


def healthy(manifest: Manifest, damaged: Iterable[Damage]) -> Manifest:
    """The manifest without the damaged parts, as it is nowhere stored."""
    names = {damage.part.name for damage in damaged}
    return manifest.model_copy(
        update={
            "parts": tuple(part for part in manifest.parts if part.name not in names),
            "superseded": tuple(part for part in manifest.superseded if part.name not in names),
        }
    )


def _damaged_lines(store: Store, folder: str, part: PartRecord) -> bool:
    try:
        deque(read_lines(store, folder, part), maxlen=0)
    except DamagedError:
        return True
    return False


def _damaged_index(store: Store, folder: str, part: PartRecord) -> bool:
    try:
        read_index(store, folder, part)
    except DamagedError:
        return True
    return False
