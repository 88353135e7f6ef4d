"""What is read of a damaged segment: a torn tail was never acknowledged, anything else a person has to know."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.defend.spool import Segment, records, remove, segments
from wiz_dagster.errors import PermanentError
from wiz_dagster_tests.defend.spooling import bodies_in, store

COMMITS = ([b"first"], [b"second", b"third"], [b"fourth", b"fifth\n", b"sixth"])
BODIES = [body for commit in COMMITS for body in commit]


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """A closed segment of three commits."""
    store(tmp_path, *COMMITS)
    (path,) = tmp_path.rglob("*.segment")
    assert len(set(commits(path.read_bytes()))) == 3
    return path


def commits(data: bytes) -> list[bytes]:
    return [word for word in data.split() if word.startswith(b"commit=")]


def left_open(path: Path) -> Path:
    """As a killed writer leaves it."""
    return path.rename(path.with_suffix(".open"))


def read(path: Path) -> tuple[list[bytes], str | None]:
    """The bodies, and the error that came after them."""
    (found,) = segments(path.parent.parent)
    assert found.path == path
    bodies: list[bytes] = []
    try:
        bodies.extend(record.body for record in records(found))
    except PermanentError as error:
        return bodies, str(error)
    return bodies, None


def test_a_dead_writers_segment_is_read_up_to_its_torn_tail_wherever_it_is_torn(segment: Path) -> None:
    data = segment.read_bytes()
    path = left_open(segment)
    _, *starts = (found.start() for found in re.finditer(b"spooled ", data))
    ends = [*starts, len(data)]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        assert read(path) == (BODIES[:whole], None)


def test_a_last_commit_with_a_hole_is_a_torn_tail(segment: Path) -> None:
    data = segment.read_bytes()
    path = left_open(segment)
    at = data.index(b"fifth")
    path.write_bytes(data[:at] + b"\0" * 5 + data[at + 5 :])
    assert read(path) == (BODIES[:4], None)


def test_space_that_was_given_and_never_written_is_a_torn_tail(segment: Path) -> None:
    path = left_open(segment)
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    assert read(path) == (BODIES, None)


@given(st.data())
def test_whatever_a_power_cut_leaves_of_the_last_commit_the_others_are_read(data: st.DataObject) -> None:
    commits = data.draw(st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=5), min_size=1, max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        store(Path(folder), *commits)
        (path,) = Path(folder).rglob("*.segment")
        whole = path.read_bytes()
        start = int(re.findall(rb"spooled \S+ commit=(\d+)", whole)[-1])
        blocks = [whole[at : at + 32] for at in range(start, len(whole), 32)]
        lost = data.draw(st.sets(st.integers(0, len(blocks) - 1), min_size=1))
        left = (b"\0" * len(block) if number in lost else block for number, block in enumerate(blocks))
        left_open(path).write_bytes(whole[:start] + b"".join(left))
        acknowledged = [body for commit in commits[:-1] for body in commit]
        read = bodies_in(Path(folder))
        assert read[: len(acknowledged)] == acknowledged
        assert read[len(acknowledged) :] == commits[-1][: len(read) - len(acknowledged)]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
@pytest.mark.parametrize("body", [b"first", b"second", b"third"])
def test_a_changed_byte_before_the_last_commit_is_damage(segment: Path, body: bytes, closed: bool) -> None:
    path = segment if closed else left_open(segment)
    data = path.read_bytes()
    path.write_bytes(data.replace(body, body[:-1] + b"X"))
    bodies, error = read(path)
    assert bodies == [one for one in BODIES if one != body]
    start = data.rindex(b"spooled ", 0, data.index(body))
    assert error is not None
    assert f"{path} is damaged at byte {start};" in error
    assert path.exists()


def test_any_changed_byte_of_a_closed_segment_is_noticed(segment: Path) -> None:
    data = segment.read_bytes()
    for at in range(len(data)):
        segment.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        bodies, error = read(segment)
        assert error is not None
        assert len(bodies) == len(BODIES) - 1
        assert set(bodies) < set(BODIES)


def test_a_closed_segment_that_lost_its_end_is_damaged(segment: Path) -> None:
    data = segment.read_bytes()
    segment.write_bytes(data[:-1])
    bodies, error = read(segment)
    assert bodies == BODIES[:-1]
    assert error is not None


def test_the_error_holds_nothing_of_a_body(segment: Path) -> None:
    segment.write_bytes(segment.read_bytes().replace(b"second", b"secret"))
    _, error = read(segment)
    assert error is not None
    assert "secret" not in error


def test_a_damaged_segment_hides_no_other(segment: Path) -> None:
    spool = segment.parent.parent
    store(spool, [b"other"])
    segment.write_bytes(b"?")
    (whole,) = (found for found in segments(spool) if found.path != segment)
    assert [record.body for record in records(whole)] == [b"other"]


def test_an_empty_file_of_a_dead_writer_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "2026-03-10").mkdir()
    (tmp_path / "2026-03-10" / "x.open").touch()
    found: list[Segment] = segments(tmp_path)
    assert bodies_in(tmp_path) == []
    remove(found)
    assert segments(tmp_path) == []
