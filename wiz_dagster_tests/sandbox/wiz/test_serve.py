import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from wiz_dagster.errors import PermanentError
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant

from .conftest import NOW, Caller, Start

_PROGRAM = """
import sys
from wiz_dagster.sandbox.services import serve_wiz
serve_wiz(0, [f"issue={sys.argv[1]}"])
print("stopped")
"""


def test_the_foreground_server_serves_given_nodes_until_sigterm(tmp_path: Path) -> None:
    nodes = tmp_path / "issues.ndjson"
    nodes.write_text('{"id": "one"}\n{"id": "two"}\n')
    command = [sys.executable, "-c", _PROGRAM, str(nodes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        exported = dict(process.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(5))
        url = exported["WIZ_API_URL"].removesuffix("/graphql")
        caller = Caller(WizEmulator(Tenant(now=NOW), port=int(url.rpartition(":")[2])))
        found = caller.data("{ issuesV2 { nodes { id } } }")
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert url.startswith("http://127.0.0.1:")
    assert found == {"nodes": [{"id": "one"}, {"id": "two"}]}
    assert rest == "stopped\n"
    assert process.returncode == 0


def test_a_port_that_is_taken_is_named(start: Start) -> None:
    taken = int(start().emulator.url.rpartition(":")[2])
    with pytest.raises(PermanentError, match=f"127.0.0.1:{taken}"), WizEmulator(Tenant(now=NOW), port=taken):
        pass


def test_nothing_answers_after_the_block(start: Start) -> None:
    with WizEmulator(Tenant(now=NOW, days=1)) as emulator:
        assert Caller(emulator).ask_token().ok
    with pytest.raises(requests.exceptions.ConnectionError):
        Caller(emulator).ask_token()
