"""Several iterators, each drained by a thread, as one iterator: bounded memory, first error wins, a clean stop."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

from wiz_dagster.wiz.rate_limit import Sleep

T = TypeVar("T")
_END = object()


class Stopped(BaseException):
    """Raised in a worker that others wait for to end; like GeneratorExit no failure, so nothing may catch it."""


def merged(sources: Sequence[Callable[[Sleep], Iterator[T]]], threads: int) -> Iterator[T]:
    """Yield the items of all sources as they come, in no order, from at most `threads` threads.

    Each source gets the function to sleep with, which ends early when the work stops. The first exception of a source
    stops the others and is raised here; closing the generator stops them too. At most `threads` items wait unread.
    """
    items: Queue[T | object] = Queue(maxsize=threads)
    stop = threading.Event()

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    def drain(source: Callable[[Sleep], Iterator[T]]) -> None:
        try:
            for item in source(sleep) if not stop.is_set() else ():
                items.put(item)
                if stop.is_set():
                    return
        finally:
            items.put(_END)

    with ThreadPoolExecutor(threads, thread_name_prefix="wiz-slice") as pool:
        futures = [pool.submit(drain, source) for source in sources]
        running = len(futures)
        try:
            while running:
                item = items.get()
                if item is not _END:
                    yield item  # type: ignore[misc]
                    continue
                running -= 1
                _raise_first(futures)
        finally:
            stop.set()
            # A worker may be waiting to put: keep reading until each has ended.
            while running:
                running -= items.get() is _END
    _raise_first(futures)


def _raise_first(futures: Sequence[Future[None]]) -> None:
    for future in futures:
        if future.done() and (error := future.exception()) is not None:
            raise error
