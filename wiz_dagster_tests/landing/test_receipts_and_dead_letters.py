import logging
from pathlib import Path

import numpy as np
import orjson
import pytest

from wiz_dagster.landing import dead_letters
from wiz_dagster.landing.dead_letters import DeadLetter, read_dead_letters, write_dead_letters
from wiz_dagster.landing.receipts import RECEIPT_ENTRY, Receipt, read_receipt, write_receipt
from wiz_dagster_tests.landing.landing_helpers import DAY, zone_at


def _receipt(count: int = 3) -> Receipt:
    entries = np.array([(bytes([n]) * 15 + b"\0", b"\0" * 16) for n in range(count)], dtype=RECEIPT_ENTRY)
    return Receipt(4, "fingerprint-ü", entries, {"unknown key: ü": 2} if count else {})


@pytest.mark.parametrize("count", [0, 3])
def test_a_receipt_is_read_back_as_written(tmp_path: Path, count: int) -> None:
    zone = zone_at(tmp_path)
    write_receipt(zone, "issue", DAY, "default", _receipt(count))
    found = read_receipt(zone, "issue", DAY, "default")
    assert found is not None
    assert (found.generation, found.fingerprint) == (4, "fingerprint-ü")
    assert found.entries.tobytes() == _receipt(count).entries.tobytes()
    assert found.drift == _receipt(count).drift
    assert read_receipt(zone, "issue", DAY, "other") is None


def test_a_damaged_receipt_counts_as_none_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    zone = zone_at(tmp_path)
    write_receipt(zone, "issue", DAY, "default", _receipt())
    file = tmp_path / "issue" / DAY / "receipt.default.bin"
    whole = file.read_bytes()
    for damaged in (
        b"",
        whole[:-1],
        whole[:5],
        whole[:60] + b"?" + whole[61:],
        whole.replace(b"receipt-2", b"receipt-1"),
    ):
        file.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            assert read_receipt(zone, "issue", DAY, "default") is None
            assert "receipt.default.bin" in caplog.text


_LETTERS = [
    DeadLetter("id-1", 400, "mapper_parsing_exception", "field [x] of type [date]", b'{"x":"no date"}'),
    DeadLetter("id-2", 429, "es_rejected", "queue full", None),
]


def test_dead_letters_are_replaced_by_each_write_and_gone_when_nothing_is_refused(tmp_path: Path) -> None:
    zone = zone_at(tmp_path)
    path = write_dead_letters(zone, "issue", DAY, "default", iter(_LETTERS))
    assert path == f"issue/{DAY}/dead-letters.default.ndjson"
    assert list(read_dead_letters(zone, "issue", DAY, "default")) == _LETTERS
    lines = (tmp_path / path).read_bytes().splitlines()
    assert orjson.loads(lines[0])["document"] == {"x": "no date"}

    write_dead_letters(zone, "issue", DAY, "default", _LETTERS[:1])
    assert list(read_dead_letters(zone, "issue", DAY, "default")) == _LETTERS[:1]
    for _ in range(2):
        assert write_dead_letters(zone, "issue", DAY, "default", []) is None
    assert not (tmp_path / path).exists()
    assert list(read_dead_letters(zone, "issue", DAY, "default")) == []


def test_a_flood_of_dead_letters_keeps_every_reason_but_not_every_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "KEPT_DOCUMENT_BYTES", 40)
    zone = zone_at(tmp_path)
    write_dead_letters(zone, "issue", DAY, "default", _LETTERS[:1] * 5)
    kept = list(read_dead_letters(zone, "issue", DAY, "default"))
    assert len(kept) == 5
    assert [letter.document is not None for letter in kept] == [True, True, False, False, False]
