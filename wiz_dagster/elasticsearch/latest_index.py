"""The plain index behind each latest view and its filtered alias: how it is made, and making it without harm.

It has the fields of the dataset's stream, from the same field list. Nothing here writes or deletes documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from wiz_dagster.datasets.base import Dataset
from wiz_dagster.ecs.fields import Field
from wiz_dagster.elasticsearch.client import error_reason, translated
from wiz_dagster.elasticsearch.latest_views import LatestView
from wiz_dagster.elasticsearch.mappings import mapping, types
from wiz_dagster.elasticsearch.templates import (
    REFRESH_INTERVAL,
    Outcome,
    constants,
    fallback_warnings,
    lacking_types,
    meta_of,
)

SHARDS = 3
NAMESPACE_FIELD = "data_stream.namespace"
ALREADY_THERE = "resource_already_exists_exception"


@dataclass(frozen=True)
class InstalledView:
    """One view's index after installing, or as found; `warnings` are for the person who asked."""

    view: LatestView
    outcome: Outcome
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PresentView:
    """What the cluster has of a view.

    `uuid` tells an index from one of the same name made later, `fingerprint` is that of the body it was made or renewed
    from, `shown` the filter of its alias, None without the alias. `others`: indices of somebody else behind the alias.
    """

    uuid: str
    fingerprint: str
    shown: Mapping[str, Any] | None
    others: tuple[str, ...]


def index_body(view: LatestView, dataset: Dataset, lacking: Iterable[str] = ()) -> dict[str, Any]:
    """The body of the view's index; `lacking`: types that the server doesn't have.

    The mapping's `_meta.fingerprint` stands for what is wanted, whatever the server lacks.
    """
    body = _body(view, dataset, lacking)
    body["mappings"]["_meta"] = meta_of(f"Latest state. {dataset.description}", _body(view, dataset, ()))
    return body


def install_views(client: Elasticsearch, views: Iterable[tuple[LatestView, Dataset]]) -> list[InstalledView]:
    """Make the indices that are absent, give the others their new fields and the alias; can be repeated.

    Needs the setup role. Raises PermanentError or TransientError as `translated` says.
    """
    with translated():
        return [_install(client, view, dataset, find_view(client, view)) for view, dataset in views]


def inspect_views(client: Elasticsearch, views: Iterable[tuple[LatestView, Dataset]]) -> list[InstalledView]:
    """The same, but only looked at: absent, outdated or unchanged. The run role is enough."""
    with translated():
        return [_inspect(view, dataset, find_view(client, view)) for view, dataset in views]


def ensure_view(client: Elasticsearch, view: LatestView, dataset: Dataset) -> tuple[PresentView, list[str]]:
    """Before a write: the index as it is, made if it or its alias is absent; and what the user should know.

    With both there the run role is enough. Raises PermanentError or TransientError as `translated` says.
    """
    with translated():
        present = find_view(client, view)
        if present is not None and present.shown is not None:
            return present, _shared(view, present.others)
        installed = _install(client, view, dataset, present)
        made = find_view(client, view)
    if made is None:
        raise RuntimeError(f"{view.index} went away while it was being made.")
    return made, list(installed.warnings)


def find_view(client: Elasticsearch, view: LatestView) -> PresentView | None:
    """The view's index; None when there is none."""
    kept = ["*.aliases", "*.mappings._meta", "*.settings.index.uuid"]
    try:
        found = client.indices.get(index=view.index, filter_path=kept)[view.index]
    except NotFoundError:
        return None
    alias = found.get("aliases", {}).get(view.alias)
    return PresentView(
        uuid=found["settings"]["index"]["uuid"],
        fingerprint=found.get("mappings", {}).get("_meta", {}).get("fingerprint", ""),
        shown=None if alias is None else alias.get("filter", {}),
        others=_others(client, view),
    )


def _body(view: LatestView, dataset: Dataset, lacking: Iterable[str]) -> dict[str, Any]:
    return {
        "settings": {
            "index": {
                "number_of_shards": SHARDS,
                "auto_expand_replicas": "0-1",
                "refresh_interval": REFRESH_INTERVAL,
                "mapping": {"ignore_malformed": False},
            }
        },
        "mappings": mapping(_fields(dataset), _constants(dataset), frozenset(lacking)),
        "aliases": {view.alias: {"filter": dict(view.shown)}},
    }


def _fields(dataset: Dataset) -> list[Field]:
    """The stream's fields; all namespaces share the index, so theirs isn't a constant."""
    return [replace(one, type="keyword") if one.name == NAMESPACE_FIELD else one for one in dataset.fields()]


def _constants(dataset: Dataset) -> dict[str, str]:
    return {name: value for name, value in constants(dataset).items() if name != NAMESPACE_FIELD}


def _inspect(view: LatestView, dataset: Dataset, present: PresentView | None) -> InstalledView:
    if present is None:
        return InstalledView(view, Outcome.ABSENT)
    outcome = Outcome.UNCHANGED if _current(view, dataset, present) else Outcome.OUTDATED
    return InstalledView(view, outcome, tuple(_shared(view, present.others)))


def _current(view: LatestView, dataset: Dataset, present: PresentView) -> bool:
    wanted = index_body(view, dataset)["mappings"]["_meta"]["fingerprint"]
    return present.fingerprint == wanted and present.shown == view.shown


def _install(client: Elasticsearch, view: LatestView, dataset: Dataset, present: PresentView | None) -> InstalledView:
    if present is not None and _current(view, dataset, present):
        return InstalledView(view, Outcome.UNCHANGED, tuple(_shared(view, present.others)))
    wanted = index_body(view, dataset)
    lacking = lacking_types(client, types(wanted["mappings"]))
    body = index_body(view, dataset, lacking)
    warnings = fallback_warnings(lacking)
    if present is None:
        _create(client, view, body)
    else:
        warnings += _renew(client, view, body)
    return InstalledView(view, Outcome.INSTALLED, (*warnings, *_shared(view, _others(client, view))))


def _create(client: Elasticsearch, view: LatestView, body: Mapping[str, Any]) -> None:
    try:
        client.indices.create(index=view.index, **body)
    except BadRequestError as error:
        if error_reason(error)[0] != ALREADY_THERE:  # another run was first
            raise


def _renew(client: Elasticsearch, view: LatestView, body: Mapping[str, Any]) -> list[str]:
    """Give an index that exists the new fields and the alias; what can't change in place waits for a rebuild."""
    client.indices.put_alias(index=view.index, name=view.alias, filter=body["aliases"][view.alias]["filter"])
    wanted = body["mappings"]
    try:
        client.indices.put_mapping(index=view.index, properties=wanted["properties"], meta=wanted["_meta"])
    except BadRequestError:
        warning = (
            f"{view.index} has fields of other types: delete it and materialize every day of wiz/latest/{view.name}, "
            "which makes it anew from the landing zone."
        )
        return [warning]
    return []


def _others(client: Elasticsearch, view: LatestView) -> tuple[str, ...]:
    try:
        behind = client.indices.get_alias(name=view.alias).body
    except NotFoundError:
        return ()
    return tuple(sorted(name for name in behind if name != view.index))


def _shared(view: LatestView, others: Iterable[str]) -> list[str]:
    """Elastic's integration puts the index of its transform behind the same alias."""
    return [
        f"The alias {view.alias} also holds {other}, so readers see findings twice: remove what writes there (the "
        "transform of Elastic's Wiz integration, for one), or the alias from it."
        for other in others
    ]
