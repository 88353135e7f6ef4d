"""The options of a transform, as Elastic's integration has them.

They come from the settings of a dataset or from the command line; nothing here reads either. `fetched_at` is the only
time a transform knows: it has no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wiz_dagster.ecs.values import timestamp


@dataclass(frozen=True)
class EcsOptions:
    """What a transform may be told.

    Attributes:
        tags: `tags` of every document, exactly as given.
        fetched_at: when the nodes were fetched (UTC): the last resort for `@timestamp`.
        preserve_original_event: keep the node's text in `event.original`.
        preserve_duplicate_custom_fields: keep those `wiz.*` fields whose value stands in an ECS field too.
        geoip_database: the user's own MaxMind database (mmdb) for `source.geo`; without it there is none.
    """

    tags: tuple[str, ...]
    fetched_at: datetime
    preserve_original_event: bool = False
    preserve_duplicate_custom_fields: bool = False
    geoip_database: Path | None = None

    @property
    def fetched_timestamp(self) -> str:
        """`fetched_at` as documents write moments."""
        return str(timestamp(self.fetched_at.isoformat()))
