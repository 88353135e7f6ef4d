"""A real Elasticsearch node on 127.0.0.1 for the demo, the tests and trials: started, ready, stopped with its starter.

Where the server comes from is in `elasticsearch_download.py`, what keeps the node's life tied to ours in
`node_keeper.py`, TLS and users in `node_security.py`.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.sandbox import node_keeper
from wiz_dagster.sandbox.elasticsearch_download import Server, install_server, missing_part
from wiz_dagster.sandbox.node_folders import LOCK, lasting_node_folder, node_account, temporary_node_folder
from wiz_dagster.sandbox.node_security import Security, secure_node

HEAP_MB = 512
QUICK_START = "-XX:TieredStopAtLevel=1"
"""Half the CPU time of a start (6 s instead of 13 s), half as much again for each document of a long load."""
START_SECONDS = 180.0
LOG_LINES = 15
SETTINGS = {
    "cluster.name": "wiz-dagster-sandbox",
    "node.name": "sandbox",
    "node.portsfile": "true",
    "discovery.type": "single-node",
    "network.host": "127.0.0.1",
    "transport.port": "0",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    "action.destructive_requires_name": "true",
}


def available() -> str | None:
    """Say in a sentence's part why no node can be started here, or None when one can."""
    return missing_part()


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PermanentError(f"Port {port} can't be used ({error.strerror}): take another one.") from error


class ElasticsearchNode:
    """One node, alive inside its `with` block and never longer than this process.

    `data_dir` keeps the data between two nodes; without it a fresh folder is used and removed. `port` 0 takes a free
    one. `secure` switches on TLS and basic authentication with the two users of `security`. `quick_start` False is for
    loads of hundreds of thousands of documents. What happens to a data folder of root's that the node's user can't
    reach is in `node_folders.py`. Starting raises PermanentError or TransientError, with the end of the node's log.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int = 0,
        *,
        secure: bool = False,
        heap_mb: int = HEAP_MB,
        quick_start: bool = True,
    ) -> None:
        self._data_dir, self._port, self._secure = data_dir, port, secure
        self._java_options = f"-Xms{heap_mb}m -Xmx{heap_mb}m {QUICK_START if quick_start else ''}"
        self._keeper: subprocess.Popen[bytes] | None = None
        self.security: Security | None = None
        self.url = ""
        self.version = ""

    def __enter__(self) -> Self:
        _check_free(self._port)
        server = install_server()
        self.version = server.version
        self._folder = lasting_node_folder(self._data_dir) if self._data_dir else temporary_node_folder()
        try:
            self._configure(server)
            self._launch(server)
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ca_certs(self) -> Path | None:
        """The certificate of the authority that signed the node's, when it is secure."""
        return self.security.ca_certs if self.security else None

    @property
    def pid(self) -> int:
        """The process that keeps the node; it ends when the node does."""
        if self._keeper is None:
            raise PermanentError("The Elasticsearch node isn't running.")
        return self._keeper.pid

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the node ends; False when it still runs after so many seconds."""
        if self._keeper is None:
            return True
        try:
            self._keeper.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """Stop the node and wait until it is gone; a fresh data folder goes with it."""
        if self._keeper and self._keeper.stdin:
            self._keeper.stdin.close()
            self._keeper.wait()
        self._keeper = None
        if self._data_dir is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _configure(self, server: Server) -> None:
        """Write the node's whole configuration anew, owned by the user it runs as."""
        config = self._folder / "config"
        shutil.rmtree(config, ignore_errors=True)
        shutil.copytree(server.home / "config", config)
        settings = {
            **SETTINGS,
            "http.port": str(self._port),
            "path.data": str(self._folder / "data"),
            "path.logs": str(self._folder / "logs"),
            "xpack.security.enabled": "false",
        }
        if self._secure:
            self.security = secure_node(self._folder, config)
            settings |= self.security.settings
        (config / "elasticsearch.yml").write_text(json.dumps(settings, indent=1))
        for name in ("data", "logs", "tmp"):
            (self._folder / name).mkdir(exist_ok=True)
        self._ports_file.unlink(missing_ok=True)
        if os.geteuid() == 0:
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, *node_account(), follow_symlinks=False)

    def _launch(self, server: Server) -> None:
        account = node_account()
        order = {
            "command": [str(server.home / "bin" / "elasticsearch")],
            "environment": {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self._folder),
                "ES_JAVA_HOME": str(server.java_home),
                "ES_JAVA_OPTS": self._java_options,
                "CLI_JAVA_OPTS": QUICK_START,
                "ES_PATH_CONF": str(self._folder / "config"),
                "ES_TMPDIR": str(self._folder / "tmp"),
            },
            "folder": str(self._folder),
            "lock": str(self._folder / LOCK),
            "log": str(self._log),
            "uid": account.uid,
            "gid": account.gid,
        }
        with self._log.open("ab") as log:
            self._keeper = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", node_keeper.__file__],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if self._keeper.stdin:
            self._keeper.stdin.write(json.dumps(order).encode() + b"\n")
            self._keeper.stdin.flush()

    def _await_ready(self) -> None:
        """Return when the cluster's health is asked and answered."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.wait(0.2):
                raise self._died()
            if not self.url and self._ports_file.is_file():
                scheme = "https" if self._secure else "http"
                port = self._ports_file.read_text().split()[0].rsplit(":", 1)[1]
                self.url = f"{scheme}://127.0.0.1:{port}"
            if self.url and self._healthy():
                return
        raise TransientError(f"Elasticsearch wasn't ready after {START_SECONDS:.0f} s. Its log: {self._log_end()}")

    def _healthy(self) -> bool:
        request = urllib.request.Request(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=5s")  # noqa: S310
        context = None
        if self.security:
            login = f"{self.security.run_user}:{self.security.run_password}".encode()
            request.add_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
            context = ssl.create_default_context(cafile=str(self.security.ca_certs))
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as response:  # noqa: S310
                return bool(response.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    @property
    def _ports_file(self) -> Path:
        return self._folder / "logs" / "http.ports"

    @property
    def _log(self) -> Path:
        return self._folder / "logs" / "console.log"

    def _log_end(self) -> str:
        if not self._log.is_file():
            return "(empty)"
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    def _died(self) -> PermanentError:
        if self._keeper and self._keeper.returncode == node_keeper.LOCKED:
            return PermanentError(
                f"Another Elasticsearch node runs on {self._folder}: stop it, or take another folder."
            )
        return PermanentError(f"Elasticsearch stopped while starting. The end of its log:\n{self._log_end()}")
