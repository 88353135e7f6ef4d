"""The landing zone: lands fetches of a day so that nothing captured is lost, and opens landed days for reading.

Parts are written first, the manifest last and by compare-and-swap; before that no reader sees anything. Receipts and
dead letters, which destinations keep beside a day, are in modules of their own.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.landing_run import FetchFigures, LandingRun, LandReport, Nodes
from wiz_dagster.landing.manifest import FetchInfo, Manifest, PartRecord, Tenant, part_files
from wiz_dagster.landing.parts import ASIDE
from wiz_dagster.landing.stamps import stamp_of
from wiz_dagster.landing.store import Store, open_store
from wiz_dagster.settings import read_landing_settings

# Longer than any run: a part younger than this may belong to a run that is still writing.
SWEEP_AGE = timedelta(days=1)
_DATASET = re.compile(r"[a-z][a-z0-9_]*")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TENANT_FILE = "tenant.json"
_ATTEMPTS = 20


class LandingZone:
    """The landing zone in `store`; `tenant` None only reads, and reads whatever tenant's it is."""

    def __init__(self, store: Store, tenant: Tenant | None) -> None:
        self.store = store
        self._tenant = tenant

    def day(self, dataset: str, day: str) -> LandedDay:
        """The day as landed so far; PermanentError when it never was, or belongs to another tenant."""
        self._check_tenant()
        folder = day_folder(dataset, day)
        manifest, _ = self._manifest(folder)
        if manifest is None:
            raise PermanentError(
                f"{dataset} of {day} was never landed in {self.store.url}: materialize wiz/raw/{dataset} first."
            )
        return LandedDay(self.store, folder, manifest)

    def generation(self, dataset: str, day: str) -> int:
        """The day's generation at this moment."""
        return self.day(dataset, day).generation

    def days(self, dataset: str) -> list[str]:
        """The landed days of a dataset, ascending."""
        names = [name for name in self.store.list(dataset_folder(dataset)) if _DAY.fullmatch(name)]
        return [name for name in names if self.store.exists(f"{dataset}/{name}/manifest.json")]

    def land(
        self,
        dataset: str,
        day: str,
        nodes: Nodes,
        fetch: FetchInfo,
        figures: FetchFigures,
        version_field: str | None,
        *,
        snapshot: bool = False,
        by_content: bool = False,
    ) -> LandReport:
        """Merge a fetch of the day: store the lines that are new, record the fetch, lose nothing landed before.

        A `snapshot` is a sweep of all there is at a moment: it takes the place of the day's sweep before. `by_content`:
        two nodes are the same only if all of them is, whatever their ids.

        `figures` is read after `nodes` is exhausted, so it may be filled while they are drawn. Raises PermanentError
        for another tenant's zone, a full or read-only disk; an error out of `nodes` passes, with nothing landed.
        """
        tenant = self._claimed_tenant()
        folder = day_folder(dataset, day)
        manifest, stored = self._manifest(folder)
        landed = _merged_into(manifest, snapshot)
        run = LandingRun(self.store, folder, landed, fetch, version_field, by_content=by_content)
        try:
            run.write(nodes)
        except BaseException:
            run.discard()
            raise
        landing_id = secrets.token_hex(8)
        for _ in range(_ATTEMPTS):
            run.check_parts()
            base = manifest or Manifest(tenant=tenant, dataset=dataset, day=day)
            add = base.with_sweep if snapshot else base.with_fetch
            merged = add(run.record(landing_id, figures), run.parts)
            if self.store.replace_if(f"{folder}/manifest.json", merged.to_json(), stored):
                break
            manifest, stored = self._manifest(folder)
            if manifest is not None and landing_id in {known.landing_id for known in manifest.fetches}:
                merged = manifest  # the replacement had succeeded, only its answer was lost
                break
            run.merge_again(_merged_into(manifest, snapshot))
        else:
            raise TransientError(f"{dataset} of {day} is being landed by too many runs at once: run it again.")
        self.sweep(dataset, day)
        return run.report(merged.generation)

    def sweep(self, dataset: str, day: str) -> list[str]:
        """Delete the day's parts and temporary files that are older than a day and that no manifest names."""
        folder = day_folder(dataset, day)
        horizon = datetime.now(UTC) - SWEEP_AGE
        # Listed before the manifest is read: what is listed and lands meanwhile is then in the manifest.
        names = [name for name in self.store.list(folder) if not name.endswith(ASIDE)]
        old = [name for name in names if (stamp := stamp_of(name)) is not None and stamp < horizon]
        if not old:
            return []
        manifest, _ = self._manifest(folder)
        named = part_files((*manifest.parts, *manifest.superseded)) if manifest else set()
        swept = [name for name in old if name not in named]
        for name in swept:
            self.store.delete(f"{folder}/{name}")
        return swept

    def check_writable(self) -> None:
        """Compare the tenant, write and delete a small file; raises what a landing would raise.

        PermanentError also when the store ignores conditional writes, as some S3-compatible ones do.
        """
        self._check_tenant()
        probe = f".probe-{secrets.token_hex(4)}"
        self.store.put(probe, b"1")
        replaced = self.store.replace_if(probe, b"2", None)
        self.store.delete(probe)
        if replaced:
            raise PermanentError(
                f"The landing zone {self.store.url} (WIZ_LANDING_URL) ignores conditional writes, so two runs of one "
                f"day at once could lose nodes: use a store that honours If-None-Match and If-Match."
            )

    def _manifest(self, folder: str) -> tuple[Manifest | None, bytes | None]:
        path = f"{folder}/manifest.json"
        try:
            stored = self.store.read(path)
        except FileNotFoundError:
            return None, None
        return Manifest.from_json(stored, f"{path} in {self.store.url}"), stored

    def _claimed_tenant(self) -> Tenant:
        if self._tenant is None:
            raise PermanentError("Landing needs to know the Wiz tenant: set WIZ_CLIENT_ID and WIZ_API_URL.")
        self.store.replace_if(_TENANT_FILE, self._tenant.to_json(), None)
        self._check_tenant()
        return self._tenant

    def _check_tenant(self) -> None:
        if self._tenant is None:
            return
        try:
            owner = Tenant.from_json(self.store.read(_TENANT_FILE), f"{_TENANT_FILE} in {self.store.url}")
        except FileNotFoundError:
            return
        if owner != self._tenant:
            raise PermanentError(
                f"The landing zone {self.store.url} holds the data of another Wiz tenant or service account (at "
                f"{owner.api_host}; this one is at {self._tenant.api_host}): set WIZ_LANDING_URL to another place, or, "
                f"if it is the same tenant with a new client id, delete {_TENANT_FILE} there."
            )


def _merged_into(manifest: Manifest | None, snapshot: bool) -> tuple[PartRecord, ...]:
    """The landed parts whose lines a fetch needn't store again."""
    return manifest.in_fetch_order() if manifest and not snapshot else ()


def open_zone(environment: Mapping[str, str], tenant: Tenant | None = None) -> LandingZone:
    """The landing zone that the settings name, of that tenant; for readers None, as whose it is doesn't matter."""
    return LandingZone(open_store(read_landing_settings(environment).url), tenant)


def day_folder(dataset: str, day: str) -> str:
    """The folder of a dataset's day below the zone's root; PermanentError when one of the two isn't valid."""
    try:
        date.fromisoformat(day)
    except ValueError:
        pass
    else:
        if _DAY.fullmatch(day):
            return f"{dataset_folder(dataset)}/{day}"
    raise PermanentError(f"{day!r} isn't a day: it has to be written YYYY-MM-DD.")


def dataset_folder(dataset: str) -> str:
    """The folder of a dataset below the zone's root; PermanentError when the name isn't valid."""
    if not _DATASET.fullmatch(dataset):
        raise PermanentError(f"{dataset!r} isn't the name of a dataset: small letters, digits and _ only.")
    return dataset
