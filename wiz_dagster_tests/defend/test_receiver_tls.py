"""TLS of the receiver: which handshakes end in a connection, with and without client certificates."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from wiz_dagster.sandbox.certificates import AUTHORITY, CLIENT, SERVER, can_be_made, make_authority, make_certificate
from wiz_dagster_tests.defend.receiving import BEARER, WITH_TOKEN, Running, read_all, running_receiver, until

pytestmark = pytest.mark.skipif(not can_be_made(), reason="certificates are made by openssl")
EVENT = b'{"id": "d1"}'


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ours, and in `other` those of somebody else."""
    folder = tmp_path_factory.mktemp("certificates")
    for place in (folder, folder / "other"):
        place.mkdir(exist_ok=True)
        make_authority(place)
        make_certificate(place, "server", SERVER)
        make_certificate(place, "client", CLIENT)
    return folder


def settings(certificates: Path, **others: str) -> dict[str, str]:
    own = {
        "WIZ_DEFEND_TLS_CERT": str(certificates / "server.crt"),
        "WIZ_DEFEND_TLS_KEY": str(certificates / "server.key"),
    }
    return {**WITH_TOKEN, **own, **{f"WIZ_DEFEND_{name}": value for name, value in others.items()}}


def pair(folder: Path) -> tuple[str, str]:
    return str(folder / "client.crt"), str(folder / "client.key")


@pytest.fixture(scope="module")
def mutual(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    own = settings(certificates, CLIENT_CA=str(certificates / AUTHORITY))
    with running_receiver(tmp_path_factory.mktemp("mutual"), own) as running:
        yield running
        assert "Traceback" not in running.log()


def test_events_come_over_tls(certificates: Path, tmp_path: Path) -> None:
    with running_receiver(tmp_path, settings(certificates)) as running:
        verify = str(certificates / AUTHORITY)
        assert running.scheme == "https"
        assert running.post(EVENT, verify=verify).json() == {"accepted": 1}
        assert running.post(EVENT, verify=verify, headers={}).status_code == 401
        with pytest.raises(requests.exceptions.SSLError):
            running.post(EVENT, verify=str(certificates / "other" / AUTHORITY))
        assert b"HTTP" not in running.exchange(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert running.post(EVENT, verify=verify).status_code == 200
        until(lambda: "refused: The TLS handshake failed." in running.log())
        assert running.stop() == 0
        assert running.spooled() == [EVENT] * 2
        assert "Traceback" not in running.log()


@pytest.mark.parametrize(
    ("version", "welcome"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_is_at_least_1_2(certificates: Path, tmp_path: Path, version: ssl.TLSVersion, welcome: bool) -> None:
    context = ssl.create_default_context(cafile=certificates / AUTHORITY)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with running_receiver(tmp_path, settings(certificates)) as running:
        try:
            with context.wrap_socket(running.connect(), server_hostname="127.0.0.1") as connection:
                assert connection.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
                assert welcome
        except (ssl.SSLError, ConnectionError):
            assert not welcome


def test_who_shows_our_certificate_is_let_in(mutual: Running, certificates: Path) -> None:
    answer = mutual.post(EVENT, verify=str(certificates / AUTHORITY), cert=pair(certificates))
    assert answer.status_code == 200


def test_a_certificate_does_not_stand_in_for_the_token(mutual: Running, certificates: Path) -> None:
    answer = mutual.post(EVENT, verify=str(certificates / AUTHORITY), cert=pair(certificates), headers={})
    assert answer.status_code == 401


@pytest.mark.parametrize("place", [None, "other"])
def test_who_shows_none_or_another_one_is_not_let_in(mutual: Running, certificates: Path, place: str | None) -> None:
    shown = pair(certificates / place) if place else None
    with pytest.raises(requests.ConnectionError):
        mutual.post(EVENT, verify=str(certificates / AUTHORITY), cert=shown)


def test_a_server_s_certificate_is_none_of_a_client(mutual: Running, certificates: Path) -> None:
    shown = (str(certificates / "server.crt"), str(certificates / "server.key"))
    with pytest.raises(requests.ConnectionError):
        mutual.post(EVENT, verify=str(certificates / AUTHORITY), cert=shown)


def test_optional_certificates_are_checked_when_they_are_shown(certificates: Path, tmp_path: Path) -> None:
    own = settings(certificates, CLIENT_CA=str(certificates / AUTHORITY), CLIENT_CERT="optional")
    with running_receiver(tmp_path, own) as running:
        verify = str(certificates / AUTHORITY)
        assert "client certificate optional" in running.log()
        assert running.post(EVENT, verify=verify).status_code == 200
        assert running.post(EVENT, verify=verify, cert=pair(certificates)).status_code == 200
        with pytest.raises(requests.ConnectionError):
            running.post(EVENT, verify=verify, cert=pair(certificates / "other"))


def test_connections_that_say_nothing_leave_room_when_their_time_is_over(certificates: Path, tmp_path: Path) -> None:
    own = settings(certificates, MAX_REQUESTS="1", TIMEOUT="2")
    with running_receiver(tmp_path, own) as running:
        silent = [running.connect() for _ in range(4)]
        with pytest.raises(requests.ConnectionError):
            running.post(EVENT, verify=str(certificates / AUTHORITY))
        for connection in silent:
            assert read_all(connection) == b""
            connection.close()
        until(lambda: _accepts(running, certificates))


def test_a_handshake_under_way_does_not_delay_the_end(certificates: Path, tmp_path: Path) -> None:
    with running_receiver(tmp_path, settings(certificates)) as running:
        with socket.create_connection(("127.0.0.1", running.port)):
            assert running.post(EVENT, verify=str(certificates / AUTHORITY)).status_code == 200
            assert running.stop() == 0
        assert running.spooled() == [EVENT]
        assert "Traceback" not in running.log()


def _accepts(running: Running, certificates: Path) -> bool:
    try:
        return running.post(EVENT, verify=str(certificates / AUTHORITY), headers=BEARER).ok
    except requests.ConnectionError:
        return False
