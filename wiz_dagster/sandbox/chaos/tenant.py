"""The tenant of a campaign: how large it is, and that it lives: what it tells late, what changes while things break.

It follows from a plan that fits into a file, so that the emulator, in a process of its own, and the comparison mean the
same tenant. `python -m wiz_dagster.sandbox.chaos.tenant PLAN PORT` is that process.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import orjson

from wiz_dagster.sandbox.wiz.changing import Hurry
from wiz_dagster.sandbox.wiz.clock import Clock
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.times import SECOND, micros

VOLUMES = {
    "audit": 9_000,
    "issue": 9_000,
    "vulnerability": 12_000,
    "cloud_configuration_finding": 4_000,
    "detection": 2_000,
}
"""Nodes a day for a campaign of `FULL_MINUTES`; a shorter one has fewer."""
FULL_MINUTES, FULL_DAYS = 10.0, 6
SHORT_DAYS = 3
HURRIED_PER_MILLE = 300


@dataclass(frozen=True)
class TenantPlan:
    """What the tenant follows from.

    `moment` (ISO 8601) is the campaign's start: the last of the `days` days is its day, and in the `busy_seconds` from
    then on many of the changes happen that would have come on later days.
    """

    seed: int
    moment: str
    days: int
    volumes: dict[str, int]
    busy_seconds: int

    @classmethod
    def of_campaign(cls, seed: int, minutes: float, moment: datetime) -> Self:
        """A tenant whose documents can be written in so many minutes on two cores, while things break."""
        share = min(minutes / FULL_MINUTES, 1.0)
        days = FULL_DAYS if share == 1.0 else SHORT_DAYS
        volumes = {name: max(100, int(volume * share)) for name, volume in VOLUMES.items()}
        return cls(seed, moment.astimezone(UTC).isoformat(), days, volumes, int(minutes * 60))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The plan in a file that `write` has made."""
        return cls(**orjson.loads(path.read_bytes()))

    def write(self, path: Path) -> None:
        """Into a file."""
        path.write_bytes(orjson.dumps(asdict(self)))

    @property
    def start(self) -> datetime:
        """The campaign's start."""
        return datetime.fromisoformat(self.moment)

    @property
    def first_day(self) -> date:
        """The first day of the tenant."""
        return self.start.date() - timedelta(days=self.days - 1)

    def days_until(self, moment: datetime) -> list[str]:
        """All days of the tenant up to that of `moment`, as partitions are named."""
        count = (moment.astimezone(UTC).date() - self.first_day).days + 1
        return [(self.first_day + timedelta(days=number)).isoformat() for number in range(count)]

    def tenant(self, clock: Clock, *, late: bool = True) -> Tenant:
        """The tenant, its present moment being that of `clock`; not `late`: the same, told at once."""
        hurry = Hurry(micros(self.start), self.busy_seconds * SECOND, HURRIED_PER_MILLE)
        tenant = Tenant(now=self.start, seed=self.seed, days=self.days, volumes=self.volumes, late=late, hurry=hurry)
        tenant.clock = clock
        return tenant


def serve(plan: TenantPlan, port: int) -> None:
    """The emulator in the foreground until SIGTERM or SIGINT; its clock is the machine's until it is told otherwise."""
    tenant = plan.tenant(Clock(datetime.now(UTC), live=True))
    WizEmulator(tenant, port=port).run(ready=lambda emulator: print(emulator.url, flush=True))


if __name__ == "__main__":
    serve(TenantPlan.read(Path(sys.argv[1])), int(sys.argv[2]))
