"""Whether a damaged part may be given up: whether all that the day's documents need of it stands in other parts, too.

Its index tells what it held. Without that, the receipt of the last write does: every document of it has to be made of
what is left. What can't be shown counts as needed.
"""

from collections.abc import Sequence

import numpy as np

from wiz_dagster.elasticsearch.digests import document_ids
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.landing.dead_letters import read_dead_letters
from wiz_dagster.landing.landed_day import read_indexes
from wiz_dagster.landing.manifest import Manifest
from wiz_dagster.landing.node_index import Contents, is_among, no_contents, winners
from wiz_dagster.landing.receipts import read_receipt
from wiz_dagster.landing.store import Store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.verify.contents import expected_documents
from wiz_dagster.verify.damage import Damage, healthy


def needed(store: Store, folder: str, manifest: Manifest, damage: Damage, damaged: Sequence[Damage]) -> int:
    """How many nodes of a damaged part, whose index is whole, are in none of the whole parts.

    Of a part of the day only newest versions count; of an earlier sweep, all.
    """
    whole = healthy(manifest, damaged)
    contents = np.unique(read_indexes(store, folder, (*whole.parts, *whole.superseded))["content"])
    if damage.part in manifest.parts:
        held = _newest(store, folder, manifest, damage, whole)
    else:
        held = np.unique(read_indexes(store, folder, (damage.part,))["content"])
    return int(np.count_nonzero(~is_among(held, contents)))


def is_written_again(zone: LandingZone, partition: EcsPartition, namespace: str, damage: Damage) -> bool:
    """Whether the day's whole parts, which `partition` is of, make every document of the last write.

    That one has to be younger than the damaged part, and nothing may have been refused.
    """
    place = (partition.dataset.name, partition.day, namespace)
    receipt = read_receipt(zone, *place)
    if receipt is None or receipt.generation < damage.part.generation or any(read_dead_letters(zone, *place)):
        return False
    written = document_ids(receipt.entries)
    return bool(is_among(written, expected_documents(partition, namespace).ids).all())


def _newest(store: Store, folder: str, manifest: Manifest, damage: Damage, whole: Manifest) -> Contents:
    """Contents of the part's nodes that are the newest versions of all that is known."""
    known = tuple(part for part in manifest.in_fetch_order() if part in whole.parts or part == damage.part)
    start = sum(part.nodes for part in known[: known.index(damage.part)])
    entries = read_indexes(store, folder, known)
    newest = winners(entries)
    mine = newest[(newest >= start) & (newest < start + damage.part.nodes)]
    return entries["content"][mine] if len(mine) else no_contents()
