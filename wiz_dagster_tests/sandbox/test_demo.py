"""The whole demo on little data: what it prints, what a second one does, and what it says when figures disagree."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from wiz_dagster.datasets import DATASETS, PULLED
from wiz_dagster.errors import TransientError
from wiz_dagster.reconciliation import CHECK_JOB
from wiz_dagster.sandbox import demo_defend, figures, services, state
from wiz_dagster.sandbox.demo import run_demo
from wiz_dagster.settings import ElasticsearchSettings

FEW = {"audit": 30, "issue": 40, "vulnerability": 20, "cloud_configuration_finding": 6, "detection": 10}
FILES = {"PATH": os.environ["PATH"], "WIZ_DESTINATION": "files"}
DAYS = {dataset.name: 3 for dataset in PULLED} | {"cloud_configuration_finding_full_posture": 1, "detection": 4}
WAYS = ["none", "basic", "token", "mutual TLS"]
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
    in_days, of_views, by_webhook = re.split("Latest state of each finding|Wiz Defend's events by webhook", printed)
    assert f"wiz-dagster dev --home {tmp_path}" in " ".join(printed.split())
    header, *rows = table(in_days)
    assert header == ["dataset", "day", *COLUMNS]
    assert [row[0] for row in rows] == [name for name, days in DAYS.items() for _ in range(days)]
    assert len({row[1] for row in rows if DAYS[row[0]] == 3}) == 3
    assert len({row[1] for row in rows if row[0] == "detection"}) == 4
    assert all(row[2:] == [row[2]] * 4 + ["0"] * 3 for row in rows)
    header, *ways = table(by_webhook)
    assert header == ["authentication", "bodies", "redelivered", "accepted", "events", "documents", "wrong secret"]
    assert [way for way, *_ in ways] == WAYS
    for _, sent, again, accepted, events, documents, _ in ways:
        assert int(sent) + int(again) == int(accepted) > int(sent) > 0
        assert int(events) == int(documents) >= int(sent)
    assert [row[-1] for row in ways] == ["-", "401", "401", "no connection"]
    assert sum(int(row[2]) for row in rows) + sum(int(row[5]) for row in ways) == created
    compared = re.search(r"Of (\d+) detections .* 0 came by webhook only and 0 by wiz/detection only", by_webhook)
    assert compared, by_webhook
    assert int(compared[1]) > FEW["detection"]
    assert (unchanged, deleted, rejected) == (0, 0, 0)
    _, *views = table(of_views)
    assert [view for view, *_ in views] == ["vulnerability", "misconfiguration", "issue"]
    assert all(int(findings) == int(shown) > 0 for _, findings, shown, *_ in views)

    assert run_demo(tmp_path, environment, FEW)
    again = capsys.readouterr().out
    assert totals(again) == (0, created, 0, 0)
    assert table(again)[-4:] == ways
    assert not list(tmp_path.glob("spool/*/*"))


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
        jobs = Counter(run.job_name for run in runs)
        assert jobs == {f"{dataset.name}_job": 1 for dataset in DATASETS} | {"detection_job": 2, CHECK_JOB: 1}
        for dataset in DATASETS:
            key = dg.AssetKey(["wiz", dataset.name])
            assert len(instance.get_materialized_partitions(key)) == jobs[f"{dataset.name}_job"]


def test_documents_that_are_missing_fail_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_day: None
) -> None:
    monkeypatch.setattr(demo_defend, "follow_sensor", lambda *_: [])
    assert not run_demo(tmp_path, FILES, FEW)
    assert re.search(r"webhook, basic: there are 0 documents, the bodies have \d+ events", capsys.readouterr().out)


def test_without_openssl_mutual_tls_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_day: None
) -> None:
    monkeypatch.setattr(demo_defend, "can_be_made", lambda: False)
    assert run_demo(tmp_path, FILES, FEW)
    printed = capsys.readouterr().out
    assert "Mutual TLS is left out" in printed
    assert [row[0] for row in table(printed)[-3:]] == WAYS[:3]


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


def test_only_of_the_day_that_was_not_over_may_more_be_landed_than_the_demo_s_tenant_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_day: None
) -> None:
    assert run_demo(tmp_path, FILES, FEW)
    capsys.readouterr()
    true_nodes = figures.true_nodes
    monkeypatch.setattr(figures, "true_nodes", lambda *of: list(true_nodes(*of))[1:])
    assert not run_demo(tmp_path, FILES, FEW)
    wrong = re.findall(r"^(\S+) (\S+): landed is", capsys.readouterr().out, re.MULTILINE)
    today = json.loads((tmp_path / "state.json").read_text())["moment"][:10]
    assert {name for name, _ in wrong} == {dataset.name for dataset in PULLED}
    assert ("detection", today) not in wrong


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
