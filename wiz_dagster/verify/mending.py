"""`--repair`: what can be done about a day that differs, one step after the other, each told as it is done."""

from collections.abc import Iterator

from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.reconcile import Destination
from wiz_dagster.landing.manifest import Manifest
from wiz_dagster.landing.zone import day_folder
from wiz_dagster.verify.coverage import is_written_again, needed
from wiz_dagster.verify.damage import Damage, healthy
from wiz_dagster.verify.examination import Examination, examine_day
from wiz_dagster.verify.restoring import Needed, fetch_again, restore_index
from wiz_dagster.verify.rewriting import rewrite_documents
from wiz_dagster.verify.sides import Sides, can_be_fetched


def mend(sides: Sides, client: Elasticsearch, found: Examination) -> Iterator[str]:
    """Mends what it can of a day; yields what it did, or why it could not. Raises the package's errors."""
    if not found.report.repairable:
        return
    if found.damaged:
        yield from _mend_files(sides, client, found)
        found = examine_day(sides, client, found.report.dataset, found.report.day)
        if found.report.agrees or any(damage.current for damage in found.damaged):
            return
    if len(found.report.differences) > bool(found.damaged):
        yield _mend_documents(sides, client, found)


def _mend_documents(sides: Sides, client: Elasticsearch, found: Examination) -> str:
    dataset = found.report.dataset
    partition = sides.partition(dataset, found.report.day)
    report = rewrite_documents(partition, sides.zone, sides.destination(client, dataset), found.changed)
    return (
        f"written again: {len(found.changed)} changed documents deleted, {report.created} created, "
        f"{report.deleted} superfluous deleted, {report.rejected} rejected"
    )


def _mend_files(sides: Sides, client: Elasticsearch, found: Examination) -> Iterator[str]:
    dataset, day = found.report.dataset, found.report.day
    store, folder = sides.zone.store, day_folder(dataset.name, day)
    lost = []
    for damage in found.damaged:
        if not damage.lines and restore_index(store, folder, dataset, damage.part):
            yield f"{damage.part.index_name} made anew of its part"
        else:
            lost.append(damage)
    if not lost or not can_be_fetched(dataset, day):
        return
    is_needed = _judge(sides, sides.destination(client, dataset), found, lost)
    left = fetch_again(sides.zone, sides.raw_day(dataset, day), lost, is_needed)
    for damage in lost:
        yield _told(damage, damage in left)


def _told(damage: Damage, still_needed: bool) -> str:
    names = " and ".join(damage.files)
    if still_needed:
        return (
            f"fetched again, but Wiz doesn't return all that {names} held (or it can't be told what it held): it stays "
            "in the manifest, and nothing is deleted from Elasticsearch"
        )
    return f"fetched again, {names} is no longer needed and kept aside"


def _judge(sides: Sides, to: Destination, found: Examination, lost: list[Damage]) -> Needed:
    dataset, day = found.report.dataset, found.report.day
    folder = day_folder(dataset.name, day)

    def is_needed(manifest: Manifest, damage: Damage) -> bool:
        if not damage.index:
            return needed(sides.zone.store, folder, manifest, damage, lost) > 0
        partition = sides.partition(dataset, day, healthy(manifest, lost))
        return not damage.current or not is_written_again(sides.zone, partition, to.namespace, damage)

    return is_needed
