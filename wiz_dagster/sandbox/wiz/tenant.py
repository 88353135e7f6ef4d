"""A whole Wiz tenant: for each dataset a source of nodes, and one clock.

Generated nodes follow from the seed, the dataset and their number alone, so any page of millions costs the same. The
clock stands still unless it is live (see `clock.py`); what lies after its "now" doesn't exist yet.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from wiz_dagster.errors import SettingsError
from wiz_dagster.sandbox.wiz.changing import ChangingSource, Hurry
from wiz_dagster.sandbox.wiz.clock import Clock
from wiz_dagster.sandbox.wiz.hashing import stream_key
from wiz_dagster.sandbox.wiz.late import LateSource
from wiz_dagster.sandbox.wiz.roots import BY_DATASET, GIVEN_COLUMNS, ROOTS, Root
from wiz_dagster.sandbox.wiz.source import GivenSource, Node, Source
from wiz_dagster.sandbox.wiz.times import micros

DEFAULT_VOLUMES: dict[str, int] = {
    "audit": 1200,
    "issue": 800,
    "vulnerability": 900,
    "cloud_configuration_finding": 300,
    "detection": 120,
}
_LARGEST_VOLUME = 50_000_000


class Tenant:
    """Generated nodes of `days` days up to `now` (today included), `volumes` of each dataset a day.

    `given` replaces a dataset's generated nodes. With `live` the clock starts at `now` and runs. With `late` Wiz tells
    of some nodes late; `hurry` is a time in which more of the findings and issues change.
    """

    def __init__(
        self,
        *,
        now: datetime,
        seed: int = 1,
        days: int = 30,
        volumes: Mapping[str, int] = DEFAULT_VOLUMES,
        given: Mapping[str, Sequence[Node]] | None = None,
        live: bool = False,
        late: bool = False,
        hurry: Hurry | None = None,
    ) -> None:
        """SettingsError for an unknown dataset, or figures that make no tenant."""
        unknown = sorted({*volumes, *(given or {})} - set(BY_DATASET))
        if unknown:
            raise SettingsError(f"The emulator has no dataset {unknown[0]!r}. It has {', '.join(sorted(BY_DATASET))}.")
        if days < 1 or any(not 1 <= volume <= _LARGEST_VOLUME for volume in volumes.values()):
            raise SettingsError(f"A generated tenant has at least one day, and 1 to {_LARGEST_VOLUME:,} nodes a day.")
        self.seed = seed
        self.days = days
        self.clock = Clock(now, live=live)
        first_day = micros(
            datetime.combine(now.astimezone(UTC).date() - timedelta(days=days - 1), datetime.min.time(), UTC)
        )
        drawn = DEFAULT_VOLUMES | {BY_DATASET[name].dataset: volume for name, volume in volumes.items()}
        handed = {BY_DATASET[name].dataset: nodes for name, nodes in (given or {}).items()}
        self._sources: dict[str, Source] = {
            root.dataset: GivenSource(handed[root.dataset], GIVEN_COLUMNS[root.dataset])
            if root.dataset in handed
            else _generated(root, seed, first_day, drawn[root.dataset], hurry, late=late)
            for root in ROOTS
        }

    @property
    def now(self) -> datetime:
        """The tenant's present moment, UTC."""
        return self.clock.now

    def source(self, dataset: str) -> Source:
        """The nodes of a dataset; two that read the same root have the same."""
        return self._sources[BY_DATASET[dataset].dataset]


def _generated(root: Root, seed: int, first_day: int, volume: int, hurry: Hurry | None, *, late: bool) -> Source:
    source = root.generate(stream_key(seed, root.dataset), first_day, volume)
    if isinstance(source, ChangingSource):
        source.hurry = hurry
    return LateSource(source) if late else source
