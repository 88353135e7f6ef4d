import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.landing import parts
from wiz_dagster.landing.local_store import LocalStore
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster_tests.landing.landing_helpers import (
    DAY,
    TENANT,
    Figures,
    Node,
    by_id,
    fetch_info,
    land,
    node,
    read,
    zone_at,
)

_ENDLESS_LANDING = """
import sys, time
from wiz_dagster.landing import parts
from wiz_dagster_tests.landing.landing_helpers import DAY, TENANT, Figures, fetch_info, node, zone_at
parts.MAX_NODES = 10
def nodes():
    for page in range(5):
        yield [node(f"{page}-{number}", 9) for number in range(10)]
    print("in the middle", flush=True)
    time.sleep(600)
zone_at(sys.argv[1]).land("issue", DAY, nodes(), fetch_info(1), Figures(), "updatedAt")
"""


def _killed_landing(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _ENDLESS_LANDING, str(root)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in the middle\n"
        process.send_signal(signal.SIGKILL)


def test_a_killed_landing_leaves_nothing_a_reader_sees_and_the_next_one_lands_everything(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    _killed_landing(tmp_path)
    assert len(list((tmp_path / "issue" / DAY).glob("part-*.zst"))) == 5
    assert zone.days("issue") == []
    with pytest.raises(PermanentError, match="never landed"):
        zone.day("issue", DAY)

    land(zone, [node("a", 1)])
    _killed_landing(tmp_path)
    assert read(zone) == [node("a", 1)]

    whole = [node(f"{page}-{number}", 9) for page in range(5) for number in range(10)]
    assert land(zone, whole, minute=2).new == 50
    assert len(by_id(read(zone))) == 51


def test_only_old_parts_that_no_manifest_names_are_swept(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("a", 1)])
    folder = tmp_path / "issue" / DAY
    old = ["part-20260101T000000000000Z-1.ndjson.zst", "part-20260101T000000000000Z-1.idx"]
    old += [".manifest.json.20260101T000000000000Z-1.tmp"]
    for name in old:
        (folder / name).write_bytes(b"x")
    (folder / "part-20260101T000000000000Z-1.idx.damaged").write_bytes(b"kept aside")
    kept = {path.name for path in folder.iterdir()} - set(old)
    assert set(zone.sweep("issue", DAY)) == set(old)
    assert {path.name for path in folder.iterdir()} == kept
    _killed_landing(tmp_path)
    land(zone, [node("b", 1)], minute=2)
    assert len(list(folder.glob("part-*.zst"))) == 7, "the parts of a run that may still be writing stay"


def test_parts_of_the_manifest_are_never_swept_however_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = zone_at(tmp_path)
    monkeypatch.setattr(parts, "new_stamp", lambda: "20260101T000000000000Z")
    land(zone, [node("a", 1)])
    land(zone, [node("b", 1)], minute=1)
    assert zone.sweep("issue", DAY) == []
    assert by_id(read(zone)).keys() == {"a", "b"}


def _land_in_process(root: str, number: int, barrier: Barrier) -> None:
    parts.MAX_NODES = 7
    zone = zone_at(root)
    barrier.wait()
    for turn in range(5):
        shared = [node(f"shared-{turn}-{item}", 1) for item in range(20)]
        own = [node(f"own-{number}-{turn}-{item}", 1) for item in range(20)]
        land(zone, shared, own, minute=turn)


def test_processes_landing_one_day_at_once_lose_nothing_and_store_nothing_twice(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    processes = [context.Process(target=_land_in_process, args=(str(tmp_path), n, barrier)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    zone = zone_at(tmp_path)
    assert len(by_id(read(zone))) == 5 * 20 + 3 * 5 * 20
    assert zone.day("issue", DAY).captured == 400
    assert len(zone.day("issue", DAY).manifest.fetches) == 15


def test_a_landing_that_another_overtook_drops_what_the_other_stored(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)

    def overtaken() -> Iterator[list[Node]]:
        yield [node("a", 1), node("b", 1)]
        land(zone, [node("b", 1), node("c", 1), node("a", 2)], minute=1)

    report = zone.land("issue", DAY, overtaken(), fetch_info(0), Figures(), "updatedAt")
    assert (report.new, report.unchanged, report.generation) == (1, 1, 2)
    found = by_id(read(zone))
    assert found == {"a": node("a", 2), "b": node("b", 1), "c": node("c", 1)}
    assert read(zone, after_generation=1) == [], "an older version that arrives late changes nothing"
    assert len(list((tmp_path / "issue" / DAY).glob("part-*"))) == 4


def test_a_replacement_whose_answer_was_lost_is_not_landed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = zone_at(tmp_path)
    land(zone)
    replace = LocalStore.replace_if

    def answer_lost(self: LocalStore, path: str, data: bytes, expected: bytes | None) -> bool:
        replace(self, path, data, expected)
        return False

    monkeypatch.setattr(LocalStore, "replace_if", answer_lost)
    assert land(zone, [node("a", 1)], minute=1).new == 1
    assert read(zone) == [node("a", 1)]


def _files(root: Path, pattern: str) -> list[Path]:
    return sorted((root / "issue" / DAY).glob(pattern))


@pytest.mark.parametrize("pattern", ["part-*.zst", "part-*.idx"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_file_is_a_loud_error_that_names_it(tmp_path: Path, pattern: str, damage: str) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node(str(number), 1) for number in range(3000)])
    [file] = _files(tmp_path, pattern)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(data[:-5] if damage == "cut" else data)
    with pytest.raises(PermanentError, match=file.name):
        read(zone)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}'])
def test_a_damaged_manifest_is_a_loud_error_and_nothing_is_landed_over_it(tmp_path: Path, content: bytes) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("a", 1)])
    manifest = tmp_path / "issue" / DAY / "manifest.json"
    manifest.write_bytes(content)
    for attempt in (read, land):
        with pytest.raises(PermanentError, match=r"manifest\.json .* is damaged"):
            attempt(zone)
    assert manifest.read_bytes() == content


def test_a_manifest_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    land(zone, [node("a", 1)])
    manifest = tmp_path / "issue" / DAY / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(PermanentError, match="upgrade"):
        read(zone)


def test_everything_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        zone = zone_at(tmp_path / "made" / "zone")
        land(zone, [node("a", 1)])
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made").rglob("*")}
    modes[tmp_path / "made"] = stat.S_IMODE((tmp_path / "made").stat().st_mode)
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_run_whose_parts_were_swept_fails_instead_of_naming_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_NODES", 1)
    zone = zone_at(tmp_path)

    def suspended() -> Iterator[list[Node]]:
        yield [node("a", 1), node("b", 1)]
        for file in _files(tmp_path, "part-*"):
            file.unlink()

    with pytest.raises(TransientError, match="swept"):
        zone.land("issue", DAY, suspended(), fetch_info(), Figures(), "updatedAt")
    assert zone.days("issue") == []


class _DeadError(BaseException):
    """The process is gone: no clean-up of its own runs any more."""


class _DyingStore(LocalStore):
    """Does `steps` more writes and deletes, and then nothing ever again."""

    def __init__(self, root: Path, steps: int) -> None:
        super().__init__(root)
        self.steps = steps

    def put(self, path: str, data: bytes) -> None:
        self._step()
        super().put(path, data)

    def delete(self, path: str) -> None:
        self._step()
        super().delete(path)

    def _step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise _DeadError


@pytest.mark.parametrize("landed_before", [False, True])
def test_killed_at_any_step_a_reader_sees_the_day_before_or_after_and_the_next_run_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, landed_before: bool
) -> None:
    monkeypatch.setattr(parts, "MAX_NODES", 2)
    before = {"old": node("old", 1), "n0": node("n0", 1)} if landed_before else {}
    fetched = {f"n{number}": node(f"n{number}", 2) for number in range(5)}
    died, steps = True, 0
    while died:
        root = tmp_path / str(steps)
        zone = zone_at(root)
        if before:
            land(zone, list(before.values()))
        try:
            land(LandingZone(_DyingStore(root, steps), TENANT), list(fetched.values()), minute=1)
            died = False
        except _DeadError:
            seen = by_id(read(zone)) if zone.days("issue") else {}
            assert seen in (before, before | fetched)
        land(zone, list(fetched.values()), minute=2)
        assert by_id(read(zone)) == before | fetched
        steps += 1
    assert steps > 6
