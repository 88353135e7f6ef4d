"""Dataset `cloud_configuration_finding_full_posture`: all configuration findings, passed and failed, in sweeps.

A sweep has no window: it holds the moment it started in. The transform stands in `configuration_findings.py`.
"""

from __future__ import annotations

from types import MappingProxyType

from wiz_dagster.datasets.base import FINDING_STATUSES, Dataset, Walk
from wiz_dagster.datasets.configuration_findings import FILTERS, transform_posture

CLOUD_CONFIGURATION_FINDING_FULL_POSTURE = Dataset(
    name="cloud_configuration_finding_full_posture",
    stream="cloud_configuration_finding_full_posture",
    root="configurationFindings",
    scope="read:cloud_configuration",
    description="All of Wiz's cloud configuration findings, passed and failed, as they were when the sweep started, "
    "filed under the day of that start.",
    walks=(Walk(None),),
    window_fields=(),
    version_field="updatedAt",
    reach_days=None,
    filters=FILTERS,
    default_tags=("forwarded", "wiz-cloud_configuration_finding_full_posture"),
    transform=transform_posture,
    always=MappingProxyType({"includeDeleted": False}),
    statuses=FINDING_STATUSES,
    snapshot=True,
    query_file="cloud_configuration_finding.graphql",
)
