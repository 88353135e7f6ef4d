"""The index template of each dataset's data streams, and installing it without harm.

A stream's template decides its field types, shards and retention when it is first written to. What Elastic's own
integration installed is respected; streams that exist already get new fields at once, the rest with the next rollover.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.elasticsearch.client import translated
from wiz_dagster.elasticsearch.mappings import FALLBACKS, mapping, types

PRIORITY = 250
"""Above the 200 of Elastic's integrations, so that two templates for one stream are never equal."""
SHARDS = {"issue": 2}
"""Of the datasets with more than one."""
REFRESH_INTERVAL = "5s"
MANAGED_BY = "wiz_dagster"
ELASTIC_PACKAGE = "wiz"


class Outcome(StrEnum):
    """What installing a template came to, or what looking for it found."""

    INSTALLED = "installed"
    UNCHANGED = "unchanged"
    RESPECTED = "respected"
    ABSENT = "absent"
    OUTDATED = "outdated"


@dataclass(frozen=True)
class Installed:
    """One dataset's template after installing.

    `fallbacks`: the types that the server lacks, each with what is taken instead. `warnings`: for the person who asked.
    """

    dataset: str
    template: str
    outcome: Outcome
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def template_name(dataset: Dataset) -> str:
    """Ours, and unlike the name that Elastic's integration would use."""
    return f"wiz-dagster-{dataset.name}"


def stream_pattern(dataset: Dataset) -> str:
    """The data streams of all namespaces."""
    return f"logs-wiz.{dataset.stream}-*"


def index_template(dataset: Dataset, retention: str | None = None, lacking: Iterable[str] = ()) -> dict[str, Any]:
    """The body of the dataset's index template.

    `retention` as Elasticsearch writes times (`90d`), None: for ever. `lacking`: types that the server doesn't have.
    The body's `_meta.fingerprint` stands for what is wanted, whatever the server lacks.
    """
    body = _body(dataset, retention, lacking)
    return {**body, "_meta": meta_of(dataset.description, _body(dataset, retention, ()))}


def meta_of(description: str, wanted: Mapping[str, Any]) -> dict[str, str]:
    """What we write into a template or index to know it again: the fingerprint is that of the body wanted."""
    text = json.dumps(wanted, sort_keys=True).encode()
    fingerprint = hashlib.sha256(text).hexdigest()[:32]
    return {"managed_by": MANAGED_BY, "description": description, "fingerprint": fingerprint}


def _body(dataset: Dataset, retention: str | None, lacking: Iterable[str]) -> dict[str, Any]:
    return {
        "index_patterns": [stream_pattern(dataset)],
        "data_stream": {},
        "priority": PRIORITY,
        "template": {
            "settings": {
                "index": {
                    "number_of_shards": SHARDS.get(dataset.name, 1),
                    "auto_expand_replicas": "0-1",
                    "refresh_interval": REFRESH_INTERVAL,
                    "codec": "best_compression",
                    "mapping": {"ignore_malformed": False},
                }
            },
            "mappings": mapping(dataset.fields(), constants(dataset), frozenset(lacking)),
            "lifecycle": {"enabled": True, **({"data_retention": retention} if retention else {})},
            "data_stream_options": {"failure_store": {"enabled": False}},
        },
    }


def constants(dataset: Dataset) -> dict[str, str]:
    """The fields that are the same in all documents of a stream; empty: known from its first document on."""
    return {
        "data_stream.type": "logs",
        "data_stream.dataset": f"wiz.{dataset.stream}",
        "data_stream.namespace": "",
        "event.module": "wiz",
        "event.dataset": f"wiz.{dataset.stream}",
    }


def install(client: Elasticsearch, datasets: Iterable[Dataset], retention: Mapping[str, str | None]) -> list[Installed]:
    """Install or renew the templates of the datasets and give their streams the new fields; can be repeated.

    `retention` by dataset name. Needs the setup role. Raises PermanentError or TransientError as `translated` says.
    """
    with translated():
        present = _present(client)
        return [_install(client, dataset, retention.get(dataset.name), present) for dataset in datasets]


def inspect(client: Elasticsearch, datasets: Iterable[Dataset], retention: Mapping[str, str | None]) -> list[Installed]:
    """The same, but only looked at: absent, outdated, unchanged or respected. The run role is enough.

    Raises PermanentError or TransientError as `translated` says.
    """
    with translated():
        present = _present(client)
    return [_inspect(dataset, retention.get(dataset.name), present) for dataset in datasets]


