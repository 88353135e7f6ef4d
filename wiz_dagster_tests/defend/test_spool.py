"""What is appended to the spool is read back as it was: on real files, by any number of writers."""

from __future__ import annotations

import asyncio
import itertools
import re
import stat
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.defend import spool_writer
from wiz_dagster.defend.open_segment import OpenSegment
from wiz_dagster.defend.spool import Backlog, backlog, records, remove, segments
from wiz_dagster.defend.spool_writer import SpoolWriter
from wiz_dagster_tests.defend.spooling import bodies_in, files_in, store, until_closed

TODAY = datetime.now(UTC)


def write_segment(spool: Path, received_at: datetime, *bodies: bytes) -> None:
    segment = OpenSegment.create(spool, received_at)
    segment.commit((received_at, body) for body in bodies)
    segment.close()


def test_bodies_come_back_byte_for_byte_in_the_order_received(tmp_path: Path) -> None:
    bodies = [b'{"id": 1}', b"", b"\n", b"two\nlines\r\n", b"\0\xff", "ü".encode()]
    store(tmp_path / "spool", *([body] for body in bodies))
    assert bodies_in(tmp_path / "spool") == bodies


def test_a_record_tells_when_it_was_received(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    store(tmp_path, [b"a"], [b"b"])
    (segment,) = segments(tmp_path)
    first, second = (record.received_at for record in records(segment))
    assert before <= first <= second <= datetime.now(UTC)
    assert segment.day == first.date().isoformat()


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=8), max_size=8), st.integers(1, 2000))
def test_any_bodies_in_any_groups_are_kept_once(groups: list[list[bytes]], segment_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store(Path(folder), *groups, segment_bytes=segment_bytes)
        assert Counter(bodies_in(Path(folder))) == Counter(body for group in groups for body in group)


def test_bodies_that_look_like_records_stay_bodies(tmp_path: Path) -> None:
    store(tmp_path / "inner", [b"inner"])
    (inner,) = (tmp_path / "inner").rglob("*.segment")
    body = inner.read_bytes() * 2
    store(tmp_path / "outer", [body], [b"next"])
    assert bodies_in(tmp_path / "outer") == [body, b"next"]


def test_a_commit_is_bounded_and_a_body_larger_than_one_is_kept_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_writer, "COMMIT_BYTES", 10)
    bodies = [b"x" * 5, b"y" * 5, b"z" * 100, b"1"]
    store(tmp_path, bodies)
    assert bodies_in(tmp_path) == bodies
    (segment,) = segments(tmp_path)
    commits = re.findall(rb"commit=\d+", segment.path.read_bytes())
    assert [len(list(same)) for _, same in itertools.groupby(commits)] == [2, 1, 1]


def test_files_and_folders_are_for_their_user_alone(tmp_path: Path) -> None:
    store(tmp_path / "made" / "spool", [b"a"])
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made").rglob("*") if path.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "made").rglob("*.segment")} == {0o600}


async def closed_by_time(spool: Path) -> list[bytes]:
    writer = SpoolWriter(spool, segment_seconds=0.05)
    await writer.append(b"a")
    before = bodies_in(spool)
    await until_closed(spool)
    read = bodies_in(spool)
    await writer.append(b"b")
    await writer.close()
    return before + read


def test_a_segment_is_closed_when_nothing_comes_any_more(tmp_path: Path) -> None:
    assert asyncio.run(closed_by_time(tmp_path)) == [b"a"]
    assert bodies_in(tmp_path) == [b"a", b"b"]
    assert len(segments(tmp_path)) == 2


def test_a_segment_is_closed_when_it_is_large(tmp_path: Path) -> None:
    store(tmp_path, [b"x" * 100], [b"y" * 100], [b"z"], segment_bytes=100)
    assert [segment.path.read_bytes().count(b"spooled ") for segment in segments(tmp_path)] == [1, 1, 1]


def test_what_a_writer_still_holds_is_not_read(tmp_path: Path) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path, segment_seconds=60)
        await writer.append(b"a")
        assert (bodies_in(tmp_path), backlog(tmp_path).segments) == ([], 0)
        await writer.close()

    asyncio.run(write())
    assert bodies_in(tmp_path) == [b"a"]


class Clock(datetime):
    """Stands still until it is set."""

    moments: list[datetime]

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.moments[0] if len(cls.moments) == 1 else cls.moments.pop(0)


def test_a_body_lies_under_the_day_it_was_received_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    step = timedelta(microseconds=1)
    monkeypatch.setattr(spool_writer, "datetime", Clock)
    Clock.moments = [midnight - 2 * step, midnight - step, midnight, midnight, midnight - step]
    store(tmp_path, [b"a", b"b", b"c", b"d"], [b"late"])
    days = [(segment.day, [record.body for record in records(segment)]) for segment in segments(tmp_path)]
    assert days == [("2026-03-09", [b"a", b"b"]), ("2026-03-09", [b"late"]), ("2026-03-10", [b"c", b"d"])]


