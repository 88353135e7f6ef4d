"""One day of one dataset in the demo: the run that backfills it, and its figures beside the tenant's own.

What was created, unchanged, deleted and rejected is what the run recorded; every other figure is asked anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from wiz_dagster.assets import ecs_key, raw_key
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.latest_views import STILL_OPEN, view_of
from wiz_dagster.latest import latest_key
from wiz_dagster.sandbox.holdings import Holdings
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.truth import nodes_of_day, nodes_of_snapshot

DEMO_TAG = "wiz/demo"
WRITTEN = ("created", "unchanged", "deleted", "rejected")
BROUGHT = ("written", "superseded", "unchanged", "rejected")


@dataclass(frozen=True)
class Figures:
    """A row of the demo's table; what a failed run left unknown is None."""

    dataset: str
    day: str
    nodes: int
    still_open: int
    landed: int | None
    documents: int
    created: int | None
    unchanged: int | None
    deleted: int | None
    rejected: int | None
    failure: str | None = None
    brought: Mapping[str, int] = field(default_factory=dict)
    """What the run recorded of the latest view that the dataset feeds."""
    growing: bool = False
    """The day wasn't over at the tenant's moment: what `dev` has landed of it since comes on top."""

    def problems(self) -> Iterator[str]:
        """A sentence for each figure that doesn't agree with the tenant."""
        where = f"{self.dataset} {self.day}"
        if self.failure is not None:
            yield f"{where}: the run failed: {self.failure}"
            return
        expected = max(self.nodes, self.landed or 0) if self.growing else self.nodes
        for name in ("landed", "documents"):
            if getattr(self, name) != expected:
                yield f"{where}: {name} is {getattr(self, name)}, the tenant has {expected} nodes."
        if (self.created or 0) + (self.unchanged or 0) != expected or self.rejected:
            yield f"{where}: created, unchanged and rejected don't add up to the tenant's {expected} nodes."


def backfill_day(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    dataset: Dataset,
    day: str,
    tenant: Tenant,
    holdings: Holdings,
    *,
    growing: bool = False,
) -> Figures:
    """Run the job for the day and gather the figures.

    A sweep of the day that is landed already isn't taken again: each is new documents of the same findings.
    """
    without_fetch = sorted(job.asset_layer.selected_asset_keys - {raw_key(dataset)})
    result = job.execute_in_process(
        instance=instance,
        partition_key=day,
        tags={DEMO_TAG: "true"},
        raise_on_error=False,
        asset_selection=without_fetch if dataset.snapshot and holdings.is_landed(dataset.name, day) else None,
    )
    statuses = Counter(node.get("status") for node in true_nodes(tenant, dataset, day))
    view = view_of(dataset)
    written = recorded(result, ecs_key(dataset), WRITTEN) if result.success else {}
    return Figures(
        dataset=dataset.name,
        day=day,
        nodes=statuses.total(),
        still_open=sum(statuses[status] for status in STILL_OPEN),
        landed=holdings.landed(dataset.name, day) if result.success else None,
        documents=holdings.documents(dataset.name, day),
        **{name: written.get(name) for name in WRITTEN},
        failure=None if result.success else failure_of(result),
        brought=recorded(result, latest_key(view), BROUGHT) if view and result.success else {},
        growing=growing,
    )


def true_nodes(tenant: Tenant, dataset: Dataset, day: str) -> Iterator[Node]:
    """What the tenant has for a partition, by a scan of its own."""
    if dataset.snapshot:
        return nodes_of_snapshot(tenant, dataset.name)
    return nodes_of_day(tenant, dataset.name, day)


def recorded(result: dg.ExecuteInProcessResult, key: dg.AssetKey, names: Sequence[str]) -> dict[str, Any]:
    """Figures of the asset that the run recorded; none if it wrote nothing."""
    for event in result.get_asset_materialization_events():
        if event.asset_key == key:
            metadata = event.step_materialization_data.materialization.metadata
            figures = {name.rpartition("/")[2]: figure.value for name, figure in metadata.items()}
            return {name: figures[name] for name in names}
    return {}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """The sentence of the error that failed the run."""
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return data.user_failure_data.description
        if data.error:
            return data.error.message.strip()
    return "no step failed; see the run's log."
