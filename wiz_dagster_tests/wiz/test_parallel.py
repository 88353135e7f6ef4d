import threading
from collections.abc import Iterator
from functools import partial

import pytest

from wiz_dagster.wiz.parallel import merged
from wiz_dagster.wiz.rate_limit import Sleep


def numbers(start: int, end: int, _: Sleep) -> Iterator[int]:
    yield from range(start, end)


def endless(_: Sleep) -> Iterator[int]:
    while True:
        yield 0


def sleeper(began: threading.Event, sleep: Sleep) -> Iterator[int]:
    began.set()
    sleep(3600)
    yield 1


def broken(after: int, _: Sleep) -> Iterator[int]:
    yield from range(after)
    raise ValueError("broken")


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("wiz-slice")]


def test_the_items_of_all_sources_come_once() -> None:
    sources = [partial(numbers, start, start + 100) for start in range(0, 2000, 100)]
    assert sorted(merged(sources, 8)) == list(range(2000))


def test_no_source_gives_nothing() -> None:
    assert list(merged([], 8)) == []


def test_an_error_of_one_source_stops_the_others_and_is_raised() -> None:
    sources = [endless, endless, partial(broken, 5), endless]
    with pytest.raises(ValueError, match="broken"):
        for _ in merged(sources, 3):
            pass


def test_an_error_wakes_a_source_that_sleeps() -> None:
    began = threading.Event()
    with pytest.raises(ValueError, match="broken"):
        list(merged([partial(sleeper, began), partial(broken, 3)], 2))
    assert began.is_set()


def test_closing_stops_all_sources() -> None:
    began = threading.Event()
    items = merged([endless, partial(sleeper, began), endless], 3)
    while not began.is_set():
        next(items)
    items.close()


def test_sources_wait_while_nobody_reads() -> None:
    produced = 0

    def counting(_: Sleep) -> Iterator[int]:
        nonlocal produced
        for number in range(10_000):
            produced += 1
            yield number

    items = merged([counting], 4)
    next(items)
    threading.Event().wait(0.05)
    assert produced == 4
    items.close()
