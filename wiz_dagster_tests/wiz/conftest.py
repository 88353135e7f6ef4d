from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz import retries
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.rate_limit import open_budget
from wiz_dagster_tests.wiz.scripted_wiz import ScriptedWiz


@pytest.fixture
def wiz() -> Iterator[ScriptedWiz]:
    server = ScriptedWiz()
    yield server
    server.close()


@pytest.fixture
def settings(wiz: ScriptedWiz, tmp_path: Path) -> WizSettings:
    return WizSettings(
        client_id="the-id",
        client_secret="the-secret",
        api_url=f"{wiz.url}/graphql",
        token_url=f"{wiz.url}/token",
        requests_per_second=10_000,
        rate_limit_url=str(tmp_path / "budget"),
    )


@pytest.fixture
def client(settings: WizSettings) -> Iterator[WizClient]:
    with WizClient(settings, open_budget(settings)) as client:
        yield client


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(retries, "LONGEST_SECONDS", 0.004)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody trusts, and its key."""
    return _self_signed(tmp_path)


@pytest.fixture
def https_wiz(certificate: Path) -> Iterator[ScriptedWiz]:
    server = ScriptedWiz(certificate)
    yield server
    server.close()


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
