"""What the receiver takes, what it refuses and with which words, over real connections to the real command."""

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wiz_dagster_tests.defend.receiving import BEARER, TOKEN, WITH_TOKEN, Running, running_receiver

LIMIT = 20_000
EVENT = b'{"id": "d1", "title": "payload-of-the-test"}'


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {**WITH_TOKEN, "WIZ_DEFEND_MAX_BODY": str(LIMIT)}
    with running_receiver(tmp_path_factory.mktemp("receiver"), settings) as running:
        yield running
        log = running.log()
        assert TOKEN not in log
        assert "payload" not in log
        assert "Traceback" not in log


def basic(login: bytes) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}


def test_what_is_accepted_is_kept_as_it_came(tmp_path: Path) -> None:
    bodies = [
        EVENT,
        b'[{"a": 1}, {"b": {"c": []}}]',
        b' {"\xc3\xa4": 1.50}\n',
        json.dumps({"long": "x" * 100_000}).encode(),
        b'{"half a pair": "\\ud800", "beyond a double": 1e999}',
    ]
    with running_receiver(tmp_path, WITH_TOKEN) as running:
        answers = [running.post(body).json() for body in bodies]
        assert answers == [{"accepted": 1}, {"accepted": 2}, *[{"accepted": 1}] * 3]
        assert running.post(b"[]").json() == {"accepted": 0}
        assert running.stop() == 0
        assert running.spooled() == bodies


def test_what_comes_packed_is_kept_unpacked(tmp_path: Path) -> None:
    with running_receiver(tmp_path, WITH_TOKEN) as running:
        for name in ("gzip", "GZIP", "x-gzip", "identity, gzip"):
            answer = running.post(gzip.compress(EVENT), headers={**BEARER, "Content-Encoding": name})
            assert answer.json() == {"accepted": 1}
        assert running.post(EVENT, headers={**BEARER, "Content-Encoding": "identity"}).status_code == 200
        running.stop()
        assert running.spooled() == [EVENT] * 5


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"])
def test_any_content_type_will_do(receiver: Running, kind: str) -> None:
    assert receiver.post(EVENT, headers={**BEARER, "Content-Type": kind}).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"{'id': 1}", {}, 400),
        (b'{"a": NaN}', {}, 400),
        (b'{"a": "\xff"}', {}, 400),
        (b"[" * 5_000 + b"]" * 5_000, {}, 400),
        (b'"text"', {}, 400),
        (b"1", {}, 400),
        (b"null", {}, 400),
        (b"[1]", {}, 400),
        (b"[{}, []]", {}, 400),
        (EVENT, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(EVENT)[:-4], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(EVENT) * 2, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(EVENT) + b"x", {"Content-Encoding": "gzip"}, 400),
        (EVENT, {"Content-Encoding": "br"}, 415),
        (gzip.compress(gzip.compress(EVENT)), {"Content-Encoding": "gzip, gzip"}, 415),
        (b" " * (LIMIT + 1), {}, 413),
        (gzip.compress(b" " * (LIMIT + 1)), {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(b"") * 500, {"Content-Encoding": "gzip"}, 400),
    ],
)
def test_what_is_no_event_is_refused(receiver: Running, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = receiver.post(body, headers={**BEARER, **headers})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json()) == ["error"]


def test_a_body_of_unknown_length_is_bounded(receiver: Running) -> None:
    sent = iter([b" " * 1_000] * 100)
    assert receiver.post(sent).status_code == 413  # type: ignore[arg-type]


def test_a_body_as_large_as_allowed_is_taken(receiver: Running) -> None:
    body = b'{"a":"%s"}' % (b"x" * (LIMIT - 8))
    assert receiver.post(body).status_code == 200
    assert receiver.post(body + b" ").status_code == 413


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_post_is_taken(receiver: Running, method: str) -> None:
    answer = receiver.exchange(f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: POST\r\n" in answer


@pytest.mark.parametrize("path", ["/other", "//", "/healthz/", "/%00", "/../", "/docs"])
def test_other_paths_are_unknown(receiver: Running, path: str) -> None:
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
    assert receiver.exchange(request.encode()).startswith(b"HTTP/1.1 404 ")


def test_the_path_can_be_set(tmp_path: Path) -> None:
    with running_receiver(tmp_path, {**WITH_TOKEN, "WIZ_DEFEND_PATH": "/wiz/defend"}) as running:
        assert running.post(EVENT, "/wiz/defend").status_code == 200
        assert running.post(EVENT, "/wiz/defend?a=b").status_code == 200
        assert running.post(EVENT, "/").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-Token": TOKEN},
    ],
)
def test_a_wrong_token_is_refused_before_the_body_is_looked_at(receiver: Running, headers: dict[str, str]) -> None:
    answer = receiver.post(b"not JSON", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.json() == {"error": "The credentials are missing or wrong."}


def test_who_has_no_credentials_gets_the_answer_before_the_body_is_sent(receiver: Running) -> None:
    with receiver.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_two_credentials_are_as_good_as_none(receiver: Running) -> None:
    line = f"Authorization: Bearer {TOKEN}\r\n"
    head = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}{line}Content-Length: 2\r\n\r\n{{}}"
    assert receiver.exchange(head.encode()).startswith(b"HTTP/1.1 401 ")


