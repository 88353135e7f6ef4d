"""What many tests share: one real Elasticsearch for the whole run, and a namespace of its own for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, settings

from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode, available
from wiz_dagster.settings import ElasticsearchSettings, read_elasticsearch_settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("ci", max_examples=50, deadline=None, suppress_health_check=SLOW)
settings.register_profile("thorough", max_examples=2000, deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def elasticsearch_settings() -> Iterator[ElasticsearchSettings]:
    """Settings of the cluster that ELASTICSEARCH_URL names, or of a node that lives as long as the test run."""
    if os.environ.get("ELASTICSEARCH_URL"):
        yield read_elasticsearch_settings(os.environ)
        return
    reason = available()
    if reason:
        pytest.skip(f"no Elasticsearch: {reason}")
    with ElasticsearchNode() as node:
        yield ElasticsearchSettings(url=node.url)


@pytest.fixture(scope="session")
def elasticsearch(elasticsearch_settings: ElasticsearchSettings) -> Iterator[Elasticsearch]:
    """A client of that cluster."""
    with connect(elasticsearch_settings) as client:
        yield client


@pytest.fixture
def namespace() -> str:
    """A data-stream namespace that no other test uses, so that nothing needs cleaning."""
    return f"t{uuid.uuid4().hex[:12]}"