def ensure(client: Elasticsearch, dataset: Dataset, retention: str | None) -> Installed:
    """Before the first write: install the dataset's template unless there is one already, ours of any age or Elastic's.

    With one there the run role is enough. Raises PermanentError or TransientError as `translated` says.
    """
    with translated():
        present = _present(client)
        if template_name(dataset) in present:
            return Installed(dataset.name, template_name(dataset), Outcome.UNCHANGED)
        return _install(client, dataset, retention, present)


def _present(client: Elasticsearch) -> dict[str, Any]:
    """All index templates by name, without their contents."""
    kept = ("name", "index_template.index_patterns", "index_template._meta")
    answer = client.indices.get_index_template(filter_path=[f"index_templates.{key}" for key in kept])
    return {found["name"]: found["index_template"] for found in answer.get("index_templates", [])}


def _inspect(dataset: Dataset, retention: str | None, present: Mapping[str, Any]) -> Installed:
    elastics = _elastics(dataset, present)
    if elastics:
        return Installed(dataset.name, elastics, Outcome.RESPECTED)
    name = template_name(dataset)
    if name not in present:
        return Installed(dataset.name, name, Outcome.ABSENT)
    fingerprint = (present[name].get("_meta") or {}).get("fingerprint")
    current = fingerprint == index_template(dataset, retention)["_meta"]["fingerprint"]
    return Installed(dataset.name, name, Outcome.UNCHANGED if current else Outcome.OUTDATED)


def _install(client: Elasticsearch, dataset: Dataset, retention: str | None, present: Mapping[str, Any]) -> Installed:
    elastics = _elastics(dataset, present)
    if elastics:
        warning = (
            f"{stream_pattern(dataset)} belongs to Elastic's integration (index template {elastics}): its field types, "
            "shards and retention apply, not ours."
        )
        return Installed(dataset.name, elastics, Outcome.RESPECTED, warnings=(warning,))
    name = template_name(dataset)
    wanted = index_template(dataset, retention)
    meta = present.get(name, {}).get("_meta", {})
    if meta.get("fingerprint") == wanted["_meta"]["fingerprint"]:
        return Installed(dataset.name, name, Outcome.UNCHANGED)
    lacking = lacking_types(client, types(wanted["template"]["mappings"]))
    body = index_template(dataset, retention, lacking)
    _put(client, name, body)
    warnings = fallback_warnings(lacking)
    warnings += _renew_streams(client, dataset, frozenset(lacking))
    return Installed(dataset.name, name, Outcome.INSTALLED, lacking, tuple(warnings))


def _elastics(dataset: Dataset, present: Mapping[str, Any]) -> str | None:
    """The name of a template of Elastic's integration for the dataset's streams."""
    for name, template in present.items():
        package = (template.get("_meta") or {}).get("package") or {}
        if package.get("name") == ELASTIC_PACKAGE and stream_pattern(dataset) in template["index_patterns"]:
            return name
    return None


def _put(client: Elasticsearch, name: str, body: Mapping[str, Any]) -> None:
    """Write a template; the client's own method doesn't know `data_stream_options`."""
    client.perform_request(
        "PUT",
        f"/_index_template/{name}",
        headers={"accept": "application/json", "content-type": "application/json"},
        body=dict(body),
    )


def lacking_types(client: Elasticsearch, wanted: Iterable[str]) -> dict[str, str]:
    """The types that the server refuses, asked one by one without leaving anything behind, and their fallbacks."""
    lacking = {}
    for kind in sorted(FALLBACKS.keys() & set(wanted)):
        properties = {"probe": {"type": kind}}
        try:
            client.indices.simulate_template(
                index_patterns=["wiz-dagster-probe-*"], template={"mappings": {"properties": properties}}
            )
        except BadRequestError:
            lacking[kind] = str(FALLBACKS[kind]["type"])
    return lacking


def fallback_warnings(lacking: Mapping[str, str]) -> list[str]:
    """A sentence for each type that the server lacks."""
    return [
        f"This Elasticsearch has no field type {kind}; {instead} is used instead." for kind, instead in lacking.items()
    ]


def _renew_streams(client: Elasticsearch, dataset: Dataset, lacking: frozenset[str]) -> list[str]:
    """Give the streams that exist the fields they don't have yet; other changes wait for their next rollover.

    Constants are left out: a stream has them since its first document, and refuses one whose value isn't repeated.
    """
    constant = constants(dataset)
    fields = [field for field in dataset.fields() if field.name not in constant]
    pattern = stream_pattern(dataset)
    try:
        client.indices.put_mapping(
            index=pattern, properties=mapping(fields, {}, lacking)["properties"], allow_no_indices=True
        )
    except BadRequestError:
        return [f"A stream of {pattern} has fields of other types; it takes the new ones with its next rollover."]
    return []
