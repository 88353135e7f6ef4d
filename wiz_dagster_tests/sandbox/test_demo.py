"""The whole demo on little data: what it prints, what a second one does, and what it says when figures disagree."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from wiz_dagster.datasets import DATASETS
from wiz_dagster.errors import TransientError
from wiz_dagster.sandbox import services, state
from wiz_dagster.sandbox.demo import run_demo
from wiz_dagster.settings import ElasticsearchSettings

FEW = {"audit": 30, "issue": 40, "vulnerability": 20, "cloud_configuration_finding": 6, "detection": 10}
FILES = {"PATH": os.environ["PATH"], "WIZ_DESTINATION": "files"}
DAYS = {dataset.name: 1 if dataset.snapshot else 3 for dataset in DATASETS}
COLUMNS = ["nodes", "landed", "documents", "created", "unchanged", "deleted", "rejected"]
TOTALS = r"total created=(\d+) unchanged=(\d+) deleted=(\d+) rejected=(\d+)"


@pytest.fixture
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demos of a single day, where the number of days doesn't matter."""
    monkeypatch.setattr(state, "DEMO_DAYS", 1)


def totals(printed: str) -> tuple[int, ...]:
    """Of the last line, which must be the totals and nothing else."""
    found = re.fullmatch(TOTALS, printed.strip().splitlines()[-1])
    assert found, printed
    return tuple(int(number) for number in found.groups())


def table(printed: str) -> list[list[str]]:
    """The cells of the printed table, its header first."""
    lines = [line for line in printed.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines]


def test_a_second_demo_creates_nothing(
    tmp_path: Path,
    elasticsearch_settings: ElasticsearchSettings,
    namespace: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment = {**FILES, "ELASTICSEARCH_URL": elasticsearch_settings.url, "WIZ_NAMESPACE": namespace}
    del environment["WIZ_DESTINATION"]
    assert run_demo(tmp_path, environment, FEW)
    printed = capsys.readouterr().out
    created, unchanged, deleted, rejected = totals(printed)
    assert created > 3 * FEW["audit"]
    in_days, of_views = printed.split("Latest state of each finding")
    assert f"wiz-dagster dev --home {tmp_path}" in " ".join(printed.split())
    header, *rows = table(in_days)
    assert header == ["dataset", "day", *COLUMNS]
    assert [row[0] for row in rows] == [name for name, days in DAYS.items() for _ in range(days)]
    assert len({row[1] for row in rows if DAYS[row[0]] == 3}) == 3
    assert all(row[2:] == [row[2]] * 4 + ["0"] * 3 for row in rows)
    assert sum(int(row[2]) for row in rows) == created
    assert (unchanged, deleted, rejected) == (0, 0, 0)
    _, *views = table(of_views)
    assert [view for view, *_ in views] == ["vulnerability", "misconfiguration", "issue"]
    assert all(int(findings) == int(shown) > 0 for _, findings, shown, *_ in views)

    assert run_demo(tmp_path, environment, FEW)
    assert totals(capsys.readouterr().out) == (0, created, 0, 0)


def test_without_elasticsearch_the_demo_says_so_and_writes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_day: None
) -> None:
    monkeypatch.setattr(services, "available", lambda: "Maven (mvn) isn't installed")
    before = dict(os.environ)
    assert run_demo(tmp_path, {"PATH": os.environ["PATH"]}, FEW)
    assert dict(os.environ) == before
    printed = capsys.readouterr().out
    assert "Maven (mvn) isn't installed" in printed
    created = totals(printed)[0]
    documents = [
        json.loads(line) for file in tmp_path.glob("landing/documents/*/*/*.ndjson") for line in file.open("rb")
    ]
    assert len(documents) == created
    assert all(document["event"]["module"] == "wiz" for document in documents)

    assert run_demo(tmp_path, FILES, FEW)
    assert totals(capsys.readouterr().out) == (0, created, 0, 0)


def test_the_runs_stay_visible_under_their_jobs(tmp_path: Path, one_day: None) -> None:
    assert run_demo(tmp_path, FILES, FEW)
    with DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        runs = instance.get_runs()
        assert {run.job_name for run in runs} == {f"{dataset.name}_job" for dataset in DATASETS}
        assert len(runs) == len(DATASETS)
        for dataset in DATASETS:
            key = dg.AssetKey(["wiz", dataset.name])
            assert len(instance.get_materialized_partitions(key)) == 1


def test_figures_that_disagree_with_the_tenant_fail_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one_day: None
) -> None:
    assert run_demo(tmp_path, FILES, FEW)
    capsys.readouterr()
    fewer = FEW | {"audit": FEW["audit"] // 2}
    assert not run_demo(tmp_path, FILES, fewer)
    printed = capsys.readouterr().out
    assert re.search(r"audit \S+: landed is \d+, the tenant has 15 nodes", printed)
    assert "issue 2" not in printed.split("Dagster:")[1]


def test_an_unreachable_cluster_ends_the_demo_at_once(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="ELASTICSEARCH_URL"):
        run_demo(tmp_path, {"ELASTICSEARCH_URL": "http://127.0.0.1:9"}, FEW)


def test_a_demo_that_was_killed_is_made_good_by_the_next(tmp_path: Path, one_day: None) -> None:
    program = (
        "import sys, os; from pathlib import Path; from wiz_dagster.sandbox.demo import run_demo;"
        "run_demo(Path(sys.argv[1]), {'WIZ_DESTINATION': 'files'}, {'audit': 3000, 'issue': 40})"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(tmp_path.glob("landing/audit/*")):
            time.sleep(0.05)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert run_demo(tmp_path, FILES, {"audit": 3000, "issue": 40})
    with DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        assert {run.status for run in instance.get_runs()} == {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE}
