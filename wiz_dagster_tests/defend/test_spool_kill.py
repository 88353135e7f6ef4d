"""Writers that are killed at any moment, two at a time in one spool: what they acknowledged is read, and read once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from wiz_dagster.defend.spool import segments
from wiz_dagster.defend.spool_writer import SpoolWriter
from wiz_dagster_tests.defend.spool_until_killed import body
from wiz_dagster_tests.defend.spooling import bodies_in, files_in

ROUNDS = 8
PROGRAM = "wiz_dagster_tests.defend.spool_until_killed"


def writing(spool: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", PROGRAM, str(spool), name], stdout=subprocess.PIPE, text=True)


def killed_after(writer: subprocess.Popen[str], acknowledged: int) -> list[int]:
    """All that a writer acknowledged until the kill, which comes after at least so many."""
    assert writer.stdout is not None
    with writer:
        numbers = [int(writer.stdout.readline()) for _ in range(acknowledged)]
        writer.kill()
        return numbers + [int(line) for line in writer.stdout]


def test_what_killed_writers_acknowledged_is_read_once_and_nothing_else_than_was_sent(tmp_path: Path) -> None:
    chance = random.Random(7)
    kept: Counter[bytes] = Counter()
    for number in range(ROUNDS):
        writers = {name: writing(tmp_path, name) for name in (f"left-{number}", f"right-{number}")}
        for name, writer in writers.items():
            kept.update(body(name, one) for one in killed_after(writer, chance.randint(1, 400)))
    read = Counter(bodies_in(tmp_path))
    assert set(kept.values()) == set(read.values()) == {1}
    assert kept.keys() <= read.keys()
    for one in read:
        name, number = one.splitlines()[0].split()
        assert one == body(name.decode(), int(number))


def test_a_living_writers_segment_is_not_read_and_a_dead_ones_is(tmp_path: Path) -> None:
    writer = writing(tmp_path, "one")
    assert writer.stdout is not None
    writer.stdout.readline()
    while not segments(tmp_path):
        time.sleep(0.01)
    assert all(segment.name.endswith(".segment") for segment in segments(tmp_path))
    killed_after(writer, 0)
    assert {segment.name for segment in segments(tmp_path)} == set(files_in(tmp_path))


def test_what_a_kill_left_without_a_name_goes_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / ".20260310T000000000000Z-00000000.new").touch()
    SpoolWriter(tmp_path).prepare()
    assert files_in(tmp_path) == []
