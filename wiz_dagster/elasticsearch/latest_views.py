"""The latest views as data: which dataset each is made of, behind which alias it stands, and what the alias shows.

Kibana's Findings pages read aliases named `security_solution-*.vulnerability_latest` and `.misconfiguration_latest`.
How the index behind an alias is made is in `latest_index.py`, how it is filled in `latest_writer.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from wiz_dagster.datasets.base import Dataset

STILL_OPEN = ("OPEN", "IN_PROGRESS")


@dataclass(frozen=True)
class LatestView:
    """The newest known state of each finding of a dataset.

    Attributes:
        name: as in `wiz/latest/<name>`.
        dataset: the name of the dataset that feeds it.
        alias: what readers ask.
        shown: the query that the alias adds to theirs.
        gone_field: true in the document of a finding that a newer complete sweep no longer has; only of snapshots.
    """

    name: str
    dataset: str
    alias: str
    shown: Mapping[str, Any]
    gone_field: str | None = None

    @property
    def index(self) -> str:
        """The index behind the alias; all namespaces share it."""
        return f"{self.alias}-dagster-v1"


def _one_of(field: str, values: Iterable[str]) -> Mapping[str, Any]:
    return MappingProxyType({"terms": {field: list(values)}})


GONE = "wiz.cloud_configuration_finding_full_posture.gone"
VIEWS: tuple[LatestView, ...] = (
    LatestView(
        name="vulnerability",
        dataset="vulnerability",
        alias="security_solution-wiz.vulnerability_latest",
        shown=_one_of("wiz.vulnerability.status", STILL_OPEN),
    ),
    LatestView(
        name="misconfiguration",
        dataset="cloud_configuration_finding_full_posture",
        alias="security_solution-wiz.misconfiguration_latest",
        shown=MappingProxyType({"bool": {"must_not": {"term": {GONE: True}}}}),
        gone_field=GONE,
    ),
    LatestView(
        name="issue",
        dataset="issue",
        alias="wiz.issue_latest",
        shown=_one_of("wiz.issue.status.value", STILL_OPEN),
    ),
)


def view_of(dataset: Dataset) -> LatestView | None:
    """The view that the dataset feeds, if there is one."""
    return next((view for view in VIEWS if view.dataset == dataset.name), None)


def views_of(datasets: Iterable[Dataset]) -> list[tuple[LatestView, Dataset]]:
    """The views that these datasets feed, each with its dataset."""
    pairs = ((view_of(dataset), dataset) for dataset in datasets)
    return [(view, dataset) for view, dataset in pairs if view is not None]
