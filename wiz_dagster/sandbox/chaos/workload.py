"""What a campaign asks of the pipeline while faults strike: backfills of days and the webhook's events; then an end.

Refreshes, the sensor and whatever else is scheduled run by themselves in Dagster's daemon. Backfills are launched as
users do, by Dagster's command line. At the end the tenant stops, what failed or is missing is launched again, and the
last two days are fetched once more, as the nightly schedules do. Nothing here mends data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import dagster as dg
from dagster import RunsFilter
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.sandbox.chaos.sent_bodies import bodies_to_send
from wiz_dagster.sandbox.chaos.states import COMPARED, POSTURE
from wiz_dagster.sandbox.chaos.true_states import Truth
from wiz_dagster.sandbox.chaos.truth import FED_BY, Outcome, Places, compare
from wiz_dagster.sandbox.chaos.webhook_sender import WebhookSender
from wiz_dagster.sandbox.chaos.world import NAMESPACE, World

BACKFILL_TAG = "dagster/backfill"
MOST_WAITING = 4
"""Backfill runs that wait or run before the next backfill is launched."""
DAYS_AT_ONCE = 3
BEHIND = timedelta(seconds=12)
"""A little more than the world's WIZ_WINDOW_LAG: so long after a moment its nodes can be asked for."""
ROUNDS = 5
"""How often what failed is launched again at the end."""
QUEUE_SECONDS = 600.0
BODIES_OF = timedelta(days=1)
LAUNCHED = ("audit", "issue", "vulnerability", "cloud_configuration_finding", "detection")

DEFEND = dg.AssetKey(["wiz", "defend"])


@dataclass(frozen=True)
class Wanted:
    """A dataset and days to fetch."""

    dataset: str
    days: tuple[str, ...]


