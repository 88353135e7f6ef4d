"""What a campaign runs on: the pipeline's processes as deployed, what they talk to, and proxies in between.

A real Elasticsearch node, the Wiz emulator, Dagster's daemon with its code server, the webhook's receiver with mutual
TLS; the landing zone and the spool on a small disk. Each can be stopped and started; what is done to them when is the
business of `faults.py` and `campaign.py`, what they have to do that of `workload.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dagster as dg
import psutil
import requests
import yaml
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.sandbox.chaos.disk import Disk
from wiz_dagster.sandbox.chaos.member import Member, NodeMember, with_variable
from wiz_dagster.sandbox.chaos.proxy import Proxy
from wiz_dagster.sandbox.chaos.tenant import TenantPlan
from wiz_dagster.sandbox.dev import DAEMON, DEFINITIONS
from wiz_dagster.sandbox.processes import HOST, free_port
from wiz_dagster.sandbox.receivers import Receiver, Way, mutual_tls
from wiz_dagster.sandbox.state import SandboxState, sandbox_environment, sandbox_instance
from wiz_dagster.sandbox.wiz.tokens import AUDIENCE, CLIENT_ID, CLIENT_SECRET
from wiz_dagster.settings import read_elasticsearch_settings

NAMESPACE = "chaos"
PROGRAM = ("-c", "from wiz_dagster.cli import main; main()")
"""`wiz-dagster`, as a module that Python finds."""
EMULATOR = ("-m", "wiz_dagster.sandbox.chaos.tenant")
READY_SECONDS = 60.0
COMMAND_SECONDS = 600.0
RUN_PROCESS = "multiprocessing.spawn"
"""What Dagster's code server starts for each run."""


