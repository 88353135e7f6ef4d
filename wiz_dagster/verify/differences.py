"""How a day differs, in words: kinds and numbers, a few document ids, and what mends it. No contents."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Self

from wiz_dagster.datasets.base import Dataset

LONGEST = 120


@dataclass(frozen=True)
class Difference:
    """One kind of difference, how many there are, and what some of them are called."""

    SHOWN: ClassVar[int] = 5

    kind: str
    count: int
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, kind: str, names: Iterable[str], count: int) -> Self:
        """With the first of the names, as far as they can be printed on a line."""
        return cls(kind, count, tuple(ascii(name)[1:-1][:LONGEST] for name in islice(names, cls.SHOWN)))

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.names) else ""
        return f"{self.count} {self.kind}" + (f" ({', '.join(self.names)}{more})" if self.names else "")


@dataclass
class DayReport:
    """What was found of one day; `remedy` says what to do, where there is something to do.

    `repairable`: `--repair` may mend it. `documents` is how many Elasticsearch holds.
    """

    dataset: Dataset
    day: str
    documents: int = 0
    older: bool = False
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remedy: str = ""
    repairable: bool = True

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def line(self) -> str:
        """The day in one line."""
        found = ", ".join(map(str, self.differences)) or "agrees"
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        return f"{self.dataset.name} {self.day}: {found}{notes}" + (f"; {self.remedy}" if self.remedy else "")

    def repair_command(self) -> str:
        """What mends the day, if anything does."""
        return f"wiz-dagster verify --from {self.day} --to {self.day} --dataset {self.dataset.name} --repair"