class Workload:
    """The work of one campaign in `world`; its methods are called in the order in which they stand here."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._commands = ThreadPoolExecutor(1, thread_name_prefix="backfill")
        self._launching: Future[bool] | None = None
        self._partitions = dg.DailyPartitionsDefinition(str(world.plan.first_day), timezone="UTC", end_offset=1)
        self._to_launch: list[Wanted] = []
        self._now: datetime | None = None
        bodies = list(bodies_to_send(world.plan, world.plan.start - BODIES_OF))
        self._webhook = WebhookSender(lambda: world.receiver, bodies, world.minutes * 60)

    def prime(self) -> None:
        """Launch the first backfills, before anything breaks, and begin to send the webhook's events."""
        self._to_launch = list(self._plan_backfills())
        for wanted in self._take(2):
            self._launch(wanted)
        self._webhook.start()

    def step(self, chance: Random) -> None:
        """Launch a backfill if there is little to do: days not asked for so far, then any again."""
        launching = self._launching is not None and not self._launching.done()
        if launching or self._backfill_runs() >= MOST_WAITING:
            return
        if not self._to_launch:
            days = self._days()
            some = chance.sample(days, min(len(days), chance.randint(1, 2)))
            self._to_launch = [Wanted(chance.choice(LAUNCHED), tuple(sorted(some)))]
        for wanted in self._take(1):
            self._launching = self._commands.submit(self._launch, wanted)

    def settle(self, say: Callable[[str], None] = print) -> None:
        """Bring everything to an end, when all is healed. Raises TransientError when it doesn't end in time."""
        self._commands.shutdown()
        if not self._webhook.finish(120):
            raise TransientError("The receiver doesn't acknowledge an event, though all is healed; see its log.")
        self._now = stopped = self._stop_clock()
        self._await_idle()
        time.sleep(max(0.0, (stopped + BEHIND - datetime.now(UTC)).total_seconds()))
        closing = [Wanted(name, tuple(self._days()[-2:])) for name in LAUNCHED]
        self._run([*closing, Wanted(POSTURE.name, tuple(self._days()[-1:]))])
        for number in range(ROUNDS):
            lacking = list(self._lacking())
            if not lacking:
                break
            for wanted in lacking:
                say(f"launched again ({number + 1}): {wanted.dataset} of {', '.join(wanted.days)}")
            self._run(lacking)
        else:
            still = ", ".join(f"{one.dataset} of {' '.join(one.days)}" for one in self._lacking())
            if still:
                raise TransientError(f"After {ROUNDS} rounds these still fail or are missing: {still}.")
        self._await_spool()

    def outcome(self) -> Outcome:
        """What came of it, against the tenant."""
        clock = self._world.wiz_control("clock")
        earliest, now = (datetime.fromisoformat(clock[name]) for name in ("earliest", "now"))
        truth = Truth(self._world.plan, earliest, now)
        places = Places(self._world.elasticsearch, NAMESPACE, self._world.landing)
        return compare(truth, places, self._webhook.sent)

    def _plan_backfills(self) -> Iterator[Wanted]:
        """All days of all datasets, in pieces, each dataset's turn by turn; and a sweep."""
        days = self._days()
        yield Wanted(POSTURE.name, (days[-1],))
        for start in range(0, len(days), DAYS_AT_ONCE):
            for name in LAUNCHED:
                yield Wanted(name, tuple(days[start : start + DAYS_AT_ONCE]))

    def _take(self, number: int) -> list[Wanted]:
        taken, self._to_launch = self._to_launch[:number], self._to_launch[number:]
        return taken

    def _days(self) -> list[str]:
        return self._world.plan.days_until(self._now or datetime.now(UTC))

    def _launch(self, wanted: Wanted) -> bool:
        """Whether Dagster took it; while a fault strikes, its command may fail."""
        job = ("-j", f"{wanted.dataset}_job", "--partitions", ",".join(wanted.days))
        try:
            self._world.run_dagster("job", "backfill", *job, "--noprompt")
        except PermanentError:
            self._to_launch.insert(0, wanted)
            return False
        return True

    def _backfill_runs(self) -> int:
        """Those that wait or run; a backfill whose runs aren't all made yet counts as many."""
        waiting = self._world.instance.get_backfills(status=BulkActionStatus.REQUESTED)
        return MOST_WAITING * len(waiting) + sum(BACKFILL_TAG in run.tags for run in self._unfinished())

    def _unfinished(self) -> Sequence[dg.DagsterRun]:
        return self._world.instance.get_runs(RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))

    def _run(self, all_wanted: Iterable[Wanted]) -> None:
        """Launch, and wait until nothing waits or runs."""
        for wanted in all_wanted:
            if not self._launch(wanted):
                raise TransientError(f"Dagster takes no backfill of {wanted.dataset}; see the log of its command.")
        self._await_idle()

    def _await_idle(self) -> None:
        """Until no run but refreshes is under way; what nothing runs any more is failed as an operator would."""
        deadline = time.monotonic() + QUEUE_SECONDS
        recover = time.monotonic() + 45
        while busy := self._busy():
            if time.monotonic() > deadline:
                raise TransientError(f"These still wait or run after {QUEUE_SECONDS:.0f} s: {', '.join(busy)}.")
            if time.monotonic() > recover:
                self._world.command("recover")
                recover = time.monotonic() + 45
            time.sleep(1.0)

    def _busy(self) -> list[str]:
        names = [f"{run.job_name} of {run.tags.get('dagster/partition', '?')}" for run in self._unfinished()]
        backfills = self._world.instance.get_backfills(status=BulkActionStatus.REQUESTED)
        return [*(one for one in names if not one.startswith("refresh_job")), *(one.backfill_id for one in backfills)]

    def _lacking(self) -> Iterator[Wanted]:
        """What a person sees in Dagster's overview of partitions: days that failed last or are missing."""
        for dataset in COMPARED:
            days = self._days()[-1:] if dataset.snapshot else self._days()
            views = [["wiz", "latest", view] for view, fed_by in FED_BY.items() if fed_by is dataset]
            keys = [["wiz", "raw", dataset.name], ["wiz", dataset.name], *views]
            lacking = {day for key in keys for day in self._not_done(dg.AssetKey(key), days)}
            if lacking:
                yield Wanted(dataset.name, tuple(sorted(lacking)))

    def _not_done(self, key: dg.AssetKey, days: Sequence[str]) -> list[str]:
        found = self._world.instance.get_status_by_partition(key, days, self._partitions) or {}
        return [day for day in days if found.get(day) is not AssetPartitionStatus.MATERIALIZED]

    def _stop_clock(self) -> datetime:
        return datetime.fromisoformat(self._world.wiz_control("clock", {"stop": True})["now"])

    def _await_spool(self) -> None:
        """Until the sensor's runs have brought in what the receiver holds."""
        deadline = time.monotonic() + QUEUE_SECONDS
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError):
                waiting = [path for path in self._world.spool.glob("????-??-??/*") if path.stat().st_size]
                if not waiting and not self._busy() and not self._not_done(DEFEND, self._days()[-1:]):
                    return
            time.sleep(1.0)
        raise TransientError(f"The spool {self._world.spool} still has events after {QUEUE_SECONDS:.0f} s.")
