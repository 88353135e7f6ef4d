"""The demo's folder: made once, kept, private, held by one at a time; and the environment that comes of it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.sandbox.state import open_state, sandbox_environment

NOW = datetime(2026, 3, 10, 13, 30, 15, 999, tzinfo=UTC)
WIZ = {"WIZ_CLIENT_ID": "emulator", "WIZ_API_URL": "http://127.0.0.1:1/graphql"}


def test_the_first_demo_s_moment_is_kept(tmp_path: Path) -> None:
    with open_state(tmp_path / "home", NOW) as first:
        pass
    with open_state(tmp_path / "home", NOW + timedelta(days=9)) as second:
        assert second == first
        assert second.days == ["2026-03-07", "2026-03-08", "2026-03-09"]


def test_the_folder_is_private(tmp_path: Path) -> None:
    os.umask(os.umask(0o022))
    with open_state(tmp_path / "home", NOW) as state:
        folders = [state.home, state.dagster_home, state.landing]
        assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}
        files = [path for path in state.home.rglob("*") if path.is_file()]
        assert files
        assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with open_state(tmp_path, NOW), pytest.raises(TransientError, match="stop it first"), open_state(tmp_path, NOW):
        pass
    with open_state(tmp_path, NOW):
        pass


def test_damaged_state_is_said_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"moment": "2026')
    with pytest.raises(PermanentError, match=r"state\.json is damaged"), open_state(tmp_path, NOW):
        pass
    assert (tmp_path / "state.json").read_text() == '{"moment": "2026'


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match="can't be used"), open_state(tmp_path / "file" / "home", NOW):
        pass


def test_no_setting_of_a_real_tenant_or_cluster_gets_into_the_sandbox(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "WIZ_API_URL": "https://api.us1.app.wiz.io",
        "WIZ_CLIENT_SECRET": "real",
        "WIZ_CONFIG": "/etc/wiz.yaml",
        "DAGSTER_HOME": "/srv/dagster",
        "ELASTICSEARCH_API_KEY": "real",
    }
    with open_state(tmp_path, NOW) as state:
        environment = sandbox_environment(state, given, WIZ, "http://127.0.0.1:9200")
    assert "real" not in environment.values()
    assert "WIZ_CONFIG" not in environment
    assert environment["PATH"] == "/bin"
    assert environment["WIZ_API_URL"] == WIZ["WIZ_API_URL"]
    assert environment["DAGSTER_HOME"] == str(state.dagster_home)
    assert environment["ELASTICSEARCH_URL"] == "http://127.0.0.1:9200"


def test_the_login_of_a_named_cluster_is_kept(tmp_path: Path) -> None:
    given = {"ELASTICSEARCH_URL": "https://es.example", "ELASTICSEARCH_API_KEY": "key", "WIZ_NAMESPACE": "trial"}
    with open_state(tmp_path, NOW) as state:
        environment = sandbox_environment(state, given, WIZ, "https://es.example")
    assert environment["ELASTICSEARCH_API_KEY"] == "key"
    assert environment["WIZ_NAMESPACE"] == "trial"
    assert environment["WIZ_DESTINATION"] == "elasticsearch"


def test_without_a_cluster_documents_go_to_files(tmp_path: Path) -> None:
    with open_state(tmp_path, NOW) as state:
        environment = sandbox_environment(state, {"ELASTICSEARCH_USERNAME": "me"}, WIZ, None)
    assert environment["WIZ_DESTINATION"] == "files"
    assert not any(name.startswith("ELASTICSEARCH_") for name in environment)
