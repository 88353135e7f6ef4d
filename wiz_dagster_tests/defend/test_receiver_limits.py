"""What a receiver does when there is too much, too slow, no disk, or the end: bounds hold, nothing taken is lost."""

import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from wiz_dagster_tests.defend.receiving import (
    BEARER,
    TOKEN,
    WITH_A_SPOOL_THAT_FAILS,
    WITH_TOKEN,
    Running,
    quiet_session,
    read_all,
    running_receiver,
    until,
)

EVENT = b'{"id": "d1", "title": "payload-of-the-test"}'
AUTHORIZATION = f"Authorization: Bearer {TOKEN}\r\n".encode()
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION


def whole(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Gives up soon, and can be shared by tests that keep nothing."""
    folder = tmp_path_factory.mktemp("impatient")
    with running_receiver(folder, {**WITH_TOKEN, "WIZ_DEFEND_TIMEOUT": "0.5"}) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Of no test alone: who is refused here wasn't too slow, however slow the machine is."""
    with running_receiver(tmp_path_factory.mktemp("patient"), WITH_TOKEN) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Running]:
    """To be stopped, and its spool read; a connection that it has to close for good is closed soon."""
    with running_receiver(tmp_path, {**WITH_TOKEN, "WIZ_DEFEND_TIMEOUT": "2"}) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Running]:
    settings = {**WITH_TOKEN, "WIZ_DEFEND_MAX_REQUESTS": "2"}
    with running_receiver(tmp_path, settings, WITH_A_SPOOL_THAT_FAILS) as running:
        yield running
        log = running.log()
        assert "payload" not in log
        assert "Traceback" not in log


