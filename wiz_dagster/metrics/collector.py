"""What the Dagster instance says of runs, documents, checks and lag, read at each scrape.

Gauges tell what is now and are right from the first scrape on. Counters begin at 0 with this process, as Prometheus
expects, and grow by the runs that ended since the last scrape: what `prune_job` deletes takes nothing away from them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wiz_dagster.alerts.outcomes import ended_since, newest_end
from wiz_dagster.alerts.staleness import newest_write, switched_on
from wiz_dagster.pruning import ASSETS_JOB, Ours
from wiz_dagster.sensors import UNFINISHED

MOST_ROUNDS = 10
"""Of runs that one scrape counts; what ended besides is counted by the next."""
WRITTEN = ("created", "unchanged", "deleted", "refitted", "rejected")
"""What a write did with documents, as its metadata has it below `es/` or `files/`."""
TAKEN = ("written", "superseded", "unchanged", "refitted", "rejected")
"""The same of a latest view, below `latest/`."""
FETCHED = "wiz/requests"

Labels = tuple[str, ...]
"""The values of a family's labels."""


class Ids(NamedTuple):
    """What is looked at: our runs; the documents' assets by dataset, the fetching ones likewise, views by name."""

    ours: Ours
    documents: Mapping[str, dg.AssetKey]
    raw: Mapping[str, dg.AssetKey]
    views: Mapping[str, dg.AssetKey]
    switches: frozenset[str]
    """The names of our schedules and sensors."""


