"""The whole demo on little data: what it prints, what a second one does, and what it says when figures disagree."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from wiz_dagster.datasets import DATASETS, PULLED
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.errors import TransientError
from wiz_dagster.reconciliation import CHECK_JOB
from wiz_dagster.sandbox import demo_defend, figures, services, state
from wiz_dagster.sandbox.demo import run_demo
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.settings import ElasticsearchSettings

FEW = {"audit": 30, "issue": 40, "vulnerability": 20, "cloud_configuration_finding": 6, "detection": 10}
MANY_ENTRIES = FEW | {"audit": 3000}
"""Enough for the first run to be killed while it lands them."""
FILES = {"PATH": os.environ["PATH"], "WIZ_DESTINATION": "files"}
DAYS = {dataset.name: 3 for dataset in PULLED} | {"cloud_configuration_finding_full_posture": 1, "detection": 4}
WAYS = ["none", "basic", "token", "mutual TLS"]
COLUMNS = ["nodes", "landed", "documents", "created", "unchanged", "deleted", "rejected"]
TOTALS = r"total created=(\d+) unchanged=(\d+) deleted=(\d+) rejected=(\d+)"


@dataclass(frozen=True)
class Demo:
    """A demo that some tests look at: none of them changes its folder."""

    home: Path
    agrees: bool
    printed: str


def demo(home: Path, environment: dict[str, str], volumes: dict[str, int]) -> Demo:
    with redirect_stdout(io.StringIO()) as printed:
        agrees = run_demo(home, environment, volumes)
    return Demo(home, agrees, printed.getvalue())


@pytest.fixture
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demos of a single day, where the number of days doesn't matter."""
    monkeypatch.setattr(state, "DEMO_DAYS", 1)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The first demo of a single day, on a machine that can't run Elasticsearch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "DEMO_DAYS", 1)
        patch.setattr(services, "available", lambda: "Maven (mvn) isn't installed")
        return demo(tmp_path_factory.mktemp("first"), {"PATH": os.environ["PATH"]}, FEW)


@pytest.fixture
def home(first: Demo, tmp_path: Path) -> Path:
    """A copy of the first demo's folder, for a second one."""
    return shutil.copytree(first.home, tmp_path / "home")


@pytest.fixture(scope="module")
def wrong(first: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A second demo after which figures disagree.

    The tenant has half of the audit entries and of all else but the issues a node less than before; the webhook's
    documents are gone, and no sensor brings them again.
    """
    home = shutil.copytree(first.home, tmp_path_factory.mktemp("wrong") / "home")
    for file in home.glob("landing/documents/*/defend/*.ndjson"):
        file.unlink()
    true_nodes = figures.true_nodes

    def fewer_nodes(tenant: Tenant, dataset: Dataset, day: str) -> list[Node]:
        return list(true_nodes(tenant, dataset, day))[0 if dataset.name in {"audit", "issue"} else 1 :]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "DEMO_DAYS", 1)
        patch.setattr(figures, "true_nodes", fewer_nodes)
        patch.setattr(demo_defend, "follow_sensor", lambda *_: [])
        return demo(home, FILES, FEW | {"audit": FEW["audit"] // 2})


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


def test_without_elasticsearch_the_demo_says_so_and_writes_files(first: Demo) -> None:
    assert first.agrees
    assert "Maven (mvn) isn't installed" in first.printed
    documents = [
        json.loads(line) for file in first.home.glob("landing/documents/*/*/*.ndjson") for line in file.open("rb")
    ]
    assert len(documents) == totals(first.printed)[0] > 0
    assert all(document["event"]["module"] == "wiz" for document in documents)


def test_a_second_demo_into_files_creates_nothing_and_without_openssl_says_that_mutual_tls_is_left_out(
    first: Demo, home: Path, monkeypatch: pytest.MonkeyPatch, one_day: None
) -> None:
    monkeypatch.setattr(demo_defend, "can_be_made", lambda: False)
    before = dict(os.environ)
    second = demo(home, FILES, FEW)
    assert dict(os.environ) == before
    assert second.agrees
    assert "Mutual TLS is left out" in second.printed
    assert [row[0] for row in table(second.printed)[-3:]] == WAYS[:3]
    assert totals(second.printed) == (0, totals(first.printed)[0], 0, 0)


def test_the_runs_stay_visible_under_their_jobs(home: Path) -> None:
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        runs = instance.get_runs()
        jobs = Counter(run.job_name for run in runs)
        assert jobs == {f"{dataset.name}_job": 1 for dataset in DATASETS} | {"detection_job": 2, CHECK_JOB: 1}
        for dataset in DATASETS:
            key = dg.AssetKey(["wiz", dataset.name])
            assert len(instance.get_materialized_partitions(key)) == jobs[f"{dataset.name}_job"]


def test_documents_that_are_missing_fail_the_demo(wrong: Demo) -> None:
    assert not wrong.agrees
    assert re.search(r"webhook, basic: there are 0 documents, the bodies have \d+ events", wrong.printed)


def test_figures_that_disagree_with_the_tenant_fail_the_demo_and_those_that_agree_are_not_named(wrong: Demo) -> None:
    assert not wrong.agrees
    assert re.search(r"audit \S+: landed is \d+, the tenant has 15 nodes", wrong.printed)
    assert "issue 2" not in wrong.printed.split("Dagster:")[1]


def test_only_of_the_day_that_was_not_over_may_more_be_landed_than_the_demo_s_tenant_has(wrong: Demo) -> None:
    told = re.findall(r"^(\S+) (\S+): landed is", wrong.printed, re.MULTILINE)
    today = json.loads((wrong.home / "state.json").read_text())["moment"][:10]
    assert {name for name, _ in told} == {dataset.name for dataset in PULLED} - {"issue"}
    assert ("detection", today) not in told


def test_an_unreachable_cluster_ends_the_demo_at_once(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="ELASTICSEARCH_URL"):
        run_demo(tmp_path, {"ELASTICSEARCH_URL": "http://127.0.0.1:9"}, FEW)


def test_a_demo_that_was_killed_is_made_good_by_the_next(tmp_path: Path, one_day: None) -> None:
    program = (
        "import sys, os; from pathlib import Path; from wiz_dagster.sandbox.demo import run_demo;"
        f"run_demo(Path(sys.argv[1]), {{'WIZ_DESTINATION': 'files'}}, {MANY_ENTRIES})"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(tmp_path.glob("landing/audit/*")):
            time.sleep(0.05)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert run_demo(tmp_path, FILES, MANY_ENTRIES)
    with DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        assert {run.status for run in instance.get_runs()} == {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE}
