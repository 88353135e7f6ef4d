"""A latest view in the demo: what it shows beside what the tenant has, and what the runs brought into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wiz_dagster.datasets import dataset_named
from wiz_dagster.elasticsearch.latest_views import VIEWS, LatestView
from wiz_dagster.sandbox.figures import BROUGHT, Figures
from wiz_dagster.sandbox.holdings import Holdings


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


def view_figures(rows: Sequence[Figures], holdings: Holdings) -> list[ViewFigures]:
    """The views after the days of `rows` were brought into them; none where documents go to files."""
    shown = ((view, holdings.shown(view)) for view in VIEWS)
    return [_of_view(view, rows, number) for view, number in shown if number is not None]


def _of_view(view: LatestView, rows: Sequence[Figures], shown: int) -> ViewFigures:
    snapshot = dataset_named(view.dataset).snapshot
    own = [row for row in rows if row.dataset == view.dataset]
    return ViewFigures(
        view=view.name,
        findings=sum(row.nodes if snapshot else row.still_open for row in own),
        shown=shown,
        **{name: sum(row.brought.get(name, 0) for row in own) for name in BROUGHT},
    )
