"""A refresh of a day that holds much and has little news, beside the same day fetched and written whole.

    python -m benchmarks.refresh --count 200000 --new 100

Issues come from the emulator, so that every request is parsed and filtered as Wiz would; documents and the latest view
go to a real node, started for this (or the one that ELASTICSEARCH_URL names). The runs' present is moved: the day is
brought up to 22:00, then on by as much as holds the new ones. Runs are in this process, so the seconds leave out the
start of a run (some 5 s of Dagster's). With `--parts` the day is landed in so many refreshes more before the last row.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
from elastic_transport import Transport

from benchmarks.large_partition import elasticsearch
from wiz_dagster import assets
from wiz_dagster.definitions import build_definitions
from wiz_dagster.elasticsearch import partition
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant

DATASET = "issue"
DAY = (datetime.now(UTC) - timedelta(days=1)).date()
UNTIL = datetime(DAY.year, DAY.month, DAY.day, 22, tzinfo=UTC)
LAG = timedelta(seconds=30)
STEP = timedelta(seconds=10)
"""The window of each of the small parts."""
STEPS = ("wiz__raw__issue", "wiz__issue", "wiz__latest__issue")
REFRESH = {STEPS[0]: {"config": {"since_last": True}}, STEPS[1]: {"config": {"trust_last_write": True}}}
LISTING = {STEPS[0]: {"config": {"since_last": True}}}
HEAD = ("run", "held", "Wiz requests", "nodes asked", "new", "transformed", "bulk items", "ES requests", "parts")
"""Before the seconds of each step and of all."""


@dataclass
class Bench:
    """Runs of the dataset's job at chosen moments, and what they cost."""

    wiz: WizEmulator
    environment: Mapping[str, str]
    instance: dg.DagsterInstance
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, name: str, until: datetime, ops: Mapping[str, Any]) -> str:
        """A line of the table: a run whose window ends at `until`."""
        self.counts.clear()
        asked = len(self.wiz.requests)
        result, seconds = self._execute(until, ops, None)
        raw, ecs, latest = (_metadata(result, step) for step in STEPS)
        items = sum(ecs[f"es/{one}"] for one in ("created", "deleted", "retried"))
        items += sum(latest[f"latest/{one}"] for one in ("written", "superseded", "retried"))
        figures = (
            ecs["es/documents"],
            len(self.wiz.requests) - asked,
            raw["wiz/nodes"],
            raw["landing/new"],
            self.counts["transformed"],
            items,
            self.counts["requests"],
            raw["landing/parts"],
        )
        timed = [*_seconds(result), seconds]
        return f"| {name} | {' | '.join(f'{one:,}' for one in figures)} | {' | '.join(f'{one:.1f}' for one in timed)} |"

    def land(self, until: datetime) -> None:
        """One more small part."""
        self._execute(until, {STEPS[0]: REFRESH[STEPS[0]]}, [dg.AssetKey(["wiz", "raw", DATASET])])

    def _execute(
        self, until: datetime, ops: Mapping[str, Any], selection: Sequence[dg.AssetKey] | None
    ) -> tuple[dg.ExecuteInProcessResult, float]:
        job = build_definitions(self.environment).resolve_job_def(f"{DATASET}_job")
        started = time.monotonic()
        # A refresh asks up to its present, a fetch of the whole day up to the lag before.
        present = until if STEPS[0] in ops else until + LAG
        with _present(present), mock.patch.dict(os.environ, self.environment):
            result = job.execute_in_process(
                instance=self.instance,
                partition_key=DAY.isoformat(),
                run_config={"ops": dict(ops)},
                asset_selection=selection,
            )
        return result, time.monotonic() - started

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Counts the nodes that are transformed and the requests that Elasticsearch gets."""

        def counted(name: str, real: Callable[..., Any], size: Callable[..., int]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                self.counts[name] += size(*given)
                return real(*given, **named)

            return call

        with ExitStack() as patches:
            transform = counted("transformed", partition.make_frame, lambda _, lines, __: len(lines))
            patches.enter_context(mock.patch.object(partition, "make_frame", transform))
            perform = counted("requests", Transport.perform_request, lambda *_: 1)
            patches.enter_context(mock.patch.object(Transport, "perform_request", perform))
            yield


@contextmanager
def _present(moment: datetime) -> Iterator[None]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    with mock.patch.object(assets, "datetime", Clock):
        yield


def _metadata(result: dg.ExecuteInProcessResult, step: str) -> dict[str, Any]:
    (event,) = [one for one in result.get_asset_materialization_events() if one.step_key == step]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def _seconds(result: dg.ExecuteInProcessResult) -> list[float]:
    done = {event.step_key: event for event in result.all_node_events if event.is_step_success}
    return [done[step].step_success_data.duration_ms / 1000 for step in STEPS]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--new", type=int, default=100)
    parser.add_argument("--parts", type=int, default=0)
    options = parser.parse_args()
    volume = options.count * 24 // 22
    news = timedelta(days=1) * options.new / volume
    tenant = Tenant(now=datetime.now(UTC), seed=5, days=3, volumes={DATASET: volume})
    with elasticsearch() as url, tempfile.TemporaryDirectory(prefix="wiz-bench-") as home, WizEmulator(tenant) as wiz:
        environment = {
            "ELASTICSEARCH_URL": url,
            "WIZ_API_URL": wiz.api_url,
            "WIZ_CLIENT_ID": wiz.client_id,
            "WIZ_CLIENT_SECRET": wiz.client_secret,
            "WIZ_LANDING_URL": str(Path(home) / "landing"),
            "WIZ_NAMESPACE": f"bench{uuid.uuid4().hex[:8]}",
            "WIZ_RATE_LIMIT_URL": str(Path(home) / "budget"),
            "WIZ_REQUESTS_PER_SECOND": "1000",
            "WIZ_TOKEN_URL": wiz.token_url,
            "WIZ_WINDOW_LAG": f"{LAG.seconds}s",
        }
        with dg.DagsterInstance.ephemeral() as instance:
            bench = Bench(wiz, environment, instance)
            with bench.counting():
                print(f"| {' | '.join((*HEAD, *(step.replace('__', '/') + ' s' for step in STEPS), 'all s'))} |")
                print(f"| --- |{' ---: |' * (len(HEAD) + len(STEPS))}")
                until = UNTIL
                print(bench.run("the day, first time", until, REFRESH), flush=True)
                until += news
                print(bench.run("refresh", until, REFRESH), flush=True)
                print(bench.run("refresh, no news", until, REFRESH), flush=True)
                print(bench.run("refresh that lists", until, LISTING), flush=True)
                print(bench.run("the day again", until, {}), flush=True)
                for _ in range(options.parts):
                    until += STEP
                    bench.land(until)
                if options.parts:
                    bench.run("", until, REFRESH)
                    print(bench.run("refresh, many parts", until + news, REFRESH), flush=True)


if __name__ == "__main__":
    main()
