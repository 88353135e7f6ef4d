"""The demo: three days of a generated tenant, asked for and pushed, into Elasticsearch or files, and held against it.

Each run is one of the named job of a dataset, in an instance that is kept, so that the web server shows it afterwards.
What the tenant truly holds, what is landed and what the holdings hold are each asked where they are; what the webhook
brings is in `demo_defend.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from wiz_dagster.datasets import PULLED
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.datasets.detection import DETECTION
from wiz_dagster.definitions import build_definitions
from wiz_dagster.recovery import prepare
from wiz_dagster.sandbox.defend_figures import DefendRun, WayFigures
from wiz_dagster.sandbox.demo_defend import bring_defend, show_defend
from wiz_dagster.sandbox.figures import BROUGHT, WRITTEN, Figures, backfill_day
from wiz_dagster.sandbox.holdings import Holdings, open_holdings
from wiz_dagster.sandbox.services import VOLUMES, running_elasticsearch, running_wiz, wiz_environment
from wiz_dagster.sandbox.state import SandboxState, open_state, sandbox_environment
from wiz_dagster.sandbox.view_figures import ViewFigures, view_figures
from wiz_dagster.sandbox.wiz.tenant import Tenant

NARROWEST = 140
"""Columns that the table needs where no terminal says how wide it is."""


def run_demo(home: Path, environment: Mapping[str, str], volumes: Mapping[str, int] = VOLUMES) -> bool:
    """Backfill, print an example, the table and the totals; whether every figure agrees with the tenant.

    The state is kept in `home`; on the same state a second demo creates nothing. Raises the package's errors.
    """
    console = Console(width=None if sys.stdout.isatty() else NARROWEST, markup=False)
    with (
        open_state(home, datetime.now(UTC)) as state,
        running_elasticsearch(state, environment, console.print) as elasticsearch_url,
        running_wiz(state, volumes, live=False) as emulator,
    ):
        settings = sandbox_environment(state, environment, wiz_environment(emulator), elasticsearch_url)
        with _applied(settings), open_holdings(settings) as holdings, dg.DagsterInstance.get() as instance:
            prepare(instance)
            definitions = build_definitions(settings)
            figures = _backfill(console, state, emulator.tenant, instance, definitions, holdings)
            views = view_figures(figures, holdings)
            with console.status("Posting webhook events"):
                defend = bring_defend(state, emulator.tenant, settings, instance, definitions, holdings)
            _show_example(console, home, holdings, state.days[-1])
            _show(console, figures)
            _show_views(console, views)
            show_defend(console, defend)
    rows: list[Figures | ViewFigures | WayFigures | DefendRun] = [*figures, *views, *defend.ways, *defend.runs]
    wrong = [problem for row in rows for problem in row.problems()]
    for problem in wrong:
        console.print(problem, style="red", soft_wrap=True)
    console.print(_totals([*figures, *defend.runs]), soft_wrap=True, highlight=False)
    return not wrong


def _backfill(
    console: Console,
    state: SandboxState,
    tenant: Tenant,
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    holdings: Holdings,
) -> list[Figures]:
    """One run a dataset and day, oldest day first, in the kept instance."""
    figures = []
    with Progress(console=console, transient=True) as progress:
        days = {dataset.name: _days(dataset, state) for dataset in PULLED}
        task = progress.add_task("", total=sum(map(len, days.values())))
        for dataset in PULLED:
            job = definitions.resolve_job_def(f"{dataset.name}_job")
            for day in days[dataset.name]:
                progress.update(task, description=f"{dataset.name} {day}")
                growing = not dataset.snapshot and day not in state.days
                figures.append(backfill_day(instance, job, dataset, day, tenant, holdings, growing=growing))
                progress.advance(task)
    return figures


def _days(dataset: Dataset, state: SandboxState) -> list[str]:
    """A snapshot can be taken of today alone; detections are also asked for the day until the tenant's moment."""
    if dataset.snapshot:
        return [datetime.now(UTC).date().isoformat()]
    return [*state.days, state.moment.date().isoformat()] if dataset is DETECTION else state.days


def _show(console: Console, figures: list[Figures]) -> None:
    table = Table(title="Days of the tenant, by dataset", title_justify="left")
    table.add_column("dataset", overflow="fold")
    table.add_column("day", no_wrap=True)
    for name in ("nodes", "landed", "documents", "created", "unchanged", "deleted", "rejected"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in figures:
        counts = (row.nodes, row.landed, row.documents, row.created, row.unchanged, row.deleted, row.rejected)
        table.add_row(row.dataset, row.day, *("-" if count is None else str(count) for count in counts))
    console.print(table)
    console.print(
        "nodes: in the tenant, by a scan of its own. landed: kept as received. documents: asked where they are.\n"
    )


def _show_views(console: Console, views: list[ViewFigures]) -> None:
    if not views:
        return
    table = Table(title="Latest state of each finding, by view", title_justify="left")
    table.add_column("view", no_wrap=True)
    names = ("findings", "shown", *BROUGHT)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in views:
        table.add_row(row.view, *(str(getattr(row, name)) for name in names))
    console.print(table)
    console.print(
        "findings: in the tenant, open ones of these days, and of full posture all. shown: asked through the alias.\n"
    )


def _show_example(console: Console, home: Path, holdings: Holdings, day: str) -> None:
    example = holdings.example(PULLED[-1].name, day)
    if example is not None:
        console.print(f"One of the documents, in {holdings.where(PULLED[-1].name, day)}:")
        console.print_json(data=example)
    command = "make dev" if home == Path(".sandbox") else f"wiz-dagster dev --home {home}"
    console.print(f"\nThe runs, their figures and lineage in Dagster: {command}, then http://127.0.0.1:3000")
    if example is not None:
        run_id = example.get("labels", {}).get("dagster_run_id")
        console.print(f"The run that wrote this document: http://127.0.0.1:3000/runs/{run_id}\n", soft_wrap=True)


def _totals(rows: Sequence[Figures | DefendRun]) -> str:
    return "total " + " ".join(f"{name}={sum(getattr(row, name) or 0 for row in rows)}" for name in WRITTEN)


@contextmanager
def _applied(settings: Mapping[str, str]) -> Iterator[None]:
    """The sandbox's environment as this process's own: assets read it when they run."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
