"""How long an event takes from its own time until a search in Elasticsearch finds it, in a whole deployment.

    python -m benchmarks.latency --minutes 20 --interval 5

What runs is the daemon with the shipped instance, the schedule `refresh`, the webhook's receiver and sensor. The tenant
lives in real time and its emulator in a process of its own; documents go to a real node, started for this
(or the one that ELASTICSEARCH_URL names). The request budget and the lag are the default ones. Measuring begins when
the day is landed and all is started, and ends when the last event is found or its bound is over.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import click
import dagster as dg
import numpy as np
from dagster import DagsterRunStatus
from elasticsearch import Elasticsearch

from benchmarks.live_tenant import Event, Happenings, live_tenant, running_emulator, webhook_body
from wiz_dagster.datasets import DATASETS
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.recovery import prepare
from wiz_dagster.sandbox.defend_sender import send
from wiz_dagster.sandbox.dev import DAEMON, DEFINITIONS
from wiz_dagster.sandbox.processes import Process, running
from wiz_dagster.sandbox.receivers import Receiver, running_receivers, token
from wiz_dagster.sandbox.services import running_elasticsearch
from wiz_dagster.sandbox.state import open_state, sandbox_environment
from wiz_dagster.settings import read_elasticsearch_settings
from wiz_dagster.wiz.windows import parse_time

JOB = "refresh_job"
BOUNDS = {1: timedelta(minutes=2), 5: timedelta(minutes=7)}
"""The promise, by the minutes between two refreshes."""
LOOK_SECONDS = 0.5
HAPPEN_SECONDS = 5.0
MOMENT_FIELDS = {
    "audit": "@timestamp",
    "issue": "@timestamp",
    "vulnerability": "wiz.vulnerability.updated_at",
    "cloud_configuration_finding": "wiz.cloud_configuration_finding.updated_at",
    "detection": "@timestamp",
}
"""Where a document has the time of what happened last to its node."""
STREAMS = {f"wiz.{one.stream}": one.name for one in DATASETS if not one.snapshot}


@dataclass
class Watch:
    """What happened, and when a search found it."""

    elasticsearch: Elasticsearch
    index: str
    since: datetime
    waiting: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    found: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from an event's time until it was found, by dataset."""

    def expect(self, event: Event) -> None:
        """From now on it is looked for."""
        self.waiting.setdefault((event.dataset, event.id), []).append(event)

    def look(self) -> None:
        """Search what was written since for what is waited for: the state that it came to, or a later one."""
        answer = self.elasticsearch.search(
            index=self.index,
            query={"range": {"event.ingested": {"gte": self.since.isoformat()}}},
            source=["data_stream.dataset", "event.id", "event.action", "wiz.defend.id", *_moment_fields()],
            size=10_000,
            ignore_unavailable=True,
        )
        now = datetime.now(UTC)
        for hit in answer["hits"]["hits"]:
            for key, moment in _states(hit["_source"]):
                for event in [one for one in self.waiting.get(key, ()) if _milliseconds(one.moment) <= moment]:
                    self.waiting[key].remove(event)
                    self.found.setdefault(event.dataset, []).append((now - event.moment).total_seconds())
        self.waiting = {key: events for key, events in self.waiting.items() if events}

    def youngest(self) -> datetime | None:
        """The time of the youngest event that is still waited for."""
        return max((one.moment for events in self.waiting.values() for one in events), default=None)


def _moment_fields() -> list[str]:
    return sorted(set(MOMENT_FIELDS.values()))


def _states(source: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], datetime]]:
    """Which event a document may be that of, and until which moment it knows of its node."""
    dataset = STREAMS[source["data_stream"]["dataset"]]
    if dataset == "defend":
        # A body tells of one moment: whichever document is made of it shows that it came.
        told = f"{source['wiz']['defend'].get('id')}/{source['event'].get('action')}"
        yield (dataset, told), datetime.max.replace(tzinfo=UTC)
        return
    value: Any = source
    for name in MOMENT_FIELDS[dataset].split("."):
        value = value.get(name, {})
    moment = parse_time(value)
    if moment is not None:
        yield (dataset, source["event"]["id"]), moment


def _milliseconds(moment: datetime) -> datetime:
    """As documents write a time."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def measure(watch: Watch, happenings: Happenings, receiver: Receiver, daemon: Process, until: datetime) -> None:
    """Look for what happens until `until`."""
    happen = 0.0
    while (now := datetime.now(UTC)) < until:
        if daemon.poll() is not None:
            raise SystemExit(f"The daemon ended with {daemon.returncode}.")
        if time.monotonic() >= happen:
            happen = time.monotonic() + HAPPEN_SECONDS
            for event, node in happenings.new():
                watch.expect(event)
                if event.dataset == "detection":
                    kind, body = webhook_body(node)
                    send(receiver, [body])
                    if body.get("id") == node["id"] and body.get("trigger", {}).get("type") == kind:
                        watch.expect(Event("defend", f"{node['id']}/{kind.lower()}", datetime.now(UTC)))
        watch.look()
        time.sleep(max(0.0, LOOK_SECONDS - (datetime.now(UTC) - now).total_seconds()))


def finish(watch: Watch, bound: timedelta) -> None:
    """Look on until all is found, or what isn't is older than the bound."""
    while (youngest := watch.youngest()) is not None and datetime.now(UTC) - youngest < bound:
        watch.look()
        time.sleep(LOOK_SECONDS)


def show(watch: Watch, bound: timedelta) -> None:
    """The table."""
    print(f"\n| dataset | events | p50 s | p99 s | longest s | over {bound.seconds} s | never found |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    never = {name: sum(key[0] == name for key in watch.waiting) for name in STREAMS.values()}
    everything = [one for seconds in watch.found.values() for one in seconds]
    for name, seconds in [*sorted(watch.found.items()), ("all", everything)]:
        p50, p99 = np.percentile(seconds, (50, 99))
        late = sum(one > bound.total_seconds() for one in seconds)
        lost = never.get(name, sum(never.values()))
        print(f"| {name} | {len(seconds):,} | {p50:.0f} | {p99:.0f} | {max(seconds):.0f} | {late} | {lost} |")


def show_runs(instance: dg.DagsterInstance) -> None:
    """Where the time of a refresh went."""
    parts: dict[str, list[float]] = {}
    for record in instance.get_run_records(dg.RunsFilter(job_name=JOB, statuses=[DagsterRunStatus.SUCCESS])):
        key = record.dagster_run.tags.get("dagster/run_key", "")
        if not key or record.start_time is None or record.end_time is None:
            continue
        asked = datetime.fromisoformat(key.rpartition("/")[0]).timestamp()
        created = record.create_timestamp.timestamp()
        for name, seconds in (
            ("the tick until it is queued", created - asked),
            ("queued until its process runs", record.start_time - created),
            ("the run", record.end_time - record.start_time),
        ):
            parts.setdefault(name, []).append(seconds)
        for step in instance.get_run_step_stats(record.dagster_run.run_id):
            if step.start_time and step.end_time:
                parts.setdefault(f"- {step.step_key}", []).append(step.end_time - step.start_time)
    print("\n| refreshes | count | median s | longest s |\n| --- | ---: | ---: | ---: |")
    for name, seconds in parts.items():
        print(f"| {name} | {len(seconds)} | {median(seconds):.1f} | {max(seconds):.1f} |")


def dagster(environment: Mapping[str, str], *arguments: str) -> None:
    """One of Dagster's commands. SystemExit when it fails."""
    command = [sys.executable, "-m", "dagster", *arguments, *DEFINITIONS]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"dagster {' '.join(arguments)} failed:\n{done.stderr[-4000:]}")


@contextmanager
def deployment(home: Path, today: date, interval: int) -> Iterator[tuple[dict[str, str], Path]]:
    """The services, and the environment of all that uses them."""
    with (
        open_state(home, datetime.now(UTC)) as state,
        running_elasticsearch(state, os.environ, click.echo) as url,
        running_emulator(today) as wiz,
    ):
        if url is None:
            raise SystemExit("There is no Elasticsearch to look into.")
        environment = sandbox_environment(state, os.environ, wiz, url)
        del environment["WIZ_REQUESTS_PER_SECOND"], environment["WIZ_WINDOW_LAG"]
        environment["WIZ_NAMESPACE"] = f"latency{uuid.uuid4().hex[:8]}"
        environment["WIZ_START_DATE"] = (today - timedelta(days=1)).isoformat()
        environment["WIZ_REFRESH_MINUTES"] = str(interval)
        yield environment, state.dagster_home


def run(home: Path, minutes: float, interval: int) -> None:
    """Print the tables."""
    today = datetime.now(UTC).date()
    bound = BOUNDS.get(interval, timedelta(minutes=interval + 2))
    with (
        deployment(home, today, interval) as (environment, dagster_home),
        dg.DagsterInstance.from_config(str(dagster_home)) as instance,
        connect(read_elasticsearch_settings(environment)) as elasticsearch,
    ):
        prepare(instance)
        dagster(environment, "job", "execute", "-j", JOB, "--tags", f'{{"dagster/partition": "{today}"}}')
        dagster(environment, "schedule", "start", "refresh")
        dagster(environment, "sensor", "start", "defend_sensor")
        click.echo("The day is landed.")
        with (
            running({"daemon": DAEMON}, environment, home / "daemon.log") as processes,
            running_receivers([token()], environment, home / "receiver.log") as (receiver,),
        ):
            began = datetime.now(UTC)
            click.echo(f"Measuring from {began:%H:%M:%S} on.")
            watch = Watch(elasticsearch, f"logs-wiz.*-{environment['WIZ_NAMESPACE']}", began)
            happenings = Happenings(live_tenant(today), began)
            measure(watch, happenings, receiver, processes["daemon"], began + timedelta(minutes=minutes))
            finish(watch, bound)
            show(watch, bound)
            show_runs(instance)
        print(f"\nLoad of the machine: {', '.join(f'{one:.1f}' for one in os.getloadavg())}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--interval", type=int, default=5, help="WIZ_REFRESH_MINUTES")
    parser.add_argument("--folder", type=Path, help="keep what the deployment holds there; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wiz-bench-") as folder:
        run(options.folder or Path(folder), options.minutes, options.interval)


if __name__ == "__main__":
    main()
