"""What flows from `wiz/latest/<view>` to its IO manager: a landed day that goes into the view.

Holds no documents itself. Who writes it leaves its figures in `report`, where the asset's checks find them.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from wiz_dagster.elasticsearch.latest_views import LatestView
from wiz_dagster.elasticsearch.partition import EcsPartition


@dataclass
class LatestReport:
    """The figures of one write of a day into a view; `bytes` as sent.

    `nodes` is what the landed day's own indexes say. Of them, `written` were stored, `superseded` met a newer state,
    `unchanged` had been sent by an earlier write. `refitted` says in how many of the written something was moved, as in
    `WriteReport`. `gone_marked` counts findings of all days, `shown` what readers see
    of the namespace afterwards. `reasons` has one entry a kind of rejection, as in `WriteReport`.
    """

    nodes: int = 0
    written: int = 0
    superseded: int = 0
    unchanged: int = 0
    refitted: int = 0
    rejected: int = 0
    gone_marked: int = 0
    shown: int = 0
    retried: int = 0
    bytes: int = 0
    seconds: float = 0.0
    reasons: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class LatestDay:
    """One landed day of the view's dataset, to be made into documents under the partition's options.

    Of a snapshot, what only superseded sweeps of the day found belongs to it: the view keeps such findings as gone.
    """

    view: LatestView
    partition: EcsPartition
    report: LatestReport | None = None

    def __post_init__(self) -> None:
        if self.partition.dataset.snapshot:
            self.partition = replace(self.partition, landed=self.partition.landed.with_superseded())
