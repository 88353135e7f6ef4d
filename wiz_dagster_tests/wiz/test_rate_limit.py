import heapq
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wiz_dagster.errors import PermanentError, SettingsError, TransientError
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz import rate_records
from wiz_dagster.wiz.rate_limit import SharedBudget, open_budget
from wiz_dagster.wiz.rate_records import FileRecord, RateRecord, RedisRecord

OpenRecord = Callable[[float], FileRecord | RedisRecord]

# Takes slots in four threads, each grant a byte on standard output, until it is killed.
WORKER = """
import os, sys, threading
from pathlib import Path
from wiz_dagster.wiz.rate_limit import SharedBudget
from wiz_dagster.wiz.rate_records import FileRecord

budget = SharedBudget(FileRecord(Path(sys.argv[1]), float(sys.argv[2])))

def work():
    while True:
        budget.acquire()
        os.write(1, b".")

for _ in range(4):
    threading.Thread(target=work).start()
"""


def come(record: RateRecord, *, urgent: bool = False) -> float:
    """The seconds that a request is told to wait when it comes."""
    return record.ask(urgent=urgent, queued=False)


class FakeClock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        self.slept: list[float] = []
        monkeypatch.setattr(rate_records.time, "time", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    return FakeClock(monkeypatch)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    socket = tmp_path_factory.mktemp("redis") / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(socket.parent)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(200):
                if socket.exists():
                    break
                time.sleep(0.02)
            yield f"unix://{socket}"
        finally:
            server.terminate()


@pytest.fixture(params=["file", "redis"])
def open_record(request: pytest.FixtureRequest, tmp_path: Path) -> OpenRecord:
    if request.param == "file":
        return lambda rate: FileRecord(tmp_path / "budget", rate)
    url = request.getfixturevalue("redis_url")
    return lambda rate: RedisRecord(url, f"test:{tmp_path}", rate)


@pytest.mark.parametrize("rate", [0.5, 3.0, 10_000.0])
def test_slots_come_in_steps_after_a_small_burst(tmp_path: Path, clock: FakeClock, rate: float) -> None:
    record = FileRecord(tmp_path / "budget", rate)
    waits = [come(record) for _ in range(6)]
    assert waits == pytest.approx([0, *(number / rate for number in range(5))], abs=1e-5)


def test_redis_does_the_same_arithmetic(open_record: OpenRecord) -> None:
    record = open_record(0.01)
    waits = [come(record) for _ in range(4)]
    assert waits == pytest.approx([0, 0, 100, 200], abs=5)
    assert come(record, urgent=True) == pytest.approx(100, abs=5)


def test_a_pause_holds_for_everyone_and_a_shorter_one_does_not_end_it(open_record: OpenRecord) -> None:
    open_record(100).pause(60)
    open_record(100).pause(5)
    assert 50 < come(open_record(100)) <= 60
    assert 50 < come(open_record(100), urgent=True) <= 60


def test_whoever_sleeps_when_a_pause_begins_waits_for_its_end_too(tmp_path: Path, clock: FakeClock) -> None:
    budget = SharedBudget(FileRecord(tmp_path / "budget", 1))

    def sleep(seconds: float) -> None:
        if not clock.slept:
            budget.pause(60)
        clock.sleep(seconds)

    for _ in range(3):
        start = clock.now
        budget.acquire(sleep)
    assert clock.now - start == pytest.approx(60, abs=0.01)


@pytest.mark.parametrize(
    "content",
    [b"", b"short", b"x" * 40, struct.pack("<5d", *[float("nan")] * 5), struct.pack("<5d", *[9e99] * 5)],
)
def test_a_damaged_file_blocks_nobody(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "budget"
    path.write_bytes(content)
    record = FileRecord(path, 3)
    assert all(come(record) < 2 for _ in range(4))


def test_a_clock_set_back_blocks_nobody(tmp_path: Path, clock: FakeClock) -> None:
    record = FileRecord(tmp_path / "budget", 3)
    come(record)
    clock.now -= 86400
    assert come(record) < 1


def test_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "wiz-dagster" / "budget"
    come(FileRecord(path, 3))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_cannot_be_used_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("a file")
    with pytest.raises(PermanentError, match="WIZ_RATE_LIMIT_URL"):
        come(FileRecord(tmp_path / "in-the-way" / "budget", 3))


def test_several_processes_share_one_rate_fairly_and_a_killed_one_blocks_nobody(tmp_path: Path) -> None:
    rate, path = 60.0, tmp_path / "budget"
    command = [sys.executable, "-c", WORKER, str(path), str(rate)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    counts = [0, 0, 0]

    def count(number: int) -> None:
        output = workers[number].stdout
        assert output is not None
        while granted := os.read(output.fileno(), 100):
            counts[number] += len(granted)

    readers = [threading.Thread(target=count, args=(number,)) for number in range(3)]
    try:
        for reader in readers:
            reader.start()
        _until(lambda: min(counts) >= 20)
        start, before = time.monotonic(), list(counts)
        _until(lambda: sum(counts) - sum(before) >= 90)
        grants, took = [now - then for now, then in zip(counts, before, strict=True)], time.monotonic() - start
        assert sum(grants) <= rate * took * 1.25 + 5
        assert min(grants) * 3 >= max(grants)
        os.kill(workers[0].pid, signal.SIGKILL)
        before = list(counts)
        _until(lambda: min(counts[number] - before[number] for number in (1, 2)) >= 10)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        for reader in readers:
            reader.join()
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.close()


@pytest.mark.parametrize("urgent", [0, 8])
def test_a_refresh_goes_before_a_crowd_and_the_crowd_goes_on(tmp_path: Path, clock: FakeClock, urgent: int) -> None:
    """Threads that ask again as soon as they were let go, in simulated time: twenty-four of whole days."""
    record, rate = FileRecord(tmp_path / "budget", 3), 3.0
    begun = clock.now
    asking = [(begun, number, number < urgent, False, begun) for number in range(24 + urgent)]
    left: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    heapq.heapify(asking)
    while clock.now < begun + 120:
        clock.now, number, first, queued, since = heapq.heappop(asking)
        wait = record.ask(urgent=first, queued=queued)
        if wait <= 0:
            left[first].append((clock.now, clock.now - since))
        again = clock.now + (wait if wait > 0 else 0.3)
        heapq.heappush(asking, (again, number, first, wait > 0, since if wait > 0 else again))
    moments = sorted(moment for some in left.values() for moment, _ in some)
    assert len(moments) >= 120 * rate - 2
    assert all(later - earlier > 0.99 / rate for earlier, later in zip(moments[2:], moments[4:], strict=False))
    if urgent:
        assert abs(len(left[True]) - len(left[False])) <= 12
    assert max(wait for _, wait in left[False]) < 60


def test_a_refresh_that_comes_late_for_its_place_leaves_no_slot_unused(tmp_path: Path, clock: FakeClock) -> None:
    """In simulated time: one of a refresh that sleeps a second too long each time, beside three of whole days."""
    record, rate = FileRecord(tmp_path / "budget", 3), 3.0
    begun, left = clock.now, 0
    asking = [(begun, number, False) for number in range(4)]
    while clock.now < begun + 120:
        clock.now, number, queued = heapq.heappop(asking)
        wait = record.ask(urgent=number == 0, queued=queued)
        left += wait <= 0
        late = 1.0 if number == 0 else 0.0
        heapq.heappush(asking, (clock.now + (wait + late if wait > 0 else 0.3), number, wait > 0))
    assert left >= 120 * rate - 2


def test_a_refresh_gets_through_within_a_second_while_processes_hammer_the_budget(tmp_path: Path) -> None:
    rate, path = 10.0, tmp_path / "budget"
    command = [sys.executable, "-c", WORKER, str(path), str(rate)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.read(2)
        refresh = SharedBudget(FileRecord(path, rate), urgent=True)
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            time.sleep(seconds)

        for _ in range(6):
            refresh.acquire(sleep)
        # Sixteen threads wait in the line, 1.6 s for each request of it; what was told to wait, however busy all is.
        assert sum(slept) < 6 * 1.0
        assert all(os.read(worker.stdout.fileno(), 1) for worker in workers if worker.stdout)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_threads_of_one_process_over_redis_share_one_rate(redis_url: str) -> None:
    budget = SharedBudget(RedisRecord(redis_url, "test:threads", 50))
    start = time.monotonic()
    threads = [threading.Thread(target=lambda: [budget.acquire() for _ in range(5)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start >= 28 / 50 * 0.9


def test_an_unreachable_redis_names_the_setting_and_hides_the_password(tmp_path: Path) -> None:
    record = RedisRecord("redis://:hidden-word@127.0.0.1:9/0", "test", 3)
    with pytest.raises(TransientError, match="WIZ_RATE_LIMIT_URL") as caught:
        come(record)
    assert "hidden-word" not in str(caught.value)


def test_without_the_redis_package_the_message_says_what_to_install(
    settings: WizSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingsError, match="pip install"):
        open_budget(settings.model_copy(update={"rate_limit_url": "redis://localhost"}))


@pytest.mark.parametrize("url", ["http://somewhere/budget", "file://other-host/budget", "redis://host:port/x"])
def test_an_address_that_cannot_hold_a_budget_is_refused(settings: WizSettings, url: str) -> None:
    with pytest.raises(SettingsError, match="WIZ_RATE_LIMIT_URL"):
        open_budget(settings.model_copy(update={"rate_limit_url": url}))


def test_each_tenant_and_account_has_its_own_file_and_no_name_gives_them_away(
    settings: WizSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    base = settings.model_copy(update={"rate_limit_url": None})
    for change in ({}, {}, {"client_id": "another"}, {"api_url": "https://api.other.example/graphql"}):
        open_budget(base.model_copy(update=change)).acquire()
    names = [path.name for path in (tmp_path / "wiz-dagster").iterdir()]
    assert len(names) == 3
    assert not any("the-id" in name or "example" in name for name in names)


def test_a_folder_can_be_named_by_path_or_file_url(settings: WizSettings, tmp_path: Path) -> None:
    for url in (str(tmp_path / "a b"), (tmp_path / "a b").as_uri()):
        open_budget(settings.model_copy(update={"rate_limit_url": url})).acquire()
    assert len(list((tmp_path / "a b").iterdir())) == 1


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline, "the processes came to a standstill"
        time.sleep(0.01)