def test_the_scheme_may_be_written_in_any_case(receiver: Running) -> None:
    assert receiver.post(EVENT, headers={"authorization": f"bEARER {TOKEN}"}).status_code == 200


def test_basic_authentication(tmp_path: Path) -> None:
    settings = {"WIZ_DEFEND_AUTH": "basic", "WIZ_DEFEND_USERNAME": "wïz", "WIZ_DEFEND_PASSWORD": "pass:wörd €"}
    with running_receiver(tmp_path, settings) as running:
        assert running.post(EVENT, headers=basic("wïz:pass:wörd €".encode())).status_code == 200
        for login in ("wïz:pass", "wïz:", ":", "", "other:pass:wörd €", "wïz:pass:wörd €€"):
            answer = running.post(EVENT, headers=basic(login.encode()))
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="wiz-dagster", charset="UTF-8"'
        assert running.post(EVENT, headers=basic("wïz:pass:wörd".encode("latin-1"))).status_code == 401
        for value in ("Basic", "Basic !!!", "Basic d2l6", "Bearer d2l6"):
            assert running.post(EVENT, headers={"Authorization": value}).status_code == 401
        assert "wörd" not in running.log()


def test_a_token_in_a_header_of_its_own(tmp_path: Path) -> None:
    settings = {**WITH_TOKEN, "WIZ_DEFEND_TOKEN_HEADER": "X-Wiz-Token", "WIZ_DEFEND_TOKEN": "tökén"}
    with running_receiver(tmp_path, settings) as running:
        assert running.post(EVENT, headers={"x-wiz-token": "tökén".encode()}).status_code == 200  # type: ignore[dict-item]
        for headers in ({"X-Wiz-Token": "Bearer tok"}, {"Authorization": "Bearer tok"}, {"X-Wiz-Token": ""}):
            answer = running.post(EVENT, headers=headers)
            assert answer.status_code == 401
            assert "WWW-Authenticate" not in answer.headers


def test_without_authentication_it_warns(tmp_path: Path) -> None:
    with running_receiver(tmp_path, {"WIZ_DEFEND_AUTH": "none"}) as running:
        assert running.post(EVENT, headers={}).status_code == 200
        assert "WARNING WIZ_DEFEND_AUTH is none" in running.log()


def test_the_secret_in_clear_beyond_this_machine_is_warned_of(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from wiz_dagster.cli import main; main()", "receiver"],
        env={
            **WITH_TOKEN,
            "WIZ_DEFEND_ADDRESS": "0.0.0.0",
            "WIZ_DEFEND_PORT": "0",
            "WIZ_DEFEND_SPOOL": str(tmp_path / "s"),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    lines = [process.stderr.readline() for _ in range(2)]
    process.terminate()
    process.communicate()
    assert "receiver: http://0.0.0.0:" in lines[0]
    assert "WARNING No TLS beyond this machine" in lines[1]


def test_figures_tell_what_was_taken_and_refused(tmp_path: Path) -> None:
    with running_receiver(tmp_path, WITH_TOKEN) as running:
        running.post(EVENT)
        running.post(b"[{}, {}]")
        running.post(b"x")
        running.post(EVENT, headers={})
        assert running.get("/metrics").status_code == 401
        figures = running.metrics()
        assert figures["wiz_defend_accepted_requests_total"] == 2
        assert figures["wiz_defend_accepted_events_total"] == 3
        assert figures["wiz_defend_accepted_bytes_total"] == len(EVENT) + 8
        assert figures['wiz_defend_refused_total{reason="not_json"}'] == 1
        assert figures['wiz_defend_refused_total{reason="credentials"}'] == 2
        assert figures['wiz_defend_refused_total{reason="spool"}'] == 0
        assert figures["wiz_defend_append_seconds_count"] == 2
        assert figures["wiz_defend_requests_in_progress"] == 0
        assert figures["wiz_defend_spool_segments"] in {0, 1}
        running.stop()
    with running_receiver(tmp_path, WITH_TOKEN) as running:
        figures = running.metrics()
        assert figures["wiz_defend_spool_segments"] == 1
        assert figures["wiz_defend_spool_bytes"] > len(EVENT)
        assert figures["wiz_defend_spool_oldest_age_seconds"] > 0


def test_a_flood_of_bad_requests_does_not_flood_the_log(receiver: Running) -> None:
    for _ in range(100):
        receiver.exchange(b"nonsense\r\n\r\n")
        receiver.post(EVENT, headers={})
    assert receiver.log().count("WARNING refused: This is not HTTP.") == 1
    assert receiver.log().count("WARNING refused: The credentials are missing or wrong.") == 1


def test_it_runs_without_dagster() -> None:
    program = "import sys, wiz_dagster.defend.server; print('dagster' in sys.modules, 'pandas' in sys.modules)"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout == "False False\n"