class World:
    """All of it, running inside its `with` block, in the folder `home`, which must not exist.

    Attributes:
        plan: what the tenant follows from; it began to live at `plan.start`.
        environment: settings of everything that works here; what it reaches, it reaches by the proxies.
        plain_environment: the same past the proxies, for what looks at the outcome. The Wiz addresses are those of
            `environment`, since a landing zone belongs to one API host.
        landing, spool: on `disk`.
        wiz, node, daemon, receiver_process: the processes.
        elasticsearch_proxy, wiz_proxy, webhook_proxy: between them.
    """

    def __init__(self, home: Path, seed: int, minutes: float) -> None:
        self.home = home.expanduser().resolve()
        self.seed, self.minutes = seed, minutes
        self._commands: set[int] = set()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _enter(self, stack: ExitStack) -> None:
        self.home.mkdir(mode=0o700, parents=True)
        self.logs = self.home / "logs"
        self.logs.mkdir(mode=0o700)
        self.disk = Disk(self.home / "disk")
        stack.callback(self.disk.close)
        self.starter = stack.enter_context(ThreadPoolExecutor(1))
        self.plan = TenantPlan.of_campaign(self.seed, self.minutes, datetime.now(UTC))
        self.plan.write(self.home / "tenant.json")
        ports = {name: free_port() for name in ("wiz", "elasticsearch", "receiver")}
        self.elasticsearch_proxy = stack.enter_context(Proxy(ports["elasticsearch"]))
        self.wiz_proxy = stack.enter_context(Proxy(ports["wiz"]))
        self.webhook_proxy = stack.enter_context(Proxy(ports["receiver"]))
        self.wiz_url = f"http://{HOST}:{ports['wiz']}"
        self.elasticsearch_url = f"http://{HOST}:{ports['elasticsearch']}"
        self.environment = self._settings()
        self.plain_environment = {**self.environment, "ELASTICSEARCH_URL": self.elasticsearch_url}
        self._instance_files()
        self.way = self._way()
        self._members(stack, ports)
        self._start()

    def _settings(self) -> dict[str, str]:
        state = SandboxState(self.home, self.plan.start, self.seed, 0)
        wiz = {
            "WIZ_API_URL": f"http://{HOST}:{self.wiz_proxy.port}/graphql",
            "WIZ_TOKEN_URL": f"http://{HOST}:{self.wiz_proxy.port}/oauth/token",
            "WIZ_CLIENT_ID": CLIENT_ID,
            "WIZ_CLIENT_SECRET": CLIENT_SECRET,
            "WIZ_AUDIENCE": AUDIENCE,
        }
        given = {name: value for name, value in os.environ.items() if name != "WIZ_NAMESPACE"}
        proxied = f"http://{HOST}:{self.elasticsearch_proxy.port}"
        return {
            **sandbox_environment(state, given, wiz, proxied),
            "WIZ_NAMESPACE": NAMESPACE,
            "WIZ_LANDING_URL": str(self.landing),
            "WIZ_DEFEND_SPOOL": str(self.spool),
            "WIZ_START_DATE": self.plan.first_day.isoformat(),
            "WIZ_REFRESH_MINUTES": "1",
            "WIZ_REQUESTS_PER_SECOND": "200",
            "WIZ_WINDOW_LAG": "5s",
        }

    def _instance_files(self) -> None:
        for folder in (self.dagster_home, self.landing, self.spool):
            folder.mkdir(mode=0o700)
        (self.dagster_home / "dagster.yaml").write_text(yaml.safe_dump(sandbox_instance(), sort_keys=False))

    def _way(self) -> Way:
        folder = self.home / "certificates"
        folder.mkdir(mode=0o700)
        return mutual_tls(folder)

    def _members(self, stack: ExitStack, ports: Mapping[str, int]) -> None:
        def member(name: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Member:
            made = Member(arguments, environment, self.logs / f"{name}.log", self.starter)
            stack.callback(made.stop)
            return made

        own = {"WIZ_DEFEND_ADDRESS": HOST, "WIZ_DEFEND_PORT": str(ports["receiver"]), **self.way.settings}
        stack.callback(self.stop_orphans)
        self.node = NodeMember(self.home / "elasticsearch", ports["elasticsearch"])
        stack.callback(self.node.stop)
        self.wiz = member("wiz", (*EMULATOR, str(self.home / "tenant.json"), str(ports["wiz"])), os.environ)
        self.receiver_process = member("receiver", (*PROGRAM, "receiver"), {**self.environment, **own})
        self.daemon = member("daemon", DAEMON, self.environment)

    def _start(self) -> None:
        self.wiz.start()
        self.node.start()
        self.receiver_process.start()
        self.command("setup")
        for kind in ("schedule", "sensor"):
            self.run_dagster(kind, "start", "--start-all")
        self.await_ready()
        self.start_dagster()

    @property
    def dagster_home(self) -> Path:
        """The Dagster instance's folder."""
        return self.home / "dagster"

    @property
    def landing(self) -> Path:
        """The landing zone's root."""
        return self.disk.path / "landing"

    @property
    def spool(self) -> Path:
        """The receiver's spool."""
        return self.disk.path / "spool"

    @cached_property
    def elasticsearch(self) -> Elasticsearch:
        """A client past the proxy; the node may be down."""
        client = connect(read_elasticsearch_settings(self.plain_environment))
        self._stack.callback(client.close)
        return client

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """The Dagster instance that the daemon works on."""
        return self._stack.enter_context(dg.DagsterInstance.from_config(str(self.dagster_home)))

    @property
    def receiver(self) -> Receiver:
        """Where Wiz posts to: the proxy before the receiver. The process may be down."""
        process = self.receiver_process.process
        if process is None:
            raise PermanentError("The receiver was never started.")
        return Receiver(f"https://{HOST}:{self.webhook_proxy.port}/", self.way, process)

    def wiz_control(self, what: str, body: Any = None) -> Any:
        """GET the emulator's control endpoint `what`, or POST `body` to it."""
        url = f"{self.wiz_url}/control/{what}"
        answer = requests.get(url, timeout=30) if body is None else requests.post(url, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def command(self, *arguments: str, plain: bool = False, check: bool = True) -> str:
        """What `wiz-dagster <arguments>` prints, in the world's environment. Raises PermanentError when it fails."""
        return self._run(f"{arguments[0]}.log", [*PROGRAM, *arguments], plain=plain, check=check)

    def run_dagster(self, *arguments: str) -> str:
        """What `dagster <arguments>` on the definitions prints. Raises PermanentError when it fails."""
        return self._run("commands.log", ["-m", "dagster", *arguments, *DEFINITIONS])

    def start_dagster(self) -> None:
        """What a service manager does: fail the runs that nothing runs any more, then start the daemon."""
        if not self.daemon.runs:
            self.command("recover")
            self.daemon.start()

    def stop_orphans(self) -> int:
        """Kill Dagster's processes that an earlier daemon left behind, as a service manager does; how many."""
        own = set(self.daemon.pids)
        found = [process for process in self.dagster_processes() if process.pid not in own]
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return len(found)

    def dagster_processes(self) -> list[psutil.Process]:
        """Daemon, code servers and runs of this world, the newest last; not the commands that it waits for."""
        name, value = "DAGSTER_HOME", self.environment["DAGSTER_HOME"]
        ours = {*self.receiver_process.pids, *self._commands}
        return [process for process in with_variable(name, value) if process.pid not in ours]

    def run_processes(self) -> list[psutil.Process]:
        """The processes that execute a run now."""
        return [process for process in self.dagster_processes() if RUN_PROCESS in " ".join(_words(process))]

    def code_servers(self) -> list[psutil.Process]:
        """The processes that Dagster loads the definitions in."""
        return [process for process in self.dagster_processes() if {"api", "grpc"} <= set(_words(process))]

    def await_ready(self) -> None:
        """Return when the emulator and the receiver answer. Raises TransientError when they don't in time."""
        deadline = time.monotonic() + READY_SECONDS
        with self.way.session() as session:
            while time.monotonic() < deadline:
                with suppress(requests.RequestException):
                    if session.get(f"{self.receiver.url}healthz", timeout=5).ok:
                        self.wiz_control("clock")
                        return
                time.sleep(0.1)
        raise TransientError(f"The receiver or the Wiz emulator isn't ready; {self.logs} has what they say.")

    def _run(self, log: str, arguments: list[str], *, plain: bool = False, check: bool = True) -> str:
        environment = self.plain_environment if plain else self.environment
        with (self.logs / log).open("ab") as errors:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            self._commands.add(process.pid)
            try:
                said, _ = process.communicate(timeout=COMMAND_SECONDS)
            except BaseException:
                process.kill()
                raise
            finally:
                self._commands.discard(process.pid)
            errors.write(said.encode())
        if check and process.returncode:
            raise PermanentError(f"{arguments[-1]} failed with exit code {process.returncode}; {self.logs / log}.")
        return said


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []
