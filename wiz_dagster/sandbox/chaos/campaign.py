"""`make chaos SEED=7 MINUTES=10`: the pipeline at work while faults strike it, then settled, then held to account.

What is printed on the way are seconds since the start; the last line has the figures. The campaign's folder keeps
`faults.log`, with a line for each planned fault and what became of it, and what the processes said; the data are
removed when nothing was wrong.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random

import click
from dagster import DagsterRunStatus, RunsFilter
from elastic_transport import TransportError
from elasticsearch import ApiError

from wiz_dagster.errors import PermanentError
from wiz_dagster.sandbox.chaos.faults import heal
from wiz_dagster.sandbox.chaos.injecting import Injector
from wiz_dagster.sandbox.chaos.plan import plan
from wiz_dagster.sandbox.chaos.truth import Outcome
from wiz_dagster.sandbox.chaos.workload import Workload
from wiz_dagster.sandbox.chaos.world import NAMESPACE, World

EVERY_SECONDS = 20.0
MARK = "faults.log"
"""A folder with this file is one of a campaign."""
STATES = {
    "waiting": [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED],
    "running": [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING],
    "done": [DagsterRunStatus.SUCCESS],
    "failed": [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED],
}


def run_campaign(home: Path, seed: int, minutes: float) -> bool:
    """Whether nothing was lost, duplicated or stale. Raises the package's errors where the world can't be had."""
    say = _Clock()
    _make_room(home)
    with World(home, seed, minutes) as world:
        days = ", ".join(f"{name} {volume}" for name, volume in world.plan.volumes.items())
        say(f"seed {seed}: a tenant of {world.plan.days} days with, a day, {days}")
        if not world.disk.own:
            say("no disk of the campaign's own (root on Linux can have one): it is never full")
        injector = Injector(world, plan(seed, minutes), home / MARK)
        workload = Workload(world)
        workload.prime()
        say(f"faults for {minutes:g} minutes")
        _under_faults(world, workload, injector, Random(f"work {seed}"), minutes, say)  # noqa: S311
        heal(world)
        say("healed; what is under way or failed is brought to an end")
        workload.settle(say)
        say("settled; compared with the tenant")
        outcome = workload.outcome()
        if outcome.lost or outcome.duplicated or outcome.stale:
            _keep(world)
    good = _tell(say, injector, outcome, home)
    if good:
        _remove(home, keep=("logs", MARK, "tenant.json"))
    return good


def _under_faults(
    world: World, workload: Workload, injector: Injector, chance: Random, minutes: float, say: Callable[[str], None]
) -> None:
    injector.start()
    end = time.monotonic() + minutes * 60
    told = time.monotonic()
    try:
        while time.monotonic() < end:
            workload.step(chance)
            if time.monotonic() >= told + EVERY_SECONDS:
                told = time.monotonic()
                say(_progress(world, injector))
            time.sleep(0.5)
    finally:
        injector.finish()


def _progress(world: World, injector: Injector) -> str:
    runs = ", ".join(
        f"{world.instance.get_runs_count(RunsFilter(statuses=found))} {name}" for name, found in STATES.items()
    )
    return f"{injector.total} faults of {len(injector.struck)} kinds; {_documents(world)} documents; runs: {runs}"


def _documents(world: World) -> str:
    """As Elasticsearch counts them, if it answers now."""
    try:
        client = world.elasticsearch.options(request_timeout=2)
        return f"{client.count(index=f'logs-wiz.*-{NAMESPACE}')['count']:,}"
    except (ApiError, TransportError):
        return "(Elasticsearch is down)"


def _tell(say: Callable[[str], None], injector: Injector, outcome: Outcome, home: Path) -> bool:
    """Print the faults, what is wrong and the last line."""
    say("done. Faults by kind (planned ones that found nothing to strike don't count):")
    for name, number in sorted(injector.struck.items(), key=lambda item: (-item[1], item[0])):
        click.echo(f"{number:6} {name}")
    for line in outcome.lines:
        click.echo(line)
    good = not (outcome.lost or outcome.duplicated or outcome.stale)
    if not good:
        click.echo(f"What it worked on is kept in {home}.")
    click.echo(
        f"faults={injector.total} kinds={len(injector.struck)} documents={outcome.documents} "
        f"lost={outcome.lost} duplicated={outcome.duplicated} stale={outcome.stale}"
    )
    return good


def _make_room(home: Path) -> None:
    """Remove what an earlier campaign left in the folder. Raises PermanentError where it is something else."""
    if not home.exists():
        return
    if any(home.iterdir()) and not (home / "tenant.json").is_file():
        raise PermanentError(f"{home} isn't a campaign's folder; name another one by --home.")
    _remove(home)
    home.rmdir()


def _keep(world: World) -> None:
    """Copy what is on the disk that goes with the campaign."""
    if world.disk.own:
        for folder in (world.landing, world.spool):
            shutil.copytree(folder, world.home / "kept" / folder.name)


def _remove(home: Path, keep: Collection[str] = ()) -> None:
    """The folder's content but for `keep`, and the node's data, which may lie elsewhere."""
    node = home / "elasticsearch" / "node"
    if node.is_symlink():
        shutil.rmtree(node.resolve(), ignore_errors=True)
    for path in home.iterdir():
        if path.name in keep:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


class _Clock:
    """Says a line with the seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        click.echo(f"[{time.monotonic() - self._start:5.0f} s] {text}")
