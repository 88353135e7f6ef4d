"""What the benchmarks share: contenders in processes of their own, rounds, medians, tables, servers, environments.

Rounds run all contenders one after the other, so that a machine that gets busy slows each of them. Nothing here knows
what is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".sandbox" / "benchmarks"
END_OF_OUTPUT = 500
"""Characters of a failed contender's output that are shown: its error's text."""


class UnavailableError(Exception):
    """A contender can't run here; the text says why."""


@dataclass(frozen=True)
class Measured:
    """One run: documents, wall and CPU seconds of the process, MB that it took at most."""

    count: int
    wall: float
    cpu: float
    peak: float

    @property
    def rate(self) -> float:
        """Documents a second."""
        return self.count / self.wall

    @property
    def cpu_each(self) -> float:
        """CPU microseconds a document."""
        return 1e6 * self.cpu / self.count


@dataclass(frozen=True)
class Contender:
    """A process that ends with the line of `measuring.measured`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> Measured:
        """What it measured of itself. Raises UnavailableError with the end of its output when it failed."""
        done = subprocess.run(
            self.command, env={**os.environ, **self.environment}, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UnavailableError((done.stdout + done.stderr).strip()[-END_OF_OUTPUT:])
        return Measured(**json.loads(done.stdout.splitlines()[-1]))


def module(name: str, *arguments: str, python: str = sys.executable) -> list[str]:
    """The command of a module of this package."""
    return [python, "-m", f"benchmarks.{name}", *arguments]


def in_rounds(contenders: Sequence[Contender], rounds: int) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """What each contender measured in each round, by name, and why others couldn't run."""
    found: dict[str, list[Measured]] = {}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for one in contenders:
            if one.name not in failed:
                try:
                    found.setdefault(one.name, []).append(one.run())
                except UnavailableError as error:
                    failed[one.name] = str(error)
    return {name: runs for name, runs in found.items() if name not in failed}, failed


def spread(figures: Sequence[float], form: str = ",.0f") -> str:
    """The median, and in brackets the least and the most of several."""
    if len(figures) == 1:
        return f"{figures[0]:{form}}"
    return f"{median(figures):{form}} ({min(figures):{form}}-{max(figures):{form}})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@contextmanager
def server(*command: str) -> Iterator[str]:
    """The first line that a server of this package prints, its address, while it runs."""
    with subprocess.Popen(module(*command), stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def own_environment(name: str, *requirements: str) -> str:
    """The Python of an environment with these packages, made when it isn't there.

    Raises UnavailableError when pip can't get them.
    """
    folder = ENVIRONMENTS / name
    python, ready = folder / "bin" / "python", folder / ".installed"
    wanted = "\n".join(requirements)
    if not ready.exists() or ready.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"pip can't install {', '.join(requirements)}: {done.stderr.strip()[-300:]}")
        ready.write_text(wanted)
    return str(python)
