"""A day written, killed, rolled over and written at once: in the end Elasticsearch holds what the tenant holds.

Real processes against a real node; what each document should be is read from the generated nodes directly.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import moment_of, nodes_of_day
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import NOW, Pipeline, documents_of, pipeline_over, small_tenant

DAYS = [(NOW - timedelta(days=back)).date().isoformat() for back in (1, 2, 3)]
PATIENCE = 120


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return small_tenant(issue=3000)


@pytest.fixture
def pipeline(
    tenant: Tenant, tmp_path: Path, elasticsearch_settings: ElasticsearchSettings, namespace: str
) -> Iterator[Pipeline]:
    more = {
        "ELASTICSEARCH_URL": elasticsearch_settings.url,
        "WIZ_NAMESPACE": namespace,
        "DAGSTER_HOME": str(tmp_path / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    (tmp_path / "dagster").mkdir()
    with pipeline_over(tenant, tmp_path, more) as (pipeline, _):
        yield pipeline


def test_a_day_killed_rolled_over_and_written_at_once_is_the_tenants_day(
    pipeline: Pipeline, tenant: Tenant, elasticsearch: Elasticsearch, namespace: str
) -> None:
    killed, rolled_over, at_once = DAYS
    stream = f"logs-wiz.issue-{namespace}"

    kill_while_writing(pipeline, killed, elasticsearch, stream)
    assert pipeline.run("issue", killed).success
    assert_holds(elasticsearch, tenant, namespace, killed)

    kill_while_writing(pipeline, rolled_over, elasticsearch, stream)
    elasticsearch.indices.rollover(alias=stream)
    assert pipeline.run("issue", rolled_over).success
    assert_holds(elasticsearch, tenant, namespace, rolled_over)
    again = pipeline.run("issue", rolled_over)
    assert (again.ecs["es/created"], again.ecs["es/deleted"], again.ecs["es/bytes"]) == (0, 0, 0)

    processes = [start(pipeline, at_once) for _ in range(2)]
    assert [process.wait(PATIENCE) for process in processes] == [0, 0]
    for day in DAYS:
        assert_holds(elasticsearch, tenant, namespace, day)


def test_a_run_killed_while_it_fetches_leaves_nothing_and_the_next_run_is_whole(
    pipeline: Pipeline, tenant: Tenant, elasticsearch: Elasticsearch, namespace: str
) -> None:
    day = DAYS[0]
    folder = Path(pipeline.environment["WIZ_LANDING_URL"]) / "issue" / day
    process = start(pipeline, day)
    wait_for(lambda: (folder.is_dir() and any(folder.iterdir())) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "manifest.json").exists() or pipeline.run("issue", day, only="ecs").success
    assert pipeline.run("issue", day).success
    assert_holds(elasticsearch, tenant, namespace, day)


def start(pipeline: Pipeline, day: str) -> subprocess.Popen[bytes]:
    """The day in a process of its own, as a schedule or a shell would run it."""
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "wiz_dagster.definitions", "-j", "issue_job"]
    return subprocess.Popen(
        [*command, "--tags", f'{{"dagster/partition": "{day}"}}'],
        env={**os.environ, **pipeline.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_while_writing(pipeline: Pipeline, day: str, client: Elasticsearch, stream: str) -> None:
    """Start the day and kill -9 its process once some of its documents, not all, are in Elasticsearch."""
    process = start(pipeline, day)
    wait_for(lambda: held(client, stream, day) > 0 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def held(client: Elasticsearch, stream: str, day: str) -> int:
    """How many documents can be found; none while the stream is missing or its shards are starting."""
    patient = client.options(ignore_status=[404, 503])
    patient.indices.refresh(index=stream)
    query = {"term": {"labels.dagster_partition": day}}
    return int(patient.count(index=stream, query=query).get("count", 0))


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_holds(client: Elasticsearch, tenant: Tenant, namespace: str, day: str) -> None:
    """Ids, statuses, severities and times are the generated nodes', and no document stands twice in any index."""
    hits = documents_of(client, "issue", namespace, day)
    assert len({hit["_id"] for hit in hits}) == len(hits)
    stored = sorted(
        (
            source["event"]["id"],
            source["wiz"]["issue"].get("status", {}).get("value"),
            source["wiz"]["issue"].get("severity"),
            source["@timestamp"],
        )
        for source in (hit["_source"] for hit in hits)
    )
    assert stored == sorted(expected(node) for node in nodes_of_day(tenant, "issue", day))


def expected(node: dict[str, Any]) -> tuple[str, str | None, str | None, str]:
    moment = moment_of(node, "issue")
    assert moment is not None
    time_text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return node["id"], node.get("status"), node.get("severity"), time_text
