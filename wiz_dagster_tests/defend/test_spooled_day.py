"""What is drawn out of a spool's day, held against what the receiver lets in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiz_dagster.datasets.defend import DEFEND
from wiz_dagster.defend import spooled_day
from wiz_dagster.defend.body import count_objects
from wiz_dagster.defend.refusals import Refused
from wiz_dagster.defend.spool import segments
from wiz_dagster.defend.spool_writer import SpoolWriter
from wiz_dagster.defend.spooled_day import SpooledNodes, objects_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_every_body_that_the_receiver_took_is_landed_and_no_other(body: bytes) -> None:
    found = objects_of(body)
    assert (None if found is None else len(found)) == taken(body)


def taken(body: bytes) -> int | None:
    """How many objects the receiver would say that it accepts; None if it refuses the body."""
    try:
        return count_objects(body)
    except Refused:
        return None


def test_a_half_surrogate_pair_is_read_as_a_question_mark() -> None:
    assert objects_of(b'{"name": "one \\ud800 half"}') == [{"name": "one ? half"}]


def drawn(spool: Path, bodies: list[Any]) -> SpooledNodes:
    async def append() -> None:
        writer = SpoolWriter(spool)
        for body in bodies:
            await writer.append(json.dumps(body).encode())
        await writer.close()

    asyncio.run(append())
    return SpooledNodes(DEFEND, segments(spool))


def test_nodes_come_in_batches_of_bounded_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_day, "BATCH_NODES", 4)
    nodes = drawn(tmp_path, [{"id": f"d{number}"} for number in range(10)])
    assert [len(batch) for batch in nodes] == [4, 4, 2]
    assert (nodes.report.nodes, nodes.report.requests, nodes.report.pages) == (10, 10, 1)


def test_large_bodies_end_a_batch_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_day, "BATCH_BYTES", 1000)
    nodes = drawn(tmp_path, [{"id": f"d{number}", "title": "x" * 600} for number in range(4)])
    assert [len(batch) for batch in nodes] == [2, 2]


def test_an_empty_array_is_read_and_holds_nothing(tmp_path: Path) -> None:
    nodes = drawn(tmp_path, [[]])
    assert list(nodes) == []
    assert nodes.read_whole == nodes.segments
