"""The receiver's settings: what it starts with, and the one sentence that names what is wrong."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from wiz_dagster.defend.server import run_receiver
from wiz_dagster.defend.settings import read_receiver_settings, read_spool_settings
from wiz_dagster.errors import SettingsError
from wiz_dagster.sandbox.certificates import SERVER, can_be_made, make_authority, make_certificate

TOKEN = {"WIZ_DEFEND_AUTH": "token", "WIZ_DEFEND_TOKEN": "s3cret"}
BASIC = {"WIZ_DEFEND_AUTH": "basic", "WIZ_DEFEND_USERNAME": "wiz", "WIZ_DEFEND_PASSWORD": "s3cret"}


def error_of(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        run_receiver(environment)
    message = str(caught.value)
    assert "\n" not in message
    assert "s3cret" not in message
    return message


def test_defaults_are_the_integration_s_and_safe() -> None:
    settings = read_receiver_settings(TOKEN)
    assert (settings.address, settings.port, settings.path) == ("127.0.0.1", 9588, "/")
    assert settings.token_header == "Authorization"
    assert settings.spool == Path("wiz-spool")
    assert settings.timeout == timedelta(seconds=30)
    assert (settings.max_body, settings.max_requests) == (5_000_000, 64)


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(read_receiver_settings(TOKEN))
    assert "s3cret" not in repr(read_receiver_settings(BASIC))


def test_the_spool_is_known_without_the_receiver_s_settings() -> None:
    assert read_spool_settings({"WIZ_DEFEND_AUTH": "nonsense"}).spool == Path("wiz-spool")
    assert read_spool_settings({"WIZ_DEFEND_SPOOL": "~/spool"}).spool == Path("~/spool").expanduser()


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, ["WIZ_DEFEND_AUTH"]),
        ({"WIZ_DEFEND_AUTH": "digest"}, ["WIZ_DEFEND_AUTH"]),
        ({"WIZ_DEFEND_AUTH": "token"}, ["WIZ_DEFEND_TOKEN"]),
        ({"WIZ_DEFEND_AUTH": "token", "WIZ_DEFEND_TOKEN": "  "}, ["WIZ_DEFEND_TOKEN"]),
        ({"WIZ_DEFEND_AUTH": "token", "WIZ_DEFEND_TOKEN": "s3cret\n"}, ["WIZ_DEFEND_TOKEN"]),
        ({"WIZ_DEFEND_AUTH": "basic", "WIZ_DEFEND_USERNAME": "wiz"}, ["WIZ_DEFEND_PASSWORD"]),
        ({**BASIC, "WIZ_DEFEND_USERNAME": ""}, ["WIZ_DEFEND_USERNAME"]),
        ({**BASIC, "WIZ_DEFEND_USERNAME": "a:b"}, ["WIZ_DEFEND_USERNAME"]),
        ({**TOKEN, "WIZ_DEFEND_TOKEN_HEADER": "X Token"}, ["WIZ_DEFEND_TOKEN_HEADER"]),
        ({**TOKEN, "WIZ_DEFEND_PATH": "wiz"}, ["WIZ_DEFEND_PATH"]),
        ({**TOKEN, "WIZ_DEFEND_PATH": "/{wiz}"}, ["WIZ_DEFEND_PATH"]),
        ({**TOKEN, "WIZ_DEFEND_PATH": "/metrics"}, ["WIZ_DEFEND_PATH"]),
        ({**TOKEN, "WIZ_DEFEND_PORT": "70000"}, ["WIZ_DEFEND_PORT"]),
        ({**TOKEN, "WIZ_DEFEND_MAX_BODY": "0"}, ["WIZ_DEFEND_MAX_BODY"]),
        ({**TOKEN, "WIZ_DEFEND_MAX_BODY": "1 MB", "WIZ_DEFEND_PORT": "x"}, ["WIZ_DEFEND_MAX_BODY", "WIZ_DEFEND_PORT"]),
        ({**TOKEN, "WIZ_DEFEND_TIMEOUT": "0"}, ["WIZ_DEFEND_TIMEOUT"]),
        ({**TOKEN, "WIZ_DEFEND_TIMEOUT": "soon"}, ["WIZ_DEFEND_TIMEOUT"]),
        ({**TOKEN, "WIZ_DEFEND_MAX_REQUESTS": "0"}, ["WIZ_DEFEND_MAX_REQUESTS"]),
        ({**TOKEN, "WIZ_DEFEND_TLS_CERT": "/nowhere"}, ["WIZ_DEFEND_TLS_CERT"]),
        ({**TOKEN, "WIZ_DEFEND_TLS_CERT": __file__}, ["WIZ_DEFEND_TLS_CERT", "WIZ_DEFEND_TLS_KEY"]),
        ({**TOKEN, "WIZ_DEFEND_CLIENT_CA": __file__}, ["WIZ_DEFEND_CLIENT_CA", "WIZ_DEFEND_TLS_CERT"]),
        ({**TOKEN, "WIZ_DEFEND_CLIENT_CERT": "optional"}, ["WIZ_DEFEND_CLIENT_CERT", "WIZ_DEFEND_CLIENT_CA"]),
        ({**TOKEN, "WIZ_DEFEND_TLS_CERT": __file__, "WIZ_DEFEND_TLS_KEY": __file__}, ["WIZ_DEFEND_TLS_CERT"]),
        ({**TOKEN, "WIZ_DEFEND_SPOOL": __file__}, ["WIZ_DEFEND_SPOOL"]),
        ({**TOKEN, "WIZ_DEFEND_SPOOL": "/proc/spool"}, ["WIZ_DEFEND_SPOOL"]),
    ],
)
def test_what_is_wrong_is_named(environment: dict[str, str], names: list[str]) -> None:
    message = error_of(environment)
    assert all(name in message for name in names)


def test_an_address_that_is_not_this_machine_s_is_named(tmp_path: Path) -> None:
    own = {**TOKEN, "WIZ_DEFEND_SPOOL": str(tmp_path / "spool")}
    assert "WIZ_DEFEND_ADDRESS: " in error_of({**own, "WIZ_DEFEND_ADDRESS": "192.0.2.1"})
    assert "WIZ_DEFEND_ADDRESS: " in error_of({**own, "WIZ_DEFEND_ADDRESS": "no such host"})


def test_a_port_in_use_is_named_by_the_command(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environment = {**TOKEN, "WIZ_DEFEND_PORT": str(port), "WIZ_DEFEND_SPOOL": str(tmp_path / "spool")}
        command = [sys.executable, "-c", "from wiz_dagster.cli import main; main()", "receiver"]
        outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    assert outcome.stderr == f"wiz-dagster: WIZ_DEFEND_PORT: {port} is in use; stop what uses it, or set another.\n"


@pytest.mark.skipif(not can_be_made(), reason="certificates are made by openssl")
def test_files_of_tls_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    make_authority(tmp_path)
    make_certificate(tmp_path, "one", SERVER)
    make_certificate(tmp_path, "two", SERVER)

    def tls(cert: str, key: str, **others: str) -> dict[str, str]:
        return {
            **TOKEN,
            "WIZ_DEFEND_TLS_CERT": str(tmp_path / cert),
            "WIZ_DEFEND_TLS_KEY": str(tmp_path / key),
            **others,
        }

    assert "not the key of the certificate" in error_of(tls("one.crt", "two.key"))
    assert "WIZ_DEFEND_TLS_CERT" in error_of(tls("one.key", "one.key"))
    assert "WIZ_DEFEND_CLIENT_CA" in error_of(tls("one.crt", "one.key", WIZ_DEFEND_CLIENT_CA=__file__))
    _protect(tmp_path / "one.key", tmp_path / "protected.key")
    assert "without a password" in error_of(tls("one.crt", "protected.key"))
    if os.getuid():
        (tmp_path / "one.key").chmod(0)
        assert "WIZ_DEFEND_TLS_KEY" in error_of(tls("one.crt", "one.key"))


def _protect(key_file: Path, protected: Path) -> None:
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    how = serialization.BestAvailableEncryption(b"s3cret")
    protected.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))