def test_a_body_that_does_not_arrive_is_given_up(impatient: Running) -> None:
    answer = impatient.exchange(HEAD + b"Content-Length: 10\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b'{"error":"The request took too long to arrive."}')


def test_a_body_that_trickles_is_given_up(impatient: Running) -> None:
    with impatient.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        trickle(connection, b"1\r\n \r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_does_not_arrive_is_given_up(impatient: Running) -> None:
    assert impatient.exchange(HEAD).startswith(b"HTTP/1.1 408 ")
    assert impatient.exchange(b"") == b""


def test_a_head_that_trickles_is_given_up(impatient: Running) -> None:
    with impatient.connect() as connection:
        connection.sendall(HEAD)
        trickle(connection, b"X-A: b\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_second_head_that_trickles_is_given_up(impatient: Running) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        trickle(connection, b"P")
        read_all(connection)


def test_the_rest_of_a_body_that_was_refused_is_not_taken_for_ever(impatient: Running) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
        trickle(connection, b"1\r\n \r\n")
        read_all(connection)


def test_who_does_not_take_the_answers_is_given_up(impatient: Running) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", impatient.port))
        with pytest.raises(ConnectionError):
            for _ in range(1_000):
                connection.sendall((b"GET /metrics HTTP/1.1\r\n" + AUTHORIZATION + b"\r\n") * 8)
                time.sleep(0.03)
    until(lambda: impatient.metrics()["wiz_defend_connections"] == 1)


def trickle(connection: socket.socket, piece: bytes) -> None:
    """Send pieces until the other side has had enough."""
    connection.settimeout(0.1)
    for _ in range(200):
        try:
            connection.sendall(piece)
            if not connection.recv(1, socket.MSG_PEEK):
                break
            break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        raise AssertionError("it was taken for ever")
    connection.settimeout(30)


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"X-Long: " + b"x" * 40_000 + b"\r\n\r\n",
        HEAD + b"X-Long: " + b"x" * 400_000,
        HEAD + b"X-A: b\r\n" * 200 + b"\r\n",
        b"POST /" + b"x" * 400_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: " + b"x" * 400_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 400_000,
    ],
)
def test_a_head_is_bounded(patient: Running, sent: bytes) -> None:
    assert patient.exchange(sent).startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def test_trailers_are_no_headers(patient: Running) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    assert patient.exchange(head + AUTHORIZATION + b"\r\n").startswith(b"HTTP/1.1 401 ")
    bad = head.replace(b"Host: x\r\n", AUTHORIZATION) + b"Content-Encoding: br\r\n\r\n"
    assert patient.exchange(bad).startswith(b"HTTP/1.1 200 ")


def test_who_asks_for_another_protocol_is_answered_in_this_one(failing: Running) -> None:
    head = HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    sized = head + b"Content-Length: %d\r\n\r\n%b" % (len(EVENT), EVENT)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)
    with failing.connect() as connection:
        connection.sendall(sized + chunked + whole(EVENT) + head)
        time.sleep(0.1)
        connection.sendall(b"Content-Length: 2\r\n\r\n[]GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
        answers = read_all(connection)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"200"] * 5
    assert failing.exchange(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    failing.stop()
    assert failing.spooled() == [EVENT] * 3


def test_requests_sent_ahead_are_answered_in_order(patient: Running) -> None:
    with patient.connect() as connection:
        connection.sendall(whole(EVENT) + whole(b"x") + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
        answers = read_all(connection)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"200", b"400", b"200"]


def test_what_is_broken_does_not_spoil_the_answer_to_what_came_before(own: Running) -> None:
    answer = own.exchange(whole(EVENT) + b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 400 " not in answer


def test_too_many_requests_ahead_end_the_connection(own: Running) -> None:
    answers = own.exchange(whole(EVENT) * 1_000)
    assert answers.startswith(b"HTTP/1.1 200 ")
    accepted = answers.count(b"HTTP/1.1 200 ")
    assert accepted < 100
    own.stop()
    assert len(own.spooled()) == accepted


def test_a_request_too_many_is_told_to_come_again(failing: Running) -> None:
    slow = failing.spool.parent / "slow"
    slow.touch()
    with ThreadPoolExecutor() as pool:
        taken = [pool.submit(failing.post, EVENT) for _ in range(2)]
        until(lambda: failing.metrics()["wiz_defend_requests_in_progress"] == 2)
        refused = failing.post(EVENT)
        assert failing.post(EVENT, headers={}).status_code == 401
        assert failing.get("/healthz").status_code == 200
        slow.unlink()
        assert [one.result().status_code for one in taken] == [200, 200]
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert refused.json() == {"error": "Too many requests are under way; send it again."}
    assert failing.post(EVENT).status_code == 200
    failing.stop()
    assert failing.spooled() == [EVENT] * 3


def test_a_connection_too_many_is_closed(failing: Running) -> None:
    idle = [failing.connect() for _ in range(8)]
    with failing.connect() as one_more:
        assert read_all(one_more) == b""
    for connection in idle:
        connection.close()
    until(lambda: _answers(failing))
    assert failing.metrics()['wiz_defend_refused_total{reason="connections"}'] >= 1


def _answers(running: Running) -> bool:
    try:
        return running.get("/healthz").ok
    except requests.ConnectionError:
        return False


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(failing: Running) -> None:
    full = failing.spool.parent / "full"
    assert failing.post(EVENT).status_code == 200
    full.touch()
    answer = failing.post(b'{"id": "d2"}')
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json() == {"error": "Events can't be kept at the moment; send it again."}
    assert failing.get("/healthz").status_code == 503
    assert "No space left on device" in failing.log()
    full.unlink()
    assert failing.post(b'{"id": "d3"}').status_code == 200
    assert failing.get("/healthz").json() == {"status": "ok"}
    failing.stop()
    assert failing.spooled() == [EVENT, b'{"id": "d3"}']


def test_an_error_of_the_program_shows_its_place_and_no_more(failing: Running) -> None:
    broken = failing.spool.parent / "broken"
    broken.touch()
    answer = failing.post(EVENT)
    assert answer.status_code == 500
    assert answer.json() == {"error": "Something went wrong here."}
    until(lambda: "RuntimeError at failing_spool.py:" in failing.log())
    broken.unlink()
    assert failing.post(EVENT).status_code == 200


def test_health_says_when_the_spool_is_gone(failing: Running) -> None:
    assert failing.get("/healthz").json() == {"status": "ok"}
    failing.spool.rename(failing.spool.with_name("elsewhere"))
    until(lambda: failing.get("/healthz").status_code == 503)
    assert failing.post(EVENT).status_code == 503


def test_a_client_that_goes_is_no_error(failing: Running) -> None:
    with failing.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 10\r\n\r\n{")
    until(lambda: failing.metrics()['wiz_defend_refused_total{reason="gone"}'] == 1)
    assert failing.metrics()["wiz_defend_requests_in_progress"] == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_keeps_all_that_was_acknowledged(tmp_path: Path, how: signal.Signals) -> None:
    accepted: list[bytes] = []
    with running_receiver(tmp_path, WITH_TOKEN) as running:
        clients = [threading.Thread(target=_post_until_refused, args=(running, n, accepted)) for n in range(4)]
        for client in clients:
            client.start()
        until(lambda: len(accepted) > 100)
        assert running.stop(how) == 0
        for client in clients:
            client.join()
        spooled = running.spooled()
        assert set(accepted) <= set(spooled)
        assert len(spooled) == len(set(spooled))
        assert not list(running.spool.rglob("*.open"))


def test_a_kill_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    accepted: list[bytes] = []
    for _ in range(3):
        with running_receiver(tmp_path, WITH_TOKEN) as running:
            enough = len(accepted) + 100
            numbers = range(len(accepted), len(accepted) + 4)
            clients = [threading.Thread(target=_post_until_refused, args=(running, n, accepted)) for n in numbers]
            for client in clients:
                client.start()
            until(lambda enough=enough: len(accepted) > enough)
            running.process.kill()
            for client in clients:
                client.join()
            running.process.wait()
            spooled = running.spooled()
    assert set(accepted) <= set(spooled)
    assert len(spooled) == len(set(spooled))


def test_a_stop_waits_for_what_is_under_way(failing: Running) -> None:
    slow = failing.spool.parent / "slow"
    slow.touch()
    with ThreadPoolExecutor() as pool:
        taken = pool.submit(failing.post, EVENT)
        until(lambda: failing.metrics()["wiz_defend_requests_in_progress"] == 1)
        failing.process.terminate()
        until(lambda: not _listens(failing))
        slow.unlink()
        assert taken.result().json() == {"accepted": 1}
    assert failing.stop() == 0
    assert failing.spooled() == [EVENT]


def _listens(running: Running) -> bool:
    try:
        running.connect().close()
    except ConnectionError:
        return False
    return True


def _post_until_refused(running: Running, number: int, accepted: list[bytes]) -> None:
    with quiet_session() as session:
        for turn in range(100_000):
            body = b'{"id": "%d-%d"}' % (number, turn)
            try:
                if session.post(running.url, body, headers=BEARER, timeout=30).status_code == 200:
                    accepted.append(body)
            except requests.ConnectionError:
                return
