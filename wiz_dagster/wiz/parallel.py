"""Several iterators, each drained by a thread, as one iterator: bounded memory, first error wins, a clean stop."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from queue import Queue
from typing import Any, TypeVar, cast

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
    No more than `threads` items exist at a time, the one being read included: a slow reader slows the sources.
    """
    work = _Work(sources, threads)
    # Daemons: a generator that nobody closes must not keep the process from ending.
    pool = [threading.Thread(target=work.drain, name="wiz-slice", daemon=True) for _ in sources[:threads]]
    running = len(pool)
    for thread in pool:
        thread.start()
    try:
        while running:
            item = work.items.get()
            if item is not _END:
                yield cast("T", item)
                del item
                work.places.release()
                continue
            running -= 1
            if work.failures:
                raise work.failures[0]
    finally:
        work.end()
        while running:
            running -= work.items.get() is _END
        for thread in pool:
            thread.join()


class _Work:
    """What the threads share. Each thread ends with `_END`, after its failure if it had one."""

    def __init__(self, sources: Sequence[Source[Any]], threads: int) -> None:
        self.items: Queue[object] = Queue()
        self.places = threading.Semaphore(threads)
        self._threads = threads
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self._sources = deque(sources)
        self._lock = threading.Lock()

    def drain(self) -> None:
        """Put the items of one source after the other, until none is left or the work stops."""
        try:
            while (source := self._next()) is not None:
                self._put_all(source(self._sleep))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that reads
            self.failures.append(error)
        finally:
            self.items.put(_END)

    def _put_all(self, items: Iterator[Any]) -> None:
        while self._has_place():
            item = next(items, _END)
            if item is _END:
                self.places.release()
                return
            self.items.put(item)

    def end(self) -> None:
        """Stop the work, and wake the threads that wait for a place."""
        self.stop.set()
        self.places.release(self._threads)

    def _has_place(self) -> bool:
        self.places.acquire()
        return not self.stop.is_set()

    def _next(self) -> Source[Any] | None:
        with self._lock:
            return self._sources.popleft() if self._sources and not self.stop.is_set() else None

    def _sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped
