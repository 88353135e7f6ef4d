"""What a contender measures of itself; loads nothing else, so that contenders in environments of their own use it too.

A contender is a process that prepares its input, does its work inside `measured()` and ends. Who starts contenders and
compares them is in `harness.py`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATUS = Path("/proc/self/status")
KILOBYTES = 1024
"""In a megabyte; Linux tells memory in kilobytes."""


@contextmanager
def measured(count: int) -> Iterator[None]:
    """Prints a line of JSON on the block: documents, wall and CPU seconds of this process, MB that it took at most."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
    held = _megabytes("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"count": count, "wall": wall, "cpu": cpu, "peak": _megabytes("VmHWM") - held}), flush=True)


def _megabytes(name: str) -> float:
    found = re.search(rf"^{name}:\s*(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / KILOBYTES
