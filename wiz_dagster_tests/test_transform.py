"""The command's function: NDJSON of nodes to NDJSON of documents."""

import gc
import io
import json
import subprocess
import sys
from typing import Any

import pytest

from wiz_dagster.errors import PermanentError
from wiz_dagster.transform import BATCH, transform_lines


def run(lines: bytes, tags: tuple[str, ...] | None = None, dataset: str = "audit") -> tuple[int, list[Any], str]:
    target, errors = io.BytesIO(), io.StringIO()
    status = transform_lines(dataset, io.BytesIO(lines), target, errors, tags)
    return status, [json.loads(line) for line in target.getvalue().splitlines()], errors.getvalue()


def test_documents_come_in_the_order_of_the_lines_over_many_batches() -> None:
    count = 2 * BATCH + 3
    status, documents, errors = run(b"".join(b'{"id": "%d"}\n' % number for number in range(count)))
    assert (status, errors) == (0, "")
    assert [document["event"]["id"] for document in documents] == [str(number) for number in range(count)]


def test_bad_lines_are_reported_by_number_and_the_rest_goes_on() -> None:
    lines = b'{"id": "1"}\nnonsense secret\n[1]\nnull\n\n{"id": "6"}\n{"id": NaN}'
    status, documents, errors = run(lines)
    assert status == 1
    assert [document["event"]["id"] for document in documents] == ["1", "6"]
    assert errors.splitlines() == [
        "line 2: not JSON",
        "line 3: not a JSON object",
        "line 4: not a JSON object",
        "line 5: not JSON",
        "line 7: not JSON",
    ]


def test_without_tags_the_defaults_hold_and_both_options_are_off() -> None:
    _, (document,), _ = run(b'{"id": "1"}')
    assert document["tags"] == ["forwarded", "wiz-audit"]
    assert "original" not in document["event"]
    assert "wiz" not in document
    assert document["ecs"] == {"version": "9.4.0"}


def test_tags_are_exactly_those_given_and_the_preserve_tags_switch() -> None:
    line = b'{"id": "1" , "note":"\\u00fc"}'
    _, (document,), _ = run(line + b"\r\n", ("b", "preserve_original_event", "a"))
    assert document["tags"] == ["b", "preserve_original_event", "a"]
    assert document["event"]["original"] == line.decode()
    _, (document,), _ = run(line, ("preserve_duplicate_custom_fields",))
    assert document["wiz"]["audit"]["id"] == "1"
    assert "original" not in document["event"]
    _, (document,), _ = run(line, ())
    assert "tags" not in document


def test_a_line_may_be_a_whole_body_of_the_webhook_or_one_event_of_it() -> None:
    body = b'{"id": "d", "triggeringEvents": [{"id": "e-1"}, {"id": "e-2"}]}'
    event = b'{"id":  "d", "triggeringEvent": {"id": "e-3"}}'
    lines = body + b"\nno JSON\n" + event + b"\n" + b'{"id": "none"}'
    status, documents, errors = run(lines, ("preserve_original_event",), "defend")
    assert (status, errors) == (1, "line 2: not JSON\n")
    assert [document["event"].get("id") for document in documents] == ["e-1", "e-2", "e-3", None]
    originals = [document["event"]["original"] for document in documents]
    assert originals[:2] == [f'{{"id":"d","triggeringEvent":{{"id":"e-{number}"}}}}' for number in (1, 2)]
    assert originals[2] == event.decode()


def test_one_run_has_one_fetch_time() -> None:
    _, documents, _ = run(b"{}\n" * (BATCH + 1))
    assert len({document["@timestamp"] for document in documents}) == 1


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": "\\ud800", "\\udfff": 1}',
        b'{"id": 1e999}',
        b'{"id": 1' + b"0" * 400 + b"}",
        b'{"id": 123456789012345678901234567890}',
        b'{"id": "x", "id": "y"}',
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
)
def test_json_that_is_odd_but_allowed_gives_a_document(line: bytes) -> None:
    status, documents, errors = run(line, ("preserve_original_event",))
    assert (status, len(documents), errors) == (0, 1, "")
    assert documents[0]["event"]["original"] == line.decode()


@pytest.mark.parametrize("line", ['{"id": 1}'.encode("utf-16"), b'\xef\xbb\xbf{"id": 1}', b'{"id": "\xed\xa0\x80"}'])
def test_other_encodings_than_utf_8_are_reported(line: bytes) -> None:
    status, documents, errors = run(line.replace(b"\n", b""), ("preserve_original_event",))
    assert (status, documents) == (1, [])
    assert errors == "line 1: not JSON\n"


def test_the_collector_is_left_as_it_was() -> None:
    before = gc.get_threshold()
    run(b"{}")
    assert gc.get_threshold() == before


def test_an_unknown_dataset_is_refused() -> None:
    with pytest.raises(PermanentError, match="audit, issue"):
        run(b"{}", dataset="adit")


def test_neither_dagster_nor_elasticsearch_is_imported() -> None:
    code = (
        "import sys, wiz_dagster.transform; print([m for m in ('dagster', 'elasticsearch', 'gql') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
