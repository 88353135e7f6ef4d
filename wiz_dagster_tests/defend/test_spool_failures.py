"""Disks that fail in ways that no healthy one does: what was acknowledged is there, and nothing is kept half."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from wiz_dagster.defend.spool import segments
from wiz_dagster.defend.spool_writer import SpoolError, SpoolWriter
from wiz_dagster.errors import TransientError
from wiz_dagster_tests.defend.spooling import append_all, bodies_in, files_in, refused, store

Patch = pytest.MonkeyPatch


def failing_once(call: Callable[..., int | None], number: int, at: int = 1) -> Callable[..., int | None]:
    """As `call`, but the call number `at` fails."""
    calls = 0

    def wrapped(*arguments: object) -> int | None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(number, os.strerror(number))
        return call(*arguments)

    return wrapped


async def three(spool: Path) -> list[str | None]:
    """What was answered to three bodies, one after the other."""
    writer = SpoolWriter(spool)
    answers = [await refused(writer, body) for body in (b"one", b"two", b"three")]
    await writer.close()
    return answers


def refusal(spool: Path, reason: str) -> str:
    return f"The spool {spool} can't take events: {reason}."


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_after_a_failed_sync_nothing_more_goes_into_that_file(tmp_path: Path, monkeypatch: Patch, number: int) -> None:
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        if len(synced) == 2:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fdatasync", sync)
    assert asyncio.run(three(tmp_path)) == [None, refusal(tmp_path, os.strerror(number)), None]
    assert synced[0] == synced[1] != synced[2]
    # The refused body lies there whole. That it is read too does no harm: it was sent, and will be again.
    assert bodies_in(tmp_path) == [b"one", b"two", b"three"]


def test_a_failed_first_sync_leaves_no_file(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(os, "fdatasync", failing_once(os.fdatasync, errno.EIO))
    assert asyncio.run(three(tmp_path)) == [refusal(tmp_path, "Input/output error"), None, None]
    assert bodies_in(tmp_path) == [b"two", b"three"]
    assert len(files_in(tmp_path)) == 1


@pytest.mark.parametrize("at", [1, 2])
def test_a_file_whose_name_is_not_durable_is_not_used(tmp_path: Path, monkeypatch: Patch, at: int) -> None:
    monkeypatch.setattr(os, "fsync", failing_once(os.fsync, errno.EIO, at))
    assert asyncio.run(three(tmp_path)) == [refusal(tmp_path, "Input/output error"), None, None]
    assert bodies_in(tmp_path) == [b"two", b"three"]
    assert len(files_in(tmp_path)) == 1


def stopping_short(calls: list[int], full: Callable[[], bool]) -> Callable[[int, bytes, int], int]:
    """A pwrite that takes 7 bytes at a time, then finds the disk full."""
    write = os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        calls.append(len(data))
        if full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:7], offset)

    return pwrite


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(os, "pwrite", stopping_short([], lambda: False))
    assert asyncio.run(three(tmp_path)) == [None, None, None]
    assert bodies_in(tmp_path) == [b"one", b"two", b"three"]


def full_during_the_second(spool: Path, monkeypatch: Patch) -> list[str | None]:
    """The disk is full when half of the second body is written, and has room for the third."""
    calls: list[int] = []

    async def write() -> list[str | None]:
        writer = SpoolWriter(spool)
        answers = [await refused(writer, b"one")]
        calls.clear()
        monkeypatch.setattr(os, "pwrite", stopping_short(calls, lambda: len(calls) > 5))
        answers.append(await refused(writer, b"two"))
        monkeypatch.undo()
        answers.append(await refused(writer, b"three"))
        await writer.close()
        return answers

    return asyncio.run(write())


def test_half_a_record_is_cut_off_before_others_follow(tmp_path: Path, monkeypatch: Patch) -> None:
    assert full_during_the_second(tmp_path, monkeypatch) == [None, refusal(tmp_path, "No space left on device"), None]
    assert bodies_in(tmp_path) == [b"one", b"three"]
    assert len(segments(tmp_path)) == 1


def test_half_a_record_that_cannot_be_cut_off_ends_its_segment(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(os, "ftruncate", failing_once(os.ftruncate, errno.EIO))
    assert full_during_the_second(tmp_path, monkeypatch) == [None, refusal(tmp_path, "No space left on device"), None]
    assert bodies_in(tmp_path) == [b"one", b"three"]
    assert [Path(name).suffix for name in files_in(tmp_path)] == [".open", ".segment"]


def test_all_that_shared_a_failed_write_are_refused_and_can_be_sent_again(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(os, "pwrite", failing_once(os.pwrite, errno.EROFS))
    bodies = [b"a", b"b", b"c"]

    async def write() -> list[list[str | None]]:
        writer = SpoolWriter(tmp_path)
        rounds = [await asyncio.gather(*(refused(writer, body) for body in bodies)) for _ in range(2)]
        await writer.close()
        return rounds

    refusals, kept = asyncio.run(write())
    assert refusals == [refusal(tmp_path, "Read-only file system")] * 3
    assert kept == [None, None, None]
    assert bodies_in(tmp_path) == bodies


def test_a_refusal_is_transient_and_holds_nothing_of_the_body(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(os, "pwrite", failing_once(os.pwrite, errno.ENOSPC))
    assert issubclass(SpoolError, TransientError)
    with pytest.raises(SpoolError) as caught:
        store(tmp_path, [b"secret"])
    assert "secret" not in str(caught.value)


def test_a_segment_that_cannot_be_closed_is_read_as_it_is(
    tmp_path: Path, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    # The third is the segment's own: its folder and the spool are synced before.
    monkeypatch.setattr(os, "fsync", failing_once(os.fsync, errno.EIO, 3))
    with caplog.at_level(logging.WARNING):
        store(tmp_path, [b"a"])
    (name,) = files_in(tmp_path)
    assert name.endswith(".open")
    assert f"{name} could not be closed (Input/output error)" in caplog.text
    assert bodies_in(tmp_path) == [b"a"]


async def with_a_segment_open(spool: Path, happens: Callable[[], object]) -> str | None:
    """What a body is answered when something has happened to the spool while a segment is open."""
    writer = SpoolWriter(spool, segment_seconds=60)
    await writer.append(b"a")
    happens()
    answer = await refused(writer, b"b")
    await writer.close()
    return answer


def test_a_folder_that_went_away_is_not_made_again(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    answer = asyncio.run(with_a_segment_open(spool, lambda: shutil.rmtree(spool)))
    assert answer == refusal(spool, "No such file or directory")
    assert not spool.exists()


def test_another_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    spool = tmp_path / "spool"

    def replace() -> None:
        (tmp_path / "other").mkdir()
        spool.rename(tmp_path / "moved")
        (tmp_path / "other").rename(spool)

    answer = asyncio.run(with_a_segment_open(spool, replace))
    assert answer is not None
    assert answer.startswith(f"The spool {spool} is another folder than at the start")
    assert files_in(spool) == []
    assert bodies_in(tmp_path / "moved") == [b"a"]


def test_a_segment_deleted_under_its_writer_acknowledges_nothing_more(tmp_path: Path) -> None:
    def delete() -> None:
        for path in tmp_path.rglob("*.open"):
            path.unlink()

    assert asyncio.run(with_a_segment_open(tmp_path, delete)) == refusal(
        tmp_path, "the segment was deleted while it was written"
    )
    assert bodies_in(tmp_path) == []


def test_a_file_where_the_spool_should_be_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(SpoolError, match=r"spool can't take events: File exists\.$"):
        SpoolWriter(tmp_path / "spool").prepare()


def test_a_closed_writer_refuses(tmp_path: Path) -> None:
    async def write() -> str | None:
        writer = SpoolWriter(tmp_path)
        await writer.append(b"a")
        await writer.close()
        return await refused(writer, b"b")

    assert asyncio.run(write()) == f"The spool {tmp_path} takes no more: its writer was closed."


def test_a_disk_that_hangs_holds_up_nothing_else_and_who_gives_up_leaves_nothing(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    reached, free = threading.Event(), threading.Event()
    sync = os.fdatasync

    def hang(descriptor: int) -> None:
        reached.set()
        free.wait(60)
        sync(descriptor)

    async def write() -> None:
        writer = SpoolWriter(tmp_path)
        monkeypatch.setattr(os, "fdatasync", hang)
        first = asyncio.create_task(writer.append(b"first"))
        while not reached.is_set():
            await asyncio.sleep(0.001)  # the loop answers
        impatient = [asyncio.create_task(writer.append(b"impatient")) for _ in range(10)]
        patient = asyncio.create_task(append_all(writer, [b"patient"]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in impatient:
            task.cancel()
        assert all(
            isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*impatient, return_exceptions=True)
        )
        free.set()
        await asyncio.gather(first, patient)
        await writer.close()

    asyncio.run(write())
    assert bodies_in(tmp_path) == [b"first", b"patient"]
