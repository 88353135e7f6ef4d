"""The days of a verification, one after the other, and what there is to say of them in the end."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from elasticsearch import Elasticsearch

from wiz_dagster.datasets import DATASETS, dataset_named
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.client import connect, translated
from wiz_dagster.elasticsearch.listing import refresh, stored_days
from wiz_dagster.elasticsearch.reconcile import stream_name
from wiz_dagster.errors import PermanentError, WizDagsterError
from wiz_dagster.verify.differences import DayReport
from wiz_dagster.verify.examination import Examination, examine_day, unlanded_day
from wiz_dagster.verify.mending import mend
from wiz_dagster.verify.sides import Sides, read_sides
from wiz_dagster.verify.stored import without_day


class Verification:
    """Compares landing zone and Elasticsearch from one day to another, and mends what differs if `repair`.

    `lines` does it; afterwards `agrees` says whether nothing differs, or nothing any more.
    """

    def __init__(
        self, environment: Mapping[str, str], first: str, last: str, names: Sequence[str] = (), *, repair: bool = False
    ) -> None:
        self._first, self._last = _day(first), _day(last)
        if self._first > self._last:
            raise PermanentError(f"--from {first} comes after --to {last}: give the earlier day first.")
        self._sides: Sides = read_sides(environment)
        named = {dataset_named(name).name for name in names}
        enabled = {name for name, settings in self._sides.by_dataset.items() if settings.enabled}
        self._datasets = [dataset for dataset in DATASETS if dataset.name in (named or enabled)]
        self._repair = repair
        self._days = self._documents = self._differed = self._left = 0
        self._older: Counter[str] = Counter()
        self._without_day: Counter[str] = Counter()

    @property
    def agrees(self) -> bool:
        """Whether nothing is left that differs."""
        return not self._left

    def lines(self) -> Iterator[str]:
        """A line a day that differs, one a thing done about it, and last a summary; raises the package's errors."""
        with connect(self._sides.cluster) as client:
            for dataset in self._datasets:
                yield from self._of_dataset(client, dataset)
        yield self._summary()

    def _of_dataset(self, client: Elasticsearch, dataset: Dataset) -> Iterator[str]:
        stream = stream_name(dataset, self._sides.cluster.namespace)
        with translated():
            refresh(client, stream)
            held = stored_days(client, stream, self._first, self._last)
            self._without_day[dataset.name] += without_day(client, stream)
        self._without_day[dataset.name] += sum(held.pop(label) for label in list(held) if not _is_day(label))
        landed = {day for day in self._sides.zone.days(dataset.name) if self._first <= day <= self._last}
        for day in sorted(landed | held.keys()):
            if day in landed:
                yield from self._of_day(client, dataset, day)
            else:
                report = unlanded_day(dataset, day, held[day])
                self._count(report, report)
                yield report.line()

    def _of_day(self, client: Elasticsearch, dataset: Dataset, day: str) -> Iterator[str]:
        found = examine_day(self._sides, client, dataset, day)
        left = found.report
        if not left.agrees:
            yield left.line()
        if not left.agrees and self._repair:
            for told in self._mended(client, found):
                yield f"{dataset.name} {day}: {told}"
            left = examine_day(self._sides, client, dataset, day, tried=True).report
            yield f"{dataset.name} {day}: mended" if left.agrees else f"{left.line()} (not mended)"
        self._count(found.report, left)

    def _mended(self, client: Elasticsearch, found: Examination) -> Iterable[str]:
        try:
            yield from mend(self._sides, client, found)
        except WizDagsterError as error:
            yield str(error)

    def _count(self, first: DayReport, last: DayReport) -> None:
        """Adds a day as it was found and as it is left."""
        self._days += 1
        self._documents += last.documents
        self._differed += not first.agrees
        self._left += not last.agrees
        self._older[last.dataset.name] += last.older

    def _summary(self) -> str:
        names = ", ".join(one.name for one in self._datasets)
        days = f"{_days(self._days)} of {names}, {self._documents} documents"
        if not self._differed:
            found = "all agree"
        elif self._repair:
            found = f"{_days(self._differed)} differed, {self._differed - self._left} of them mended"
        else:
            found = f"{_days(self._differed)} with differences"
        older = _by_name(self._older)
        foreign = _by_name(self._without_day)
        return (
            f"{days}: {found}"
            + (f"; days written under an older mapping or with other options: {older}" if older else "")
            + (f"; documents that belong to no day, left alone: {foreign}" if foreign else "")
        )


def _by_name(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _days(number: int) -> str:
    return f"{number} day" if number == 1 else f"{number} days"


def _day(text: str) -> str:
    if not _is_day(text):
        raise PermanentError(f"{text[:40]!r} isn't a day: write it as YYYY-MM-DD.")
    return text


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
