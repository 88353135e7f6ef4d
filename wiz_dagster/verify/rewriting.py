"""Mending a day's documents in Elasticsearch: the changed ones go, then the partition is written as its asset does.

That creates what is missing, the changed ones again, and deletes what is superfluous.
"""

from collections.abc import Sequence

from wiz_dagster.elasticsearch.bulk import BulkWriter
from wiz_dagster.elasticsearch.bulk_batch import Rejection
from wiz_dagster.elasticsearch.partition import EcsPartition, WriteReport
from wiz_dagster.elasticsearch.reconcile import Destination, stream_name, write_partition
from wiz_dagster.errors import PermanentError
from wiz_dagster.landing.receipts import delete_receipt
from wiz_dagster.landing.write_lock import write_lock
from wiz_dagster.landing.zone import LandingZone


def rewrite_documents(
    partition: EcsPartition, zone: LandingZone, to: Destination, changed: Sequence[tuple[str, str]]
) -> WriteReport:
    """Makes Elasticsearch hold the partition's documents, `changed` (backing index, `_id`) written anew.

    Raises what `write_partition` raises; whoever writes the day next then finishes it.
    """
    dataset, day = partition.dataset, partition.day
    with write_lock(zone, dataset.name, None if dataset.pushed else day, to.namespace):
        partition.check_current(zone)
        delete_receipt(zone, dataset.name, day, to.namespace)
        stream = stream_name(dataset, to.namespace)
        with BulkWriter(to.client, stream, _refused, backoff=to.backoff) as writer:
            for index, document_id in changed:
                writer.delete(index, document_id)
    return write_partition(partition, zone, to)


def _refused(rejection: Rejection) -> None:
    raise PermanentError(
        f"Elasticsearch refused to delete a changed document ({rejection.kind}, HTTP {rejection.status}): "
        "check the role's privileges and the index's blocks."
    )
