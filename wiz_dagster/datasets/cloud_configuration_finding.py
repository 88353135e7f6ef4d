"""Dataset `cloud_configuration_finding`: the configuration findings that changed, each as it is now.

It holds deleted ones too, marked by `deleted`. The transform stands in `configuration_findings.py`.
"""

from __future__ import annotations

from types import MappingProxyType

from wiz_dagster.datasets.base import FINDING_STATUSES, Dataset, Walk
from wiz_dagster.datasets.configuration_findings import FILTERS, transform_changes

CLOUD_CONFIGURATION_FINDING = Dataset(
    name="cloud_configuration_finding",
    stream="cloud_configuration_finding",
    root="configurationFindings",
    scope="read:cloud_configuration",
    description="Wiz's cloud configuration findings of all statuses, deleted ones too, filed under the day of their "
    "last change.",
    walks=(Walk("updatedAt"),),
    window_fields=("updatedAt",),
    version_field="updatedAt",
    reach_days=None,
    filters=FILTERS,
    default_tags=("forwarded", "wiz-cloud_configuration_finding"),
    transform=transform_changes,
    always=MappingProxyType({"includeDeleted": True}),
    statuses=FINDING_STATUSES,
)
