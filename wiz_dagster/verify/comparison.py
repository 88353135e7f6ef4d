"""One day's documents: what its landed nodes make, against what Elasticsearch holds.

Nothing is changed here. A document that landed only after it was made to fit, or whose `event.original` a pipeline
dropped, is right; one that stands in another partition is, too, where Wiz may send a node twice.
"""

from dataclasses import dataclass, field

import numpy as np
import orjson

from wiz_dagster.elasticsearch.digests import ID_BYTES, Digests, digests, document_ids, raw_id, raw_ids, text_id
from wiz_dagster.elasticsearch.elsewhere import Elsewhere
from wiz_dagster.elasticsearch.fitting import Fitting
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.elasticsearch.reconcile import Destination, refreshed, stream_name
from wiz_dagster.errors import DamagedError
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.node_index import is_among
from wiz_dagster.landing.receipts import Receipt, read_receipt
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.verify.contents import Documents, content_of, expected_documents, made_documents
from wiz_dagster.verify.differences import Difference
from wiz_dagster.verify.stored import Stored, stored_documents, treatment


@dataclass
class Comparison:
    """How a day's documents differ; `held` is how many Elasticsearch has.

    `older`: they were written under another mapping or other options than today's. `behind`: the last write knew more
    landings of the day than the manifest does. `changed` is where the documents with another content stand, as backing
    index and id.
    """

    held: int = 0
    older: bool = False
    behind: bool = False
    differences: list[Difference] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, ids: Digests) -> None:
        """Notes documents that differ, if there are any."""
        if len(ids):
            self.differences.append(Difference.of(kind, map(text_id, raw_ids(ids[: Difference.SHOWN])), len(ids)))


def compare(partition: EcsPartition, zone: LandingZone, to: Destination) -> Comparison:
    """Holds the partition's documents against Elasticsearch, which is refreshed first.

    Documents of an older mapping are what the last write left, so they are held against its receipt. Raises
    PermanentError and TransientError when Elasticsearch refuses or can't be read.
    """
    found = Comparison()
    stream, place = stream_name(partition.dataset, to.namespace), (partition.dataset.name, partition.day, to.namespace)
    refreshed(to, stream, found.notes)
    stored = to.backoff.patiently(lambda: stored_documents(to.client, stream, partition.day))
    expected = expected_documents(partition, to.namespace)
    receipt = read_receipt(zone, *place)
    found.held = len(stored.ids) + len(stored.foreign)
    found.older = receipt is not None and receipt.fingerprint != partition.fingerprint
    held = stored.ids[~stored.copies()]
    refused = _refused(zone, place, found)
    wanted = _wanted(partition, expected, receipt, held, refused)
    absent = wanted[~is_among(wanted, held)]
    if partition.dataset.pushed:
        absent = absent[~Elsewhere(to.client, stream, to.backoff).has(absent)]
    is_refused = is_among(absent, refused)
    found.add("missing", absent[~is_refused])
    found.add("rejected", absent[is_refused])
    _find_changed(found, partition, to, expected, stored)
    _find_superfluous(found, wanted, stored)
    if receipt is not None and found.differences:
        found.behind = receipt.generation > partition.landed.generation
        if receipt.generation < partition.landed.generation:
            found.notes.append("landed after it was last written")
    return found


def _refused(zone: LandingZone, place: tuple[str, str, str], found: Comparison) -> Digests:
    try:
        return digests(b"".join(sorted(raw_id(letter.id) or b"" for letter in read_dead_letters(zone, *place))))
    except DamagedError:
        found.differences.append(Difference("damaged file of dead letters", 1))
        return digests(b"")


def _wanted(
    partition: EcsPartition, expected: Documents, receipt: Receipt | None, held: Digests, refused: Digests
) -> Digests:
    """The ids that have to be there, sorted: of today's documents or, written another way, of those written then."""
    outdated = (
        receipt is not None
        and receipt.fingerprint != partition.fingerprint
        and receipt.generation == partition.landed.generation
    )
    if receipt is None or not outdated or np.array_equal(expected.ids, held):
        return expected.ids
    return np.union1d(document_ids(receipt.entries), refused)


def _find_changed(
    found: Comparison, partition: EcsPartition, to: Destination, expected: Documents, stored: Stored
) -> None:
    if not len(expected.ids):
        return
    at = np.minimum(np.searchsorted(expected.ids, stored.ids), len(expected.ids) - 1)
    differs = (expected.ids[at] == stored.ids) & (expected.contents[at] != stored.contents) & ~stored.copies()
    if not differs.any():
        return
    stream = stream_name(partition.dataset, to.namespace)
    treated = to.backoff.patiently(lambda: treatment(to.client, stream))
    if treated.synthetic:
        found.notes.append("contents not compared, as the stream's _source is synthetic")
        return
    doubtful = Documents(stored.ids[differs], stored.contents[differs])
    right = _right_after_all(partition, to.namespace, doubtful, piped=treated.piped)
    changed = stored.ids[differs & ~is_among(stored.ids, right)]
    found.add("changed", changed)
    found.changed = stored.whereabouts(is_among(stored.ids, changed))


def _right_after_all(partition: EcsPartition, namespace: str, stored: Documents, *, piped: bool) -> Digests:
    """Which of the stored documents differ from those made only as they may; sorted."""
    fitting = Fitting(partition.dataset.fields(), partition.dataset.stream)
    contents = stored.contents.tobytes()
    right = []
    for batch in made_documents(partition, namespace):
        ids = digests(b"".join(one.digest for one in batch))
        for number in np.flatnonzero(is_among(ids, stored.ids)):
            at = int(np.searchsorted(stored.ids, ids[number])) * ID_BYTES
            if contents[at : at + ID_BYTES] in _forms(batch[number].document, fitting, piped):
                right.append(batch[number].digest)
    return digests(b"".join(sorted(right)))


def _forms(document: bytes, fitting: Fitting, piped: bool) -> set[bytes]:
    """The contents that the document may have in Elasticsearch besides its own."""
    fitted = fitting.fit(document)
    forms = [orjson.loads(one) for one in (document, fitted.document if fitted else document)]
    if piped:
        forms += [{**one, "event": {k: v for k, v in one["event"].items() if k != "original"}} for one in forms]
    return {content_of(form) for form in forms}


def _find_superfluous(found: Comparison, wanted: Digests, stored: Stored) -> None:
    copies = stored.copies()
    found.add("superfluous", stored.ids[~copies & ~is_among(stored.ids, wanted)])
    found.add("copies", stored.ids[copies])
    if stored.foreign:
        ids = (document_id for _, document_id in stored.foreign)
        found.differences.append(Difference.of("with a foreign id", ids, len(stored.foreign)))
