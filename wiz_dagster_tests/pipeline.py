"""The whole pipeline as tests run it: a tenant behind HTTP, a landing zone of its own, real runs of the named jobs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
from elasticsearch import Elasticsearch, helpers

from wiz_dagster.datasets import dataset_named
from wiz_dagster.defend.spool_writer import SpoolWriter
from wiz_dagster.definitions import build_definitions
from wiz_dagster.elasticsearch.latest_views import VIEWS
from wiz_dagster.elasticsearch.reconcile import stream_name
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant

NOW = datetime.now(UTC).replace(microsecond=0)
"""The tenant's present, and that of the run: the window of today ends here."""
TODAY = NOW.date().isoformat()
YESTERDAY = (NOW - timedelta(days=1)).date().isoformat()
NO_RETRY = dg.RetryPolicy(max_retries=0)


def small_tenant(**volumes: int) -> Tenant:
    """Ten days of a tenant with some nodes a day."""
    few = {"audit": 60, "issue": 60, "vulnerability": 60, "cloud_configuration_finding": 60, "detection": 30}
    return Tenant(now=NOW, seed=7, days=10, volumes=few | volumes)


def wiz_environment(emulator: WizEmulator, home: Path) -> dict[str, str]:
    """The settings of Wiz's side and of the landing zone below `home`."""
    return {
        "WIZ_API_URL": emulator.api_url,
        "WIZ_TOKEN_URL": emulator.token_url,
        "WIZ_CLIENT_ID": emulator.client_id,
        "WIZ_CLIENT_SECRET": emulator.client_secret,
        "WIZ_REQUESTS_PER_SECOND": "1000",
        "WIZ_RATE_LIMIT_URL": str(home / "budget"),
        "WIZ_LANDING_URL": str(home / "landing"),
        "WIZ_START_DATE": (NOW - timedelta(days=400)).date().isoformat(),
    }


def webhook_environment(home: Path) -> dict[str, str]:
    """The settings of whoever has the webhook alone: a spool, and a landing zone of one tenant, all below `home`."""
    return {
        "WIZ_API_URL": "https://api.test.app.wiz.io/graphql",
        "WIZ_CLIENT_ID": "webhook",
        "WIZ_DEFEND_SPOOL": str(home / "spool"),
        "WIZ_LANDING_URL": str(home / "landing"),
        "WIZ_START_DATE": (NOW - timedelta(days=400)).date().isoformat(),
    }


def spool_bodies(environment: Mapping[str, str], bodies: Iterable[object], day: str | None = None) -> None:
    """Spool a segment as the receiver does; `day` makes it one that was received on that day."""
    spool = Path(environment["WIZ_DEFEND_SPOOL"])
    before = set(spool.glob("*/*"))

    async def append() -> None:
        writer = SpoolWriter(spool)
        for body in bodies:
            await writer.append(body if isinstance(body, bytes) else json.dumps(body).encode())
        await writer.close()

    asyncio.run(append())
    for written in set(spool.glob("*/*")) - before if day else ():
        folder = spool / day
        folder.mkdir(mode=0o700, exist_ok=True)
        written.rename(folder / written.name)


@dataclass
class Pipeline:
    """Runs jobs under one environment, in one Dagster instance; what it returns is what users see."""

    environment: Mapping[str, str]
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)
    retry_policy: dg.RetryPolicy = NO_RETRY

    def run(
        self, dataset: str, day: str = YESTERDAY, *, only: str | None = None, config: Mapping[str, Any] | None = None
    ) -> Run:
        """The dataset's job for a day; `only` selects `raw`, `ecs` or `latest`."""
        keys = {"raw": ["wiz", "raw", dataset], "ecs": ["wiz", dataset], "latest": latest_path(dataset)}
        with mock.patch.dict(os.environ, self.environment):
            definitions = build_definitions(self.environment, retry_policy=self.retry_policy)
            job = definitions.resolve_job_def(f"{dataset}_job")
            result = job.execute_in_process(
                instance=self.instance,
                partition_key=day,
                raise_on_error=False,
                asset_selection=[dg.AssetKey(keys[only])] if only else None,
                run_config={"ops": dict(config)} if config else None,
            )
        return Run(result, dataset)


@dataclass(frozen=True)
class Run:
    """One run, its metadata, checks and error messages."""

    result: dg.ExecuteInProcessResult
    dataset: str

    @property
    def success(self) -> bool:
        """Whether every step succeeded."""
        return self.result.success

    @property
    def raw(self) -> dict[str, Any]:
        """Metadata of `wiz/raw/<dataset>`."""
        return self._metadata(dg.AssetKey(["wiz", "raw", self.dataset]))

    @property
    def ecs(self) -> dict[str, Any]:
        """Metadata of `wiz/<dataset>`."""
        return self._metadata(dg.AssetKey(["wiz", self.dataset]))

    @property
    def latest(self) -> dict[str, Any]:
        """Metadata of `wiz/latest/<view>`."""
        return self._metadata(dg.AssetKey(latest_path(self.dataset)))

    @property
    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        """Check results of `wiz/raw/<dataset>` and `wiz/<dataset>` by name."""
        return self._checks(latest=False)

    @property
    def latest_checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        """Check results of `wiz/latest/<view>` by name."""
        return self._checks(latest=True)

    @property
    def errors(self) -> str:
        """All that the run's failures say, chains and stacks included."""
        return "\n".join(
            str(event.step_failure_data.error) + str(event.step_failure_data.user_failure_data)
            for event in self.result.all_node_events
            if event.is_step_failure
        )

    def _checks(self, *, latest: bool) -> dict[str, dg.AssetCheckEvaluation]:
        evaluations = self.result.get_asset_check_evaluations()
        return {one.check_name: one for one in evaluations if ("latest" in one.asset_key.path) == latest}

    def _metadata(self, key: dg.AssetKey) -> dict[str, Any]:
        for event in self.result.get_asset_materialization_events():
            if event.asset_key == key:
                return {name: one.value for name, one in event.materialization.metadata.items()}
        raise AssertionError(f"{key.to_user_string()} was not materialized: {self.errors}")


def latest_path(dataset: str) -> list[str]:
    """The path of the asset of the view that the dataset feeds."""
    return ["wiz", "latest", *(view.name for view in VIEWS if view.dataset == dataset)]


@contextmanager
def pipeline_over(
    tenant: Tenant, home: Path, more: Mapping[str, str], **emulator: Any
) -> Iterator[tuple[Pipeline, WizEmulator]]:
    """A pipeline and the emulator that it asks."""
    with WizEmulator(tenant, **emulator) as wiz:
        yield Pipeline({**wiz_environment(wiz, home), **more}), wiz


def documents_of(client: Elasticsearch, dataset: str, namespace: str, day: str = YESTERDAY) -> list[dict[str, Any]]:
    """Every document that the stream holds of a partition, over all backing indices, as Elasticsearch returns it."""
    stream = stream_name(dataset_named(dataset), namespace)
    client.indices.refresh(index=stream)
    query = {"term": {"labels.dagster_partition": day}}
    return list(helpers.scan(client, index=stream, query={"query": query}, size=1000))


def file_documents(home: Path, dataset: str = "audit", day: str = YESTERDAY) -> list[dict[str, Any]]:
    """Every document in the file of a partition, where documents go to files."""
    file = home / "landing" / "documents" / "default" / dataset / f"{day}.ndjson"
    return [json.loads(line) for line in file.read_bytes().rstrip(b"\n").split(b"\n")]
