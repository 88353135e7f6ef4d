"""Carries a plan out: each fault in a thread of its own when its time has come, what became of it into a log file."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import orjson

from wiz_dagster.sandbox.chaos.faults import FAILURES, Kind
from wiz_dagster.sandbox.chaos.plan import Planned
from wiz_dagster.sandbox.chaos.world import World

OVERLAPPING = frozenset({"wiz"})
"""Faults of these targets don't get in each other's way."""


class Injector:
    """Injects the faults from `start` on; `struck` counts by kind those that truly did."""

    def __init__(self, world: World, planned: Iterable[Planned], log: Path) -> None:
        self.struck: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self._world, self._planned, self._log = world, list(planned), log
        self._busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="faults")

    def start(self) -> None:
        """Return at once; the times of the plan count from now."""
        self._thread.start()

    def finish(self) -> None:
        """Wait until the last fault is healed."""
        self._thread.join()

    @property
    def total(self) -> int:
        """Faults that struck."""
        return sum(self.struck.values())

    def _run(self) -> None:
        started = time.monotonic()
        threads = []
        for one in self._planned:
            time.sleep(max(0.0, started + one.at - time.monotonic()))
            threads.append(threading.Thread(target=self._inject, args=(one,), name=one.kind.name))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _inject(self, one: Planned) -> None:
        began = datetime.now(UTC)
        lock = self._lock(one.kind)
        if not lock.acquire(blocking=False):
            self._write(one, began, "the one before it isn't over")
            return
        try:
            struck = one.kind.inject(self._world, one.seconds, Random(one.chance))  # noqa: S311
            self._write(one, began, None if struck else "nothing to strike")
        except FAILURES as error:
            self._write(one, began, f"{type(error).__name__}: {error}")
        finally:
            lock.release()

    def _lock(self, kind: Kind) -> threading.Lock:
        return threading.Lock() if kind.target in OVERLAPPING else self._busy[kind.target]

    def _write(self, one: Planned, began: datetime, missed: str | None) -> None:
        line = {
            "number": one.number,
            "kind": one.kind.name,
            "planned_at": round(one.at, 2),
            "planned_seconds": round(one.seconds, 2),
            "began": began.isoformat(timespec="milliseconds"),
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "missed": missed,
        }
        with self._writing:
            (self.struck if missed is None else self.missed)[one.kind.name] += 1
            with self._log.open("ab") as file:
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
