"""A process of its own that writes a landed day, for the tests that kill it or run two at once.

Arguments: landing zone, Elasticsearch's address, namespace, and `halt` to stand still after the first batch of frames.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from wiz_dagster.elasticsearch import bulk
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.elasticsearch.partition import EcsPartition, FrameBatch
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.elasticsearch.partition_helpers import write, zone_at

whole = EcsPartition.frames


def halting(partition: EcsPartition, after_generation: int = 0) -> Iterator[FrameBatch]:
    yield next(whole(partition, after_generation))
    time.sleep(60)


if __name__ == "__main__":
    folder, url, namespace, manner = sys.argv[1:]
    bulk.BATCH_OPERATIONS = 100
    if manner == "halt":
        EcsPartition.frames = halting  # type: ignore[method-assign]
    with connect(ElasticsearchSettings(url=url)) as client:
        print(write(zone_at(Path(folder)), client, namespace).created)
