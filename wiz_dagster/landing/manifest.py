"""The manifest of a landed day: which parts count, which fetches brought them, whose tenant it is.

Only the records and their JSON form; merging and replacing a manifest is the zone's. A manifest written by a newer
format is refused, never guessed at.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Self
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wiz_dagster.errors import DamagedError, PermanentError

FORMAT = 1
KEPT_FETCHES = 50


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    def to_json(self) -> bytes:
        """The stored form."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Self:
        """Read the stored form; PermanentError naming `path` when it is damaged or of a newer format."""
        try:
            found = orjson.loads(data)
            written = found.get("format", FORMAT) if isinstance(found, dict) else FORMAT
            if isinstance(written, int) and written > FORMAT:
                raise PermanentError(
                    f"{path} is of a newer format ({written}; this version reads up to {FORMAT}): upgrade wiz-dagster."
                )
            return cls.model_validate(found)
        except (orjson.JSONDecodeError, ValidationError):
            # Without a cause: pydantic's message would quote values of the file.
            raise DamagedError(f"{path} is damaged: it can't be read as {cls.__name__}; restore it.") from None


class Tenant(_Record):
    """Whose data it is: the API's host and a hash of the client id (never the id itself)."""

    api_host: str
    client_hash: str

    @classmethod
    def of(cls, api_url: str, client_id: str) -> Self:
        """The tenant that `client_id` reads at `api_url`."""
        return cls(api_host=urlsplit(api_url).netloc, client_hash=hashlib.sha256(client_id.encode()).hexdigest())


class FetchInfo(_Record):
    """What is known of a fetch when it starts: who asked when, for which window (half open, UTC), with which query.

    `query_hash` covers the filters too: fetches of one hash ask for the same nodes.
    """

    run_id: str
    fetched_at: datetime
    window_start: datetime
    window_end: datetime
    query_hash: str


class PartRecord(FetchInfo):
    """One part and its index, and the fetch that brought them: size in bytes as stored, sha256 over the stored file."""

    name: str
    size: int
    sha256: str
    nodes: int
    index_name: str
    index_sha256: str
    generation: int = 0


def part_files(parts: Iterable[PartRecord]) -> set[str]:
    """Names of all files of `parts`, the indexes included."""
    return {name for part in parts for name in (part.name, part.index_name)}


class FetchRecord(FetchInfo):
    """One whole fetch: `nodes` came, `new_nodes` of them weren't stored yet; `wiz_count` is what Wiz counted.

    `null_nodes` are places in Wiz's lists that held nothing: nodes that exist and didn't come; `missing` are those that
    Wiz counted beyond what came.
    """

    landing_id: str
    nodes: int
    new_nodes: int
    pages: int
    requests: int
    bytes_received: int
    wiz_count: int | None
    warnings: tuple[str, ...]
    null_nodes: int = 0
    missing: int = 0

    @property
    def complete(self) -> bool:
        """Whether all came that Wiz announced."""
        return not self.null_nodes and not self.missing


class Manifest(_Record):
    """A landed day. `generation` grows by one whenever what it holds may change (0: landed, and nothing came so far).

    `superseded` are the parts of a snapshot's earlier sweeps: kept, but not part of what the day holds.
    `covered` tells by query hash up to when complete fetches have asked for the day, from its start on without a gap;
    it stands by itself since only the last fetches are kept.
    """

    format: int = FORMAT
    tenant: Tenant
    dataset: str
    day: str
    generation: int = 0
    parts: tuple[PartRecord, ...] = ()
    fetches: tuple[FetchRecord, ...] = ()
    superseded: tuple[PartRecord, ...] = ()
    covered: dict[str, datetime] = Field(default_factory=dict)

    def with_fetch(self, fetch: FetchRecord, parts: tuple[PartRecord, ...]) -> "Manifest":
        """This manifest after one more fetch, which added `parts` (perhaps none)."""
        generation = self.generation + bool(parts)
        added = tuple(part.model_copy(update={"generation": generation}) for part in parts)
        return self.model_copy(
            update={
                "generation": generation,
                "parts": (*self.parts, *added),
                "fetches": (*self.fetches, fetch)[-KEPT_FETCHES:],
                "covered": {**self.covered, **self._covered_by(fetch)},
            }
        )

    def with_sweep(self, sweep: FetchRecord, parts: tuple[PartRecord, ...]) -> "Manifest":
        """This manifest after one more sweep of a snapshot: the latest begun is what the day holds, nothing else."""
        fetches = (*self.fetches, sweep)[-KEPT_FETCHES:]
        if any(earlier.fetched_at > sweep.fetched_at for earlier in self.fetches):
            return self.model_copy(update={"fetches": fetches, "superseded": (*self.superseded, *parts)})
        generation = self.generation + 1
        return self.model_copy(
            update={
                "generation": generation,
                "parts": tuple(part.model_copy(update={"generation": generation}) for part in parts),
                "fetches": fetches,
                "superseded": (*self.superseded, *self.parts),
            }
        )

    def _covered_by(self, fetch: FetchRecord) -> dict[str, datetime]:
        start = datetime.combine(date.fromisoformat(self.day), datetime.min.time(), UTC)
        until = self.covered.get(fetch.query_hash, start)
        if fetch.complete and fetch.window_start <= until:
            return {fetch.query_hash: max(until, fetch.window_end)}
        return {}

    def in_fetch_order(self) -> tuple[PartRecord, ...]:
        """The parts, the earliest fetched first: concurrent runs may have landed in another order."""
        return tuple(sorted(self.parts, key=lambda part: part.fetched_at))