class InstanceCollector(Collector):
    """All families, made anew at each scrape; one scrape at a time."""

    def __init__(self, instance: DagsterInstance, ids: Ids) -> None:
        self._instance = instance
        self._ids = ids
        self._lock = threading.Lock()
        self._seen = newest_end(instance)
        self._runs: Counter[Labels] = Counter(
            {(job, status): 0 for job in (*ids.ours.jobs, ASSETS_JOB) for status in ("success", "failure")}
        )
        self._documents: Counter[Labels] = Counter()
        self._views: Counter[Labels] = Counter()
        self._requests: Counter[Labels] = Counter()
        for names, kinds, counter in ((ids.documents, WRITTEN, self._documents), (ids.views, TAKEN, self._views)):
            counter.update({(name, kind): 0 for name in names for kind in kinds})

    def collect(self) -> Iterator[Metric]:
        """Reads the instance; raises what Dagster's storage raises, so that the scrape fails."""
        with self._lock:
            self._count()
            yield from self._counters()
            yield from self._state(datetime.now(UTC))

    def _count(self) -> None:
        """Add what ended since the last scrape."""
        newest = newest_end(self._instance)
        # An instance that was made anew begins with small numbers again.
        self._seen = min(self._seen, newest)
        for _ in range(MOST_ROUNDS):
            before = self._seen
            runs, self._seen = ended_since(self._instance, before, self._ids.ours)
            for run in runs:
                self._count_run(run)
            if self._seen == before:
                return

    def _count_run(self, run: DagsterRun) -> None:
        self._runs[run.job_name, run.status.value.lower()] += 1
        kind = DagsterEventType.ASSET_MATERIALIZATION
        for record in self._instance.get_records_for_run(run.run_id, of_type=kind).records:
            written = record.asset_materialization
            if written is None:
                continue
            figures = {name: one.value for name, one in written.metadata.items() if isinstance(one.value, int)}
            self._add(written.asset_key, figures)

    def _add(self, key: dg.AssetKey, figures: Mapping[str, int]) -> None:
        name = key.path[-1]
        if self._ids.documents.get(name) == key:
            for kind in WRITTEN:
                self._documents[name, kind] += figures.get(f"es/{kind}", figures.get(f"files/{kind}", 0))
        elif self._ids.views.get(name) == key:
            for kind in TAKEN:
                self._views[name, kind] += figures.get(f"latest/{kind}", 0)
        elif self._ids.raw.get(name) == key:
            self._requests[name,] += figures.get(FETCHED, 0)

    def _counters(self) -> Iterator[Metric]:
        yield _counter("runs", "Runs that ended.", ("job", "status"), self._runs)
        yield _counter(
            "documents", "Documents of the data streams, by what a write did.", ("dataset", "result"), self._documents
        )
        yield _counter("view_documents", "Documents of the latest views likewise.", ("view", "result"), self._views)
        yield _counter("wiz_requests", "Requests to Wiz of runs that landed a day.", ("dataset",), self._requests)

    def _state(self, now: datetime) -> Iterator[Metric]:
        yield self._unfinished()
        yield self._last_success()
        yield from self._lag(now)
        yield self._failed_checks()
        yield self._heartbeats()
        yield self._switches()

    def _switches(self) -> Metric:
        on = switched_on(self._instance, None)
        found: dict[Labels, float] = {(name,): float(name in on) for name in self._ids.switches}
        return _gauge("switched_on", "Whether a schedule or sensor is on.", ("name",), found)

    def _unfinished(self) -> Metric:
        counts = ((one.value.lower(), self._instance.get_runs_count(RunsFilter(statuses=[one]))) for one in UNFINISHED)
        found: dict[Labels, float] = {(status,): count for status, count in counts}
        return _gauge("unfinished_runs", "Runs that wait or run, by status.", ("status",), found)

    def _last_success(self) -> Metric:
        found: dict[Labels, float] = {}
        for job in self._ids.ours.jobs:
            chosen = RunsFilter(job_name=job, statuses=[DagsterRunStatus.SUCCESS])
            for record in self._instance.get_run_records(chosen, limit=1):
                found[job,] = record.end_time or record.update_timestamp.timestamp()
        return _gauge("last_success_timestamp_seconds", "When a job last succeeded.", ("job",), found)

    def _lag(self, now: datetime) -> Iterator[Metric]:
        times = {name: newest_write(self._instance, key, now) for name, key in self._ids.documents.items()}
        written: dict[Labels, float] = {(name,): one.timestamp() for name, one in times.items() if one}
        lag: dict[Labels, float] = {name: now.timestamp() - one for name, one in written.items()}
        yield _gauge("last_write_timestamp_seconds", "When today or yesterday was last written.", ("dataset",), written)
        yield _gauge("lag_seconds", "How long ago that was.", ("dataset",), lag)

    def _failed_checks(self) -> Metric:
        results = self._instance.event_log_storage.get_latest_asset_check_execution_by_key(list(self._ids.ours.checks))
        failed: dict[Labels, float] = {}
        for key, record in results.items():
            evaluation = record.evaluation if record.event else None
            if isinstance(evaluation, dg.AssetCheckEvaluation):
                severity = "warning" if evaluation.severity == dg.AssetCheckSeverity.WARN else "error"
                labels: Labels = (key.asset_key.to_user_string(), key.name, severity)
                failed[labels] = float(not evaluation.passed)
        return _gauge("check_failed", "Whether a check's newest result failed.", ("asset", "check", "severity"), failed)

    def _heartbeats(self) -> Metric:
        beats = self._instance.get_daemon_heartbeats()
        found: dict[Labels, float] = {(name.lower(),): beat.timestamp for name, beat in beats.items()}
        return _gauge(
            "daemon_heartbeat_timestamp_seconds", "When a daemon of Dagster was last alive.", ("daemon",), found
        )


def _counter(name: str, text: str, labels: Labels, counted: Mapping[Labels, int]) -> Metric:
    family = CounterMetricFamily(f"wiz_dagster_{name}", text, labels=labels)
    for values, figure in sorted(counted.items()):
        family.add_metric(values, figure)
    return family


def _gauge(name: str, text: str, labels: Labels, measured: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(f"wiz_dagster_{name}", text, labels=labels)
    for values, figure in sorted(measured.items()):
        family.add_metric(values, figure)
    return family
