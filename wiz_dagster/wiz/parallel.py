"""Several iterators, each drained by a thread, as one iterator: bounded memory, first error wins, a clean stop."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import TypeVar, cast

from wiz_dagster.wiz.rate_limit import Sleep

T = TypeVar("T")
Source = Callable[[Sleep], Iterator[T]]
_END = object()


class Stopped(BaseException):
    """Raised in a thread that sleeps when the work stops; no failure, hence no Exception that something may catch."""


def merged(sources: Sequence[Source[T]], threads: int) -> Generator[T]:
    """Yield the items of all sources as they come, in no order, from at most `threads` threads.

    Each source gets the function to sleep with, which ends early when the work stops. The first exception of a source
    stops the others and is raised here; closing the generator stops them too. Both wait for the requests under way.
    At most `threads` items wait unread.
    """
    work = _Work(threads)
    with ThreadPoolExecutor(threads, thread_name_prefix="wiz-slice") as pool:
        for source in sources:
            pool.submit(work.drain, source)
        running = len(sources)
        try:
            while running:
                item = work.items.get()
                if item is not _END:
                    yield cast("T", item)
                    continue
                running -= 1
                if work.failures:
                    raise work.failures[0]
        finally:
            work.stop.set()
            # A thread may be waiting to put: read on until each has ended.
            while running:
                running -= work.items.get() is _END


class _Work:
    """What the threads share. Each source ends with `_END`, after its failure if it had one."""

    def __init__(self, waiting: int) -> None:
        self.items: Queue[object] = Queue(maxsize=waiting)
        self.stop = threading.Event()
        self.failures: list[BaseException] = []

    def drain(self, source: Source[T]) -> None:
        try:
            for item in source(self._sleep) if not self.stop.is_set() else ():
                self.items.put(item)
                if self.stop.is_set():
                    return
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            self.items.put(_END)

    def _sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped
