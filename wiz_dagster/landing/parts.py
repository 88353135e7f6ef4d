"""Parts: one zstd frame of NDJSON and its index, built in memory and put whole; and how they are read back.

Nothing is parsed before size and sha256 agree with the manifest, and a part that ends early is noticed by its number
of lines (zstd's stream reader ends quietly in the middle of a frame). Which parts count isn't known here.
"""

import io
import secrets
from collections.abc import Iterable, Iterator
from hashlib import sha256

import zstandard

from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.manifest import FetchInfo, PartRecord
from wiz_dagster.landing.node_index import ENTRY, Entries, read_entries
from wiz_dagster.landing.stamps import new_stamp
from wiz_dagster.landing.store import Store

MAX_NODES = 20_000
MAX_COMPRESSED = 4_000_000
ASIDE = ".damaged"
"""What a damaged file's name gets at its end when it is kept aside; such files are never swept."""
_LEVEL = 3
_READ_BYTES = 1 << 20


class PartBuilder:
    """Collects lines, compressed at once so that only the compressed part is held."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        self._chunks: list[bytes] = []
        self._compressed = 0
        self._index = bytearray()

    @property
    def nodes(self) -> int:
        """Lines so far."""
        return len(self._index) // ENTRY.itemsize

    @property
    def full(self) -> bool:
        """Whether the part should be put now."""
        return self.nodes >= MAX_NODES or self._compressed >= MAX_COMPRESSED

    def add(self, line: bytes, entry: bytes) -> None:
        """Append a line (without its newline) and its 40-byte index entry."""
        self._keep(self._compressor.compress(line + b"\n"))
        self._index += entry

    def put(self, store: Store, folder: str, fetch: FetchInfo) -> PartRecord:
        """Write index and part under new names; the record says what was written and by which fetch."""
        self._keep(self._compressor.flush())
        data, index = b"".join(self._chunks), bytes(self._index)
        name = f"part-{new_stamp()}-{secrets.token_hex(4)}"
        record = PartRecord(
            **{field: getattr(fetch, field) for field in FetchInfo.model_fields},
            name=f"{name}.ndjson.zst",
            size=len(data),
            sha256=sha256(data).hexdigest(),
            nodes=self.nodes,
            index_name=f"{name}.idx",
            index_sha256=sha256(index).hexdigest(),
        )
        store.put(f"{folder}/{record.index_name}", index)
        store.put(f"{folder}/{record.name}", data)
        return record

    def _keep(self, chunk: bytes) -> None:
        if chunk:
            self._chunks.append(chunk)
            self._compressed += len(chunk)


def read_index(store: Store, folder: str, part: PartRecord) -> Entries:
    """The part's index; DamagedError naming the file when it is damaged."""
    path = f"{folder}/{part.index_name}"
    return read_entries(_read_checked(store, path, part.nodes * ENTRY.itemsize, part.index_sha256))


def read_lines(store: Store, folder: str, part: PartRecord) -> Iterator[bytes]:
    """The part's lines in order, without newlines; DamagedError naming the file when it is damaged."""
    path = f"{folder}/{part.name}"
    data = _read_checked(store, path, part.size, part.sha256)
    count = 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            for line in io.BufferedReader(stream, _READ_BYTES):
                count += 1
                yield line[:-1]
    except zstandard.ZstdError as error:
        raise _damaged(store, path, "it isn't a whole zstd frame") from error
    if count != part.nodes:
        raise _damaged(store, path, f"it holds {count} lines instead of {part.nodes}")


def rewrite(store: Store, folder: str, part: PartRecord, kept: Iterable[bool]) -> PartRecord | None:
    """Put the `kept` lines of a part as a new part, None when there are none; the old files are deleted."""
    builder = PartBuilder()
    entries = read_index(store, folder, part).tobytes()
    for number, (line, keep) in enumerate(zip(read_lines(store, folder, part), kept, strict=True)):
        if keep:
            builder.add(line, entries[number * ENTRY.itemsize : (number + 1) * ENTRY.itemsize])
    record = builder.put(store, folder, part) if builder.nodes else None
    delete_part(store, folder, part)
    return record


def delete_part(store: Store, folder: str, part: PartRecord) -> None:
    """Remove a part that no manifest names."""
    store.delete(f"{folder}/{part.name}")
    store.delete(f"{folder}/{part.index_name}")


def _read_checked(store: Store, path: str, size: int, checksum: str) -> bytes:
    try:
        data = store.read(path)
    except FileNotFoundError as error:
        raise _damaged(store, path, "the manifest names it, and it is missing") from error
    if len(data) != size:
        raise _damaged(store, path, f"it has {len(data)} bytes instead of {size}")
    if sha256(data).hexdigest() != checksum:
        raise _damaged(store, path, "its sha256 isn't the manifest's")
    return data


def _damaged(store: Store, path: str, how: str) -> DamagedError:
    return DamagedError(f"{path} in {store.url} is damaged: {how}; restore it from a backup.")
