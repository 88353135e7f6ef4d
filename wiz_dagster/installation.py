"""`wiz-dagster setup`: what has to be there once, before the first run; can be repeated at any time.

The index templates themselves are made in `elasticsearch/templates.py`, the latest views' indices in
`elasticsearch/latest_index.py`, the pool's limit in `recovery.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from wiz_dagster.dataset_settings import read_dataset_settings
from wiz_dagster.datasets import DATASETS
from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.elasticsearch.latest_index import index_body, install_views
from wiz_dagster.elasticsearch.latest_views import views_of
from wiz_dagster.elasticsearch.templates import index_template, install, template_name
from wiz_dagster.settings import read_elasticsearch_settings, read_pipeline_settings


def set_up(environment: Mapping[str, str]) -> Iterator[str]:
    """Install templates, latest views and, where DAGSTER_HOME is set, the pool's limit; a line for each as it is done.

    Raises the package's errors.
    """
    datasets, retention = _chosen(environment)
    if read_pipeline_settings(environment).destination == "elasticsearch":
        with connect(read_elasticsearch_settings(environment)) as client:
            for installed in install(client, datasets, retention):
                yield f"index template {installed.template}: {installed.outcome}"
                yield from installed.warnings
            for view in install_views(client, views_of(datasets)):
                yield f"latest view {view.view.alias}: {view.outcome}"
                yield from view.warnings
    if environment.get("DAGSTER_HOME"):
        yield _limit_pool()
    else:
        yield "DAGSTER_HOME is not set: the pool's limit is left as it is"


def bodies_as_json(environment: Mapping[str, str]) -> str:
    """The bodies of the index templates and of the latest views' indices by name, as JSON.

    For clusters where somebody else installs them.
    """
    datasets, retention = _chosen(environment)
    bodies = {
        "index_templates": {
            template_name(dataset): index_template(dataset, retention[dataset.name]) for dataset in datasets
        },
        "indices": {view.index: index_body(view, dataset) for view, dataset in views_of(datasets)},
    }
    return json.dumps(bodies, indent=2)


def _chosen(environment: Mapping[str, str]) -> tuple[Sequence[Dataset], dict[str, str | None]]:
    """The datasets that are on, and for how long each is kept."""
    by_dataset = read_dataset_settings(read_pipeline_settings(environment).config, DATASETS)
    datasets = [dataset for dataset in DATASETS if by_dataset[dataset.name].enabled]
    return datasets, {dataset.name: by_dataset[dataset.name].retention for dataset in datasets}


def _limit_pool() -> str:
    import dagster as dg

    from wiz_dagster.recovery import POOL, set_pool_limit

    with dg.DagsterInstance.get() as instance:
        limit = set_pool_limit(instance)
    if limit is None:
        return f"pool {POOL}: not limited, as this DAGSTER_HOME counts steps; copy deploy/dagster.yaml there first"
    return f"pool {POOL}: at most {limit} runs at once"
