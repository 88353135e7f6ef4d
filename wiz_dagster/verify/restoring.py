"""Mending a landed day's files: an index made anew of its part, a part fetched anew from Wiz.

A damaged part leaves the manifest only in the same step in which all that the day's documents need of it has come back;
until then the day stays unreadable, and so nothing of it is deleted from Elasticsearch. Damaged files are kept aside.
"""

import secrets
from collections.abc import Callable, Sequence
from hashlib import sha256

import orjson

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.landing_run import LandingRun
from wiz_dagster.landing.manifest import FetchRecord, Manifest, PartRecord
from wiz_dagster.landing.node_index import content_hash, content_key, node_key
from wiz_dagster.landing.parts import ASIDE, read_lines
from wiz_dagster.landing.raw_day import RawDay
from wiz_dagster.landing.store import Store
from wiz_dagster.landing.zone import LandingZone, day_folder
from wiz_dagster.verify.damage import Damage, healthy

ATTEMPTS = 20

Needed = Callable[[Manifest, Damage], bool]
"""Whether the manifest's other parts lack something of a damaged one."""


def restore_index(store: Store, folder: str, dataset: Dataset, part: PartRecord) -> bool:
    """Makes the damaged index of a whole part anew; False when that isn't the one that the manifest knows."""
    index = b"".join(_entry(dataset, line) for line in read_lines(store, folder, part))
    if sha256(index).hexdigest() != part.index_sha256:
        return False
    _keep_aside(store, f"{folder}/{part.index_name}")
    store.put(f"{folder}/{part.index_name}", index)
    return True


def fetch_again(zone: LandingZone, raw: RawDay, damaged: Sequence[Damage], is_needed: Needed) -> list[Damage]:
    """Asks Wiz for the day and lands what the whole parts lack; returns the damaged parts that are still needed.

    The others are out of the manifest. Raises what fetching and landing raise, with nothing landed.
    """
    landing = _Landing(zone, raw, damaged)
    given_up = landing.run(is_needed)
    folder = day_folder(raw.dataset.name, raw.day)
    for damage in given_up:
        for name in damage.files:
            _keep_aside(zone.store, f"{folder}/{name}")
        for name in (damage.part.name, damage.part.index_name):
            zone.store.delete(f"{folder}/{name}")
    return [damage for damage in damaged if damage not in given_up]


class _Landing:
    """One landing of the day as if the damaged parts weren't there."""

    def __init__(self, zone: LandingZone, raw: RawDay, damaged: Sequence[Damage]) -> None:
        self._zone = LandingZone(zone.store, raw.tenant)
        self._store = zone.store
        self._raw = raw
        self._damaged = damaged
        self._path = f"{day_folder(raw.dataset.name, raw.day)}/manifest.json"

    def run(self, is_needed: Needed) -> list[Damage]:
        """Lands, and takes out of the manifest what isn't needed any more; returns that."""
        manifest, stored = self._manifest()
        dataset = self._raw.dataset
        run = LandingRun(
            self._store,
            day_folder(dataset.name, self._raw.day),
            self._landed(manifest),
            self._raw.fetch_info(),
            dataset.version_field,
            by_content=dataset.pushed,
        )
        try:
            with self._raw.opened() as source:
                run.write(source)
        except BaseException:
            run.discard()
            raise
        landing_id = secrets.token_hex(8)
        for _ in range(ATTEMPTS):
            run.check_parts()
            merged = self._merged(manifest, run.record(landing_id, source.report), run.parts)
            given_up = [damage for damage in self._damaged if not is_needed(merged, damage)]
            replacement = _without(merged, given_up, manifest.generation)
            if self._store.replace_if(self._path, replacement.to_json(), stored):
                return given_up
            manifest, stored = self._manifest()
            if landing_id in {known.landing_id for known in manifest.fetches}:
                return given_up  # the replacement had succeeded, only its answer was lost
            run.merge_again(self._landed(manifest))
        raise TransientError(f"{dataset.name} of {self._raw.day} is being landed by too many runs at once.")

    def _manifest(self) -> tuple[Manifest, bytes]:
        self._zone.generation(self._raw.dataset.name, self._raw.day)  # refuses another tenant's zone
        stored = self._store.read(self._path)
        return Manifest.from_json(stored, f"{self._path} in {self._store.url}"), stored

    def _landed(self, manifest: Manifest) -> tuple[PartRecord, ...]:
        """The whole parts whose lines needn't be stored again."""
        return () if self._raw.dataset.snapshot else healthy(manifest, self._damaged).in_fetch_order()

    def _merged(self, manifest: Manifest, fetch: FetchRecord, parts: tuple[PartRecord, ...]) -> Manifest:
        add = manifest.with_sweep if self._raw.dataset.snapshot else manifest.with_fetch
        return add(fetch, parts)


def _without(manifest: Manifest, given_up: Sequence[Damage], before: int) -> Manifest:
    """The manifest without parts, its generation another than the one before."""
    if not given_up:
        return manifest
    generation = max(manifest.generation, before + 1)
    return healthy(manifest, given_up).model_copy(update={"generation": generation})


def _entry(dataset: Dataset, line: bytes) -> bytes:
    """A line's entry in the index, as landing made it."""
    content = content_hash(line)
    key = content_key(content) if dataset.pushed else node_key(orjson.loads(line), content, dataset.version_field)
    return key + content


def _keep_aside(store: Store, path: str) -> None:
    try:
        store.put(f"{path}{ASIDE}", store.read(path))
    except FileNotFoundError:
        return
