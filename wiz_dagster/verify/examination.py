"""One day looked at, on both sides; what differs is looked at once more while no run can be writing it."""

from dataclasses import dataclass, field

from elasticsearch import Elasticsearch

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.write_lock import write_lock
from wiz_dagster.landing.zone import day_folder
from wiz_dagster.verify.comparison import Comparison, compare
from wiz_dagster.verify.damage import Damage, damages
from wiz_dagster.verify.differences import DayReport, Difference
from wiz_dagster.verify.sides import Sides, can_be_fetched

REJECTED = "rejected"


@dataclass
class Examination:
    """What was found of a day: for people in `report`, for mending as it is."""

    report: DayReport
    damaged: list[Damage] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    behind: bool = False


def examine_day(sides: Sides, client: Elasticsearch, dataset: Dataset, day: str, *, tried: bool = False) -> Examination:
    """A landed day; `tried`: it was mended already as far as it could be.

    Raises PermanentError and TransientError where a side can't be read at all.
    """
    examination = Examination(DayReport(dataset, day))
    folder, report = day_folder(dataset.name, day), examination.report
    try:
        manifest = sides.zone.day(dataset.name, day).manifest
    except DamagedError:
        name = f"{folder}/manifest.json"
        report.differences.append(Difference("damaged file", 1, (name,)))
        report.remedy, report.repairable = f"restore {name} from a backup", False
        return examination
    examination.damaged = damages(sides.zone.store, folder, manifest)
    files = [f"{folder}/{name}" for damage in examination.damaged for name in damage.files]
    if files:
        report.differences.append(
            Difference.of("damaged files" if len(files) > 1 else "damaged file", files, len(files))
        )
    if any(damage.current for damage in examination.damaged):
        report.notes.append("documents not compared")
    else:
        _compare(sides, client, examination)
    report.remedy, report.repairable = _remedy(examination, tried=tried)
    return examination


def unlanded_day(dataset: Dataset, day: str, documents: int) -> DayReport:
    """A day that Elasticsearch holds documents of though nothing of it was landed."""
    remedy = f"restore {day_folder(dataset.name, day)} from a backup"
    if can_be_fetched(dataset, day):
        remedy += f", or materialize wiz/raw/{dataset.name} and wiz/{dataset.name}, which deletes what Wiz has no more"
    return DayReport(
        dataset,
        day,
        documents=documents,
        differences=[Difference("documents of a day that was never landed", documents)],
        remedy=remedy,
        repairable=False,
    )


def _compare(sides: Sides, client: Elasticsearch, examination: Examination) -> None:
    report = examination.report
    dataset, day = report.dataset, report.day
    to = sides.destination(client, dataset)
    found = compare(sides.partition(dataset, day), sides.zone, to)
    if found.differences:
        with write_lock(sides.zone, dataset.name, None if dataset.pushed else day, to.namespace):
            found = compare(sides.partition(dataset, day), sides.zone, to)
    _note(examination, found)


def _note(examination: Examination, found: Comparison) -> None:
    report = examination.report
    examination.changed, examination.behind = found.changed, found.behind
    report.documents, report.older = found.held, found.older
    report.differences += found.differences
    report.notes += found.notes
    if found.behind:
        report.notes.append("the manifest is older than the last write")


def _remedy(examination: Examination, *, tried: bool) -> tuple[str, bool]:
    """What to do, and whether `--repair` may do it."""
    report = examination.report
    if report.agrees:
        return "", True
    if examination.behind:
        name = f"{day_folder(report.dataset.name, report.day)}/manifest.json"
        return f"restore a newer {name}, or land the day again first", False
    repair = f"mend it with: {report.repair_command()}"
    lost = [damage for damage in examination.damaged if damage.lines]
    if lost and (tried or not can_be_fetched(report.dataset, report.day)):
        folder = day_folder(report.dataset.name, report.day)
        files = ", ".join(f"{folder}/{name}" for damage in lost for name in damage.files)
        return f"restore {files} from a backup", len(lost) < len(examination.damaged) or len(report.differences) > 1
    if all(difference.kind == REJECTED for difference in report.differences):
        return f"correct what the day's dead letters name, then {repair}", True
    return repair, True
