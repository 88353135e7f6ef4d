"""The datasets: one module, one query and one field table each. A new dataset is those three and a line here."""

from __future__ import annotations

from wiz_dagster.datasets.audit import AUDIT
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.datasets.cloud_configuration_finding import CLOUD_CONFIGURATION_FINDING
from wiz_dagster.datasets.cloud_configuration_finding_full_posture import CLOUD_CONFIGURATION_FINDING_FULL_POSTURE
from wiz_dagster.datasets.defend import DEFEND
from wiz_dagster.datasets.detection import DETECTION
from wiz_dagster.datasets.issue import ISSUE
from wiz_dagster.datasets.vulnerability import VULNERABILITY
from wiz_dagster.errors import PermanentError

PULLED: tuple[Dataset, ...] = (
    AUDIT,
    ISSUE,
    VULNERABILITY,
    CLOUD_CONFIGURATION_FINDING,
    CLOUD_CONFIGURATION_FINDING_FULL_POSTURE,
    DETECTION,
)
"""What Wiz is asked for."""
DATASETS: tuple[Dataset, ...] = (*PULLED, DEFEND)


def dataset_named(name: str) -> Dataset:
    """The dataset of that name, or whose data stream has it.

    Raises:
        PermanentError: there is none; the message lists the names.
    """
    for dataset in DATASETS:
        if name in (dataset.name, dataset.stream):
            return dataset
    known = ", ".join(dataset.name for dataset in DATASETS)
    raise PermanentError(f"There is no dataset {name[:40]!r}; choose one of: {known}.")
