"""The command as a program: what it loads, how it ends, and that its services end with it."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from wiz_dagster.datasets import DATASETS
from wiz_dagster.elasticsearch.latest_views import VIEWS

PROGRAM = [sys.executable, "-c", "from wiz_dagster.cli import main; main()"]
BARE = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


def wiz_dagster(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], input=stdin, env=BARE | environment, capture_output=True, text=True, check=False
    )


def test_help_lists_the_commands() -> None:
    outcome = wiz_dagster("--help")
    assert outcome.returncode == 0
    for command in ("demo", "dev", "doctor", "receiver", "recover", "sandbox", "setup", "transform", "verify"):
        assert f"  {command} " in outcome.stdout


def test_transform_does_not_load_dagster() -> None:
    program = (
        "import sys\nfrom wiz_dagster.cli import main\nsys.argv = ['wiz-dagster', 'transform', 'audit']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'dagster' in sys.modules, file=sys.stderr)"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], input='{"id": "1"}\n', env=BARE, capture_output=True, text=True, check=False
    )
    assert outcome.stderr == "0 False\n"
    assert json.loads(outcome.stdout)["tags"]


def test_transform_takes_exactly_the_given_tags() -> None:
    outcome = wiz_dagster("transform", "issue", "--tag", "a", "--tag", "preserve_original_event", stdin='{"id": "1"}\n')
    document = json.loads(outcome.stdout)
    assert document["tags"] == ["a", "preserve_original_event"]
    assert json.loads(document["event"]["original"]) == {"id": "1"}


def test_an_error_is_one_sentence_and_exit_1() -> None:
    outcome = wiz_dagster("transform", "isue", stdin="{}\n")
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("wiz-dagster: ")
    assert len(outcome.stderr.splitlines()) == 1
    assert all(dataset.name in outcome.stderr for dataset in DATASETS)


def test_missing_settings_are_named() -> None:
    outcome = wiz_dagster("setup")
    assert (outcome.returncode, outcome.stderr.count("\n")) == (1, 1)
    assert "ELASTICSEARCH_URL" in outcome.stderr
    outcome = wiz_dagster("recover")
    assert (outcome.returncode, "DAGSTER_HOME" in outcome.stderr) == (1, True)


def test_setup_prints_templates_and_indices_without_connecting() -> None:
    outcome = wiz_dagster("setup", "--print", ELASTICSEARCH_URL="http://127.0.0.1:9")
    bodies = json.loads(outcome.stdout)
    patterns = {pattern for template in bodies["index_templates"].values() for pattern in template["index_patterns"]}
    assert patterns == {f"logs-wiz.{dataset.stream}-*" for dataset in DATASETS}
    assert set(bodies["indices"]) == {view.index for view in VIEWS}


def test_the_emulator_serves_until_sigterm(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.ndjson"
    nodes.write_text('{"id": "1"}\n')
    command = [*PROGRAM, "sandbox", "wiz", "--nodes", f"issue={nodes}"]
    with subprocess.Popen(command, env=BARE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        exported = dict(process.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(5))
        url = exported["WIZ_TOKEN_URL"]
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url, data=b"", timeout=10)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(url, data=b"", timeout=10)


@pytest.mark.parametrize("given", ["issue", "vulnerabilities=nodes.ndjson", "issue=/nowhere.ndjson"])
def test_nodes_that_cannot_be_served_are_said(given: str) -> None:
    outcome = wiz_dagster("sandbox", "wiz", "--nodes", given)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("wiz-dagster: ")
    assert "Traceback" not in outcome.stderr
