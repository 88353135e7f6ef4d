"""One process of the campaign's world, which can be started, stopped, killed and frozen, again and again.

Processes are started by a thread that lives as long as the world: on Linux a child gets its parent's death signal when
the *thread* that started it ends. The Elasticsearch node has the same handles, see `NodeMember`.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from wiz_dagster.errors import WizDagsterError
from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode
from wiz_dagster.sandbox.processes import Process, start, stop

HEAP_MB = 1024


class Member:
    """A Python program of the sandbox, stopped until `start`."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        starter: ThreadPoolExecutor,
    ) -> None:
        self.process: Process | None = None
        self._arguments, self._environment, self._log, self._starter = arguments, environment, log, starter

    def start(self) -> None:
        """Start it; nothing if it runs."""
        if not self.runs:
            self.process = self._starter.submit(start, self._arguments, self._environment, self._log).result()

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self.process is not None:
            signal_all([self.process.pid], signal.SIGCONT)
            stop([self.process])

    def kill(self) -> bool:
        """SIGKILL for the process itself; False if it didn't run."""
        if self.process is None or not self.runs:
            return False
        self.process.kill()
        self.process.wait()
        return True

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def pids(self) -> list[int]:
        """The process and its descendants."""
        return family(self.process.pid) if self.process is not None and self.runs else []


class NodeMember:
    """The Elasticsearch node on one port and one data folder, which outlive each of its processes."""

    def __init__(self, data: Path, port: int) -> None:
        self._data, self._port = data, port
        self._node: ElasticsearchNode | None = None

    def start(self) -> None:
        """Start it and wait until it is ready; nothing if it runs. Raises the node's errors."""
        if not self.runs:
            self.stop()
            node = ElasticsearchNode(self._data, self._port, heap_mb=HEAP_MB, quick_start=False)
            self._node = node.__enter__()

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._node is not None:
            signal_all(self.pids, signal.SIGCONT)
            self._node.stop()
            self._node = None

    def kill(self) -> bool:
        """SIGKILL for the server and whatever started it, but for its keeper; False if it didn't run."""
        found = self.pids
        signal_all(found, signal.SIGKILL)
        if self._node is not None and found:
            self._node.wait()
        return bool(found)

    @property
    def runs(self) -> bool:
        """Whether the server is there."""
        return self._node is not None and not self._node.wait(0)

    @property
    def pids(self) -> list[int]:
        """The server's processes."""
        if self._node is None:
            return []
        try:
            keeper = self._node.pid
        except WizDagsterError:
            return []
        return [pid for pid in family(keeper) if pid != keeper]


def family(pid: int) -> list[int]:
    """The process and its descendants, as far as they are there."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def signal_all(pids: Sequence[int], number: int) -> int:
    """Send a signal to each that is still there; how many were."""
    sent = 0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).send_signal(number)
            sent += 1
    return sent


def with_variable(name: str, value: str) -> Iterator[psutil.Process]:
    """The processes of this user whose environment has the variable with this value."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(name) == value:
                yield process
