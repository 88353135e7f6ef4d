"""Lines to frames, and the fingerprint of a mapping."""

from dataclasses import replace
from datetime import timedelta

import pytest

from wiz_dagster.datasets import AUDIT, ISSUE
from wiz_dagster.ecs.fingerprint import fingerprint
from wiz_dagster.ecs.frames import make_frame
from wiz_dagster.errors import PermanentError
from wiz_dagster_tests.datasets.making import OPTIONS


def test_a_frame_has_a_row_a_line_in_order_and_says_what_drifted() -> None:
    made = make_frame(AUDIT, [b'{"id": "b"}', b'{"id": "a", "new": 1}'], OPTIONS)
    assert made.frame["event.id"].tolist() == ["b", "a"]
    assert made.frame["tags"].tolist() == [["forwarded"], ["forwarded"]]
    assert made.drift["unknown key: new"] == 1
    assert made.drift["missing date: timestamp"] == made.drift["missing key: timestamp"] == 2


def test_the_original_is_the_lines_own_text_and_only_there_when_asked_for() -> None:
    line = '{ "id":"ü", "a" : 1.10 }'
    assert "event.original" not in make_frame(ISSUE, [line.encode()], OPTIONS).frame
    kept = make_frame(ISSUE, [line.encode()], replace(OPTIONS, preserve_original_event=True))
    assert kept.frame["event.original"].tolist() == [line]


def test_no_lines_give_a_frame_without_rows() -> None:
    assert len(make_frame(AUDIT, [], OPTIONS).frame) == len(make_frame(ISSUE, [], OPTIONS).frame) == 0


@pytest.mark.parametrize("line", [b"", b"{", b'["secret"]', b"null", b'{"secret": "\xff"}'])
def test_a_damaged_line_is_refused_without_showing_it(line: bytes) -> None:
    with pytest.raises(PermanentError, match="damaged") as raised:
        make_frame(AUDIT, [b"{}", line], OPTIONS)
    assert "secret" not in str(raised.value)


def test_the_fingerprint_changes_with_dataset_and_options_but_not_with_the_fetch() -> None:
    same = {
        fingerprint(AUDIT, OPTIONS),
        fingerprint(AUDIT, replace(OPTIONS, fetched_at=OPTIONS.fetched_at + timedelta(1))),
    }
    assert len(same) == 1
    others = {
        fingerprint(ISSUE, OPTIONS),
        fingerprint(AUDIT, replace(OPTIONS, tags=("other",))),
        fingerprint(AUDIT, replace(OPTIONS, preserve_original_event=True)),
        fingerprint(AUDIT, replace(OPTIONS, preserve_duplicate_custom_fields=False)),
    }
    assert len(others | same) == 5
