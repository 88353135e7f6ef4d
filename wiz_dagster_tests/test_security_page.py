"""What docs/security.md and the proxies' files say is so."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dagster_webserver.cli import DEFAULT_WEBSERVER_HOST

from wiz_dagster.alerts.settings import AlertSettings
from wiz_dagster.defend.settings import ReceiverSettings
from wiz_dagster.sandbox.certificates import AUTHORITY, SERVER, make_authority, make_certificate
from wiz_dagster.settings import ElasticsearchSettings, LandingSettings, PipelineSettings, WizSettings, variables

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_web_server_listens_on_loopback_where_nobody_says_otherwise() -> None:
    assert DEFAULT_WEBSERVER_HOST == "127.0.0.1"
    shown = "".join(path.read_text() for path in (ROOT / "README.md", ROOT / "Makefile"))
    assert not re.search(r"dagster-webserver\S* [^\n]*(-h|--host)\b", shown)


def test_the_page_names_variables_and_files_that_there_are() -> None:
    models = (WizSettings, ElasticsearchSettings, LandingSettings, PipelineSettings, ReceiverSettings, AlertSettings)
    known = {name for model in models for name in variables(model)}
    assert set(re.findall(r"\b(?:WIZ|ELASTICSEARCH)_[A-Z_]+", PAGE)) <= known
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx")
@pytest.mark.parametrize("name", ["nginx-dagster.conf", "nginx-receiver.conf"])
def test_nginx_takes_the_proxy_s_file(tmp_path: Path, name: str) -> None:
    make_authority(tmp_path)
    make_certificate(tmp_path, "server", SERVER)
    (tmp_path / "dagster.htpasswd").write_text("somebody:{PLAIN}x\n")
    text = (ROOT / "deploy" / name).read_text()
    for said, there in {
        "/etc/wiz-dagster/tls/server.pem": "server.crt",
        "/etc/wiz-dagster/tls/server.key": "server.key",
        "/etc/wiz-dagster/tls/client-ca.pem": AUTHORITY,
        "/etc/wiz-dagster/dagster.htpasswd": "dagster.htpasswd",
    }.items():
        text = text.replace(said, str(tmp_path / there))
    assert "/etc/wiz-dagster" not in text
    (tmp_path / "site.conf").write_text(text)
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi"))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ {temporary} include {tmp_path}/site.conf; }}"
    )
    done = subprocess.run(
        ["nginx", "-t", "-q", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
