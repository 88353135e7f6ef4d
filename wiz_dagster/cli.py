"""The command `wiz-dagster`: what each subcommand is called and takes, and how an error ends.

The work is done elsewhere and imported when a command runs, so that `--help` and `transform` stay quick and don't load
Dagster. An error of this package is one sentence on standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import click

from wiz_dagster import __version__
from wiz_dagster.errors import SettingsError, WizDagsterError

HOME = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".sandbox"),
    show_default=True,
    help="Folder that keeps the demo's state.",
)


def main() -> None:
    """The program: exit 1 and one sentence on standard error where something is wrong."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        wiz_dagster()
    except WizDagsterError as error:
        click.echo(f"wiz-dagster: {error}", err=True)
        sys.exit(1)


@click.group(name="wiz-dagster", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def wiz_dagster() -> None:
    """A Wiz tenant's security data in Elasticsearch, collected by Dagster."""


@wiz_dagster.command()
@HOME
def demo(home: Path) -> None:
    """Backfill three days of a generated tenant, and hold every figure against the tenant."""
    from wiz_dagster.sandbox.demo import run_demo

    sys.exit(0 if run_demo(home, os.environ) else 1)


@wiz_dagster.command()
@HOME
def dev(home: Path) -> None:
    """The demo's services, kept running, with Dagster's web server and daemon, until Ctrl-C."""
    from wiz_dagster.sandbox.dev import run_dev

    run_dev(home, os.environ)


@wiz_dagster.command()
@click.argument("dataset")
@click.option("--tag", "tags", multiple=True, help="Exactly these tags; the preserve tags switch their options on.")
def transform(dataset: str, tags: tuple[str, ...]) -> None:
    """Raw nodes as NDJSON on standard input to ECS documents as NDJSON on standard output."""
    from wiz_dagster.transform import transform_lines

    sys.exit(transform_lines(dataset, sys.stdin.buffer, sys.stdout.buffer, sys.stderr, tags or None))


@wiz_dagster.command()
@click.option("--alert", is_flag=True, help="Send a test message to whoever gets alerts.")
def doctor(alert: bool) -> None:
    """Check settings, Wiz, Elasticsearch, the landing zone and Dagster; one line each, with what to do."""
    from wiz_dagster.doctor import examine

    failed = False
    for finding in examine(os.environ, alert=alert):
        click.echo(finding.line())
        failed = failed or not finding.ok
    sys.exit(int(failed))


@wiz_dagster.command()
@click.option("--print", "only_print", is_flag=True, help="Write what would be installed as JSON; connect to nothing.")
def setup(only_print: bool) -> None:
    """Install index templates, latest views and, where DAGSTER_HOME is set, the pool's limit. Can be repeated."""
    from wiz_dagster.installation import bodies_as_json, set_up

    if only_print:
        click.echo(bodies_as_json(os.environ))
        return
    for line in set_up(os.environ):
        click.echo(line)


@wiz_dagster.command()
@click.option("--from", "first", required=True, metavar="DAY", help="The first day, as YYYY-MM-DD.")
@click.option("--to", "last", required=True, metavar="DAY", help="The last day.")
@click.option("--dataset", "datasets", multiple=True, metavar="D", help="Only this one; can be repeated.")
@click.option("--repair", is_flag=True, help="Mend what differs; the exit code is then for what could not be mended.")
def verify(first: str, last: str, datasets: tuple[str, ...], repair: bool) -> None:
    """Compare landing zone and Elasticsearch over a range of days; exit 1 when anything differs.

    Landed files are read to the end, documents compared one by one with what the landed nodes make today. A line a day
    that differs, with what mends it, and a summary. The latest views are no part of it.
    """
    from wiz_dagster.verify import Verification

    verification = Verification(os.environ, first, last, datasets, repair=repair)
    for line in verification.lines():
        click.echo(line)
    sys.exit(int(not verification.agrees))


@wiz_dagster.command()
def receiver() -> None:
    """Take Wiz Defend's webhook: each event is on disk before it is answered; until Ctrl-C or SIGTERM."""
    from wiz_dagster.defend.server import run_receiver

    run_receiver(os.environ)


@wiz_dagster.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="Who reaches it needs no login.")
@click.option("--port", type=click.IntRange(0, 65535), default=9589, show_default=True, help="0: any free port.")
def metrics(address: str, port: int) -> None:
    """Serve metrics of the Dagster instance for Prometheus, until Ctrl-C or SIGTERM."""
    from wiz_dagster.metrics.exporter import serve_metrics

    serve_metrics(os.environ, address, port)


@wiz_dagster.command()
def recover() -> None:
    """Fail the runs that no process of this machine runs any more; before the daemon starts."""
    if not os.environ.get("DAGSTER_HOME"):
        raise SettingsError("DAGSTER_HOME is not set; set it to the folder of the Dagster instance.")
    import dagster as dg

    from wiz_dagster.recovery import prepare

    with dg.DagsterInstance.get() as instance:
        failed = prepare(instance)
    click.echo(f"{len(failed)} abandoned runs failed{': ' if failed else ''}{', '.join(failed)}")


@wiz_dagster.group()
def sandbox() -> None:
    """One of the sandbox's services alone, in the foreground on 127.0.0.1."""


@sandbox.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free port.")
@click.option("--nodes", multiple=True, metavar="DATASET=FILE", help="Serve these nodes (NDJSON) for the dataset.")
def wiz(port: int, nodes: tuple[str, ...]) -> None:
    """The Wiz emulator, until Ctrl-C or SIGTERM."""
    from wiz_dagster.sandbox.services import serve_wiz

    serve_wiz(port, nodes)


@sandbox.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free port.")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the data here; else it is removed."
)
@click.option("--secure", is_flag=True, help="TLS and basic authentication.")
def elasticsearch(port: int, data: Path | None, secure: bool) -> None:
    """An Elasticsearch node, until Ctrl-C or SIGTERM."""
    from wiz_dagster.sandbox.services import serve_elasticsearch

    serve_elasticsearch(port, data, secure)


@sandbox.command()
@click.option("--seed", type=int, default=7, show_default=True, help="What faults come when, and which tenant.")
@click.option("--minutes", type=click.FloatRange(min=1), default=10.0, show_default=True, help="How long faults come.")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".sandbox/chaos"),
    show_default=True,
    help="Folder of the campaign, made anew.",
)
def chaos(seed: int, minutes: float, home: Path) -> None:
    """A fault campaign on real processes; exit 1 when a document is lost, duplicated or stale."""
    from wiz_dagster.sandbox.chaos.campaign import run_campaign

    sys.exit(0 if run_campaign(home, seed, minutes) else 1)


def _stop(_signal: int, _frame: object) -> None:
    """SIGTERM ends as Ctrl-C does, so that everything started is stopped."""
    raise SystemExit(128 + signal.SIGTERM)
