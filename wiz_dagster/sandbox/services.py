"""The sandbox's two services as the demo, `dev` and the command line run them: the Wiz emulator and Elasticsearch.

What they are stands in `wiz/` and `elasticsearch_node.py`; here is which one is started, with which tenant, and how
others are told where it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from wiz_dagster.elasticsearch.client import connect, server_version
from wiz_dagster.errors import SettingsError, TransientError
from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode, available
from wiz_dagster.sandbox.state import SandboxState
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.source import read_nodes
from wiz_dagster.sandbox.wiz.tenant import DEFAULT_VOLUMES, Tenant
from wiz_dagster.settings import read_elasticsearch_settings

VOLUMES = DEFAULT_VOLUMES
Say = Callable[[str], object]


@contextmanager
def running_elasticsearch(state: SandboxState, environment: Mapping[str, str], say: Say) -> Iterator[str | None]:
    """The address of the cluster that the environment names, or of a node on the state's data; None: write files.

    A node ends with the block. Raises what starting a node raises, and when the named cluster can't be used.
    """
    named = environment.get("ELASTICSEARCH_URL", "").strip()
    if environment.get("WIZ_DESTINATION") == "files":
        say("WIZ_DESTINATION=files: the documents are written as NDJSON files.")
        yield None
    elif named:
        with connect(read_elasticsearch_settings(environment)) as client:
            say(f"Elasticsearch {server_version(client)}: the cluster that ELASTICSEARCH_URL names.")
        yield named
    elif reason := available():
        say(f"No Elasticsearch can be started here: {reason}. The documents are written as NDJSON files instead.")
        yield None
    else:
        say("Starting Elasticsearch; the first time it is fetched from Maven Central.")
        with ElasticsearchNode(state.elasticsearch_data) as node:
            say(f"Elasticsearch {node.version}: {node.url}")
            yield node.url


@contextmanager
def running_wiz(state: SandboxState, volumes: Mapping[str, int], *, live: bool) -> Iterator[WizEmulator]:
    """The emulator over the state's tenant, which stands still at the first demo's moment or lives on from there."""
    now = datetime.now(UTC) if live else state.moment
    days = (now.date() - state.start).days + 1
    tenant = Tenant(now=now, seed=state.seed, days=days, volumes=volumes, live=live)
    with WizEmulator(tenant, port=state.wiz_port) as emulator:
        yield emulator


def wiz_environment(emulator: WizEmulator) -> dict[str, str]:
    """The settings with which a client reaches the emulator."""
    return {
        "WIZ_API_URL": emulator.api_url,
        "WIZ_TOKEN_URL": emulator.token_url,
        "WIZ_CLIENT_ID": emulator.client_id,
        "WIZ_CLIENT_SECRET": emulator.client_secret,
        "WIZ_AUDIENCE": emulator.audience,
    }


def serve_wiz(port: int, nodes: Sequence[str]) -> None:
    """The emulator in the foreground, its clock the real one, until SIGTERM or SIGINT.

    `nodes` as DATASET=FILE take the place of a dataset's generated ones. Raises SettingsError for what can't be served.
    """
    given = {}
    for pair in nodes:
        dataset, separator, file = pair.partition("=")
        if not separator:
            raise SettingsError(f"--nodes {pair}: expected DATASET=FILE, such as issue=nodes.ndjson.")
        given[dataset] = read_nodes(Path(file))
    tenant = Tenant(now=datetime.now(UTC), given=given, live=True)
    WizEmulator(tenant, port=port).run(ready=lambda emulator: _show(wiz_environment(emulator)))


def serve_elasticsearch(port: int, data: Path | None, secure: bool) -> None:
    """A node in the foreground until a signal ends the program, or the node ends."""
    with ElasticsearchNode(data, port, secure=secure) as node:
        settings = {"ELASTICSEARCH_URL": node.url}
        if node.security:
            settings["ELASTICSEARCH_USERNAME"] = node.security.run_user
            settings["ELASTICSEARCH_PASSWORD"] = node.security.run_password
            settings["ELASTICSEARCH_CA_CERTS"] = str(node.ca_certs)
        _show(settings)
        if node.security:
            click.echo(f"# for wiz-dagster setup: {node.security.setup_user}, {node.security.setup_password}")
        with contextlib.suppress(KeyboardInterrupt):
            node.wait()
            raise TransientError("Elasticsearch stopped by itself; its log is in the data folder.")


def _show(settings: Mapping[str, str]) -> None:
    """As lines that a shell can read."""
    for name, value in settings.items():
        click.echo(f"export {name}={value}")