def test_the_oldest_segments_come_first(tmp_path: Path) -> None:
    moments = [TODAY - timedelta(days=back, seconds=back) for back in (1, 3, 0, 2)]
    for moment in moments:
        write_segment(tmp_path, moment, moment.isoformat().encode())
    assert bodies_in(tmp_path) == [moment.isoformat().encode() for moment in sorted(moments)]


def test_a_spool_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert segments(tmp_path / "none") == []
    assert backlog(tmp_path / "none") == Backlog(0, 0, None)


def test_a_writer_that_gets_nothing_leaves_nothing(tmp_path: Path) -> None:
    store(tmp_path / "spool")
    assert not (tmp_path / "spool").exists()


def test_the_backlog_counts_what_waits(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    write_segment(tmp_path, TODAY, b"a")
    write_segment(tmp_path, TODAY, b"b")
    found = backlog(tmp_path)
    assert found.segments == 2
    assert found.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.segment"))
    assert found.oldest is not None
    assert before <= found.oldest <= datetime.now(UTC)


def test_removed_segments_are_gone_and_the_folders_of_past_days_too(tmp_path: Path) -> None:
    for back in (0, 1, 2):
        write_segment(tmp_path, TODAY - timedelta(days=back), b"a")
    oldest, yesterday, today = segments(tmp_path)
    remove([oldest, today])
    assert segments(tmp_path) == [yesterday]
    assert sorted(path.name for path in tmp_path.iterdir()) == [yesterday.day, today.day]


def test_removing_what_another_run_has_removed_is_no_error(tmp_path: Path) -> None:
    write_segment(tmp_path, TODAY - timedelta(days=1), b"a")
    found = segments(tmp_path)
    remove(found)
    remove(found)
    remove([])
    assert list(tmp_path.iterdir()) == []


def test_reading_what_another_run_has_removed_says_that_it_is_gone(tmp_path: Path) -> None:
    write_segment(tmp_path, TODAY, b"a")
    (found,) = segments(tmp_path)
    remove([found])
    with pytest.raises(FileNotFoundError):
        list(records(found))


def test_a_folder_that_a_run_drops_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir
    made = []

    def make_and_lose(self: Path, *args: object, **kwargs: object) -> None:
        make(self, *args, **kwargs)  # type: ignore[arg-type]
        if self.parent == tmp_path:
            made.append(self)
            if len(made) == 1:
                self.rmdir()

    monkeypatch.setattr(Path, "mkdir", make_and_lose)
    store(tmp_path, [b"a"])
    assert bodies_in(tmp_path) == [b"a"]
    assert files_in(tmp_path) == [segments(tmp_path)[0].name]


def test_what_is_no_segment_is_left_alone(tmp_path: Path) -> None:
    write_segment(tmp_path, TODAY - timedelta(days=1), b"a")
    folder = segments(tmp_path)[0].path.parent
    (folder / "notes.txt").write_text("x")
    (tmp_path / "2026-13-01").mkdir()
    (tmp_path / "2026-13-01" / "x.segment").write_text("x")
    assert bodies_in(tmp_path) == [b"a"]
    remove(segments(tmp_path))
    assert files_in(tmp_path) == ["notes.txt", "x.segment"]


def test_writers_share_a_spool(tmp_path: Path) -> None:
    async def write() -> None:
        writers = [SpoolWriter(tmp_path, segment_seconds=0.02) for _ in range(4)]
        numbered = itertools.product(enumerate(writers), range(50))
        await asyncio.gather(*(writer.append(f"{number}-{n}".encode()) for (number, writer), n in numbered))
        await asyncio.gather(*(writer.close() for writer in writers))

    asyncio.run(write())
    assert Counter(bodies_in(tmp_path)) == Counter(f"{number}-{n}".encode() for n in range(50) for number in range(4))
    assert all(name.endswith(".segment") for name in files_in(tmp_path))


def test_runs_that_drain_while_writers_write_get_each_body_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spool_writer, "datetime", Clock)
    Clock.moments = [TODAY - timedelta(days=1)]  # of a past day, so that its folder is dropped whenever it is empty
    drained: list[bytes] = []

    async def write() -> None:
        writers = [SpoolWriter(tmp_path, segment_bytes=200) for _ in range(3)]
        for number in range(40):
            bodies = (f"{name} {number} {n}".encode() for name in range(3) for n in range(4))
            await asyncio.gather(*(writer.append(body) for writer, body in zip(writers * 4, bodies, strict=True)))
        await asyncio.gather(*(writer.close() for writer in writers))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(asyncio.run, write())
        while True:
            last = writing.done()
            found = segments(tmp_path)
            drained += [record.body for segment in found for record in records(segment)]
            remove(found)
            if last:
                break
        writing.result()
    assert len(drained) == 480
    assert len(set(drained)) == 480
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []


def test_closing_finishes_what_was_taken(tmp_path: Path) -> None:
    async def write() -> None:
        writer = SpoolWriter(tmp_path)
        taken = [asyncio.create_task(writer.append(str(n).encode())) for n in range(20)]
        await asyncio.sleep(0)
        await writer.close()
        await asyncio.gather(*taken)

    asyncio.run(write())
    assert len(bodies_in(tmp_path)) == 20
