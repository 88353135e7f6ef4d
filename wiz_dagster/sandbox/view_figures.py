"""A latest view in the demo: what it shows beside what the tenant has, and what the runs brought into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wiz_dagster.datasets import dataset_named
from wiz_dagster.elasticsearch.latest_views import STILL_OPEN, VIEWS, LatestView
from wiz_dagster.sandbox.figures import BROUGHT, Figures, true_nodes
from wiz_dagster.sandbox.holdings import Holdings
from wiz_dagster.sandbox.wiz.tenant import Tenant


@dataclass(frozen=True)
class ViewFigures:
    """A row of the demo's second table: `findings` as the tenant has them, `shown` as readers of the alias see them."""

    view: str
    findings: int
    shown: int
    written: int
    superseded: int
    unchanged: int
    rejected: int

    def problems(self) -> Iterator[str]:
        """A sentence when the view doesn't agree with the tenant."""
        if self.shown != self.findings or self.rejected:
            yield f"latest {self.view}: {self.shown} are shown, the tenant has {self.findings} such findings."


def view_figures(tenant: Tenant, rows: Sequence[Figures], holdings: Holdings) -> list[ViewFigures]:
    """The views after the days of `rows` were brought into them; none where documents go to files."""
    return [_of_view(view, tenant, rows, holdings) for view in VIEWS] if holdings.has_views else []


def _of_view(view: LatestView, tenant: Tenant, rows: Sequence[Figures], holdings: Holdings) -> ViewFigures:
    dataset = dataset_named(view.dataset)
    own = [row for row in rows if row.dataset == view.dataset]
    found = (node for row in own for node in true_nodes(tenant, dataset, row.day))
    return ViewFigures(
        view=view.name,
        findings=sum(1 for node in found if dataset.snapshot or node.get("status") in STILL_OPEN),
        shown=holdings.shown(view),
        **{name: sum(row.brought.get(name, 0) for row in own) for name in BROUGHT},
    )
