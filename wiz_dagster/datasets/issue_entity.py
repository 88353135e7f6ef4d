"""The resource that an issue is about: Wiz's `entitySnapshot` in ECS's `cloud`, `orchestrator`, `url` and our own.

The issue around it is `issue.py`'s matter.
"""

from __future__ import annotations

from wiz_dagster.datasets.issue_lists import no_null_text
from wiz_dagster.ecs.columns import Columns, Values, copy_to
from wiz_dagster.ecs.tables import Table
from wiz_dagster.ecs.values import URL_PARTS, url_parts

KEYWORDS = {
    "cloudProviderURL": ("wiz.issue.entity_snapshot.cloud.provider_url",),
    "externalId": ("wiz.issue.entity_snapshot.external_id",),
    "id": ("wiz.issue.entity_snapshot.id",),
    "name": ("wiz.issue.entity_snapshot.name",),
    "fullResourceName": ("wiz.issue.entity_snapshot.full_resource_name",),
    "nativeType": ("wiz.issue.entity_snapshot.native_type",),
    "providerId": ("wiz.issue.entity_snapshot.provider_id",),
    "resourceGroupId": ("wiz.issue.entity_snapshot.resource_group_id",),
    "resourceGroupExternalId": ("wiz.issue.entity_snapshot.resource_group_external_id",),
    "status": ("wiz.issue.entity_snapshot.status",),
    "subscriptionId": ("wiz.issue.entity_snapshot.subscription.id",),
    "subscriptionExternalId": ("wiz.issue.entity_snapshot.subscription.external_id", "cloud.account.id"),
    "subscriptionName": ("wiz.issue.entity_snapshot.subscription.name", "cloud.account.name"),
    "type": ("wiz.issue.entity_snapshot.type",),
    "kubernetesClusterId": ("orchestrator.cluster.id",),
    "kubernetesClusterName": ("orchestrator.cluster.name",),
    "kubernetesNamespaceName": ("orchestrator.namespace",),
    "containerServiceId": ("wiz.issue.entity_snapshot.container_service.id",),
    "containerServiceName": ("wiz.issue.entity_snapshot.container_service.name",),
}
KEYS = frozenset({*KEYWORDS, "cloudPlatform", "createdAt", "region", "subscriptionTags", "tags"})


def put_entities(columns: Columns, values: Values, copies: bool) -> None:
    """Fill the fields of each issue's resource (`copies`: those too that repeat an ECS field)."""
    entities = Table(columns.objects(values, "entitySnapshot", KEYS))
    prefix = "wiz.issue.entity_snapshot"
    for key, paths in KEYWORDS.items():
        columns.keyword(entities[key], f"entitySnapshot.{key}", *paths)
    columns.keyword(
        entities["cloudPlatform"],
        "entitySnapshot.cloudPlatform",
        "cloud.provider",
        *copy_to(copies, f"{prefix}.cloud.platform"),
    )
    columns.keyword(entities["region"], "entitySnapshot.region", "cloud.region", *copy_to(copies, f"{prefix}.region"))
    columns.date(entities["createdAt"], "entitySnapshot.createdAt", f"{prefix}.created_at")
    columns.put(no_null_text(entities["tags"]), f"{prefix}.tags")
    columns.put(no_null_text(entities["subscriptionTags"]), f"{prefix}.subscription.tags")
    urls = Table([url_parts(url) if type(url) is str and url else {} for url in entities["cloudProviderURL"]])
    for part in URL_PARTS:
        columns.put(urls[part], f"url.{part}")
