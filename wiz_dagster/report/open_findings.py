"""What is open at the end of a day, asked from the latest views by aggregations: one search a view, however large.

A view holds the newest state of each finding, closed ones too, so the past follows from its times: open at a moment is
what had come up by then and isn't closed, or was closed later. A finding that was closed and opened again counts as
open all along. What no landed day ever held isn't known to a view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.client import translated
from wiz_dagster.elasticsearch.latest_views import STILL_OPEN, LatestView
from wiz_dagster.report.counting import (
    DIMENSIONS,
    KEPT_NAMES,
    NAME_LENGTH,
    NO_NAME,
    SEVERITIES,
    Counts,
    Tally,
    most,
    severity_place,
)

_MOST_SEVERITIES = 50
_PRECISION = 10_000


@dataclass(frozen=True)
class OpenFields:
    """The fields of a view's documents that say what is open; `rule` may stand below a nested field."""

    status: str
    created: str
    closed: tuple[str, ...]
    severity: str
    names: Mapping[str, str]
    nested: Mapping[str, str] = field(default_factory=dict)


OPEN_FIELDS = {
    "issue": OpenFields(
        status="wiz.issue.status.value",
        created="event.created",
        closed=("wiz.issue.status.changed_at",),
        severity="wiz.issue.severity",
        names={
            "platform": "cloud.provider",
            "project": "wiz.issue.projects.name",
            "rule": "wiz.issue.source_rules.name",
            "resource": "wiz.issue.entity_snapshot.name",
        },
        nested={"rule": "wiz.issue.source_rules"},
    ),
    "vulnerability": OpenFields(
        status="wiz.vulnerability.status",
        created="wiz.vulnerability.first_detected_at",
        closed=("wiz.vulnerability.status_updated_at", "wiz.vulnerability.resolved_at"),
        severity="wiz.vulnerability.severity",
        names={
            "platform": "cloud.provider",
            "project": "wiz.vulnerability.projects.name",
            "rule": "vulnerability.id",
            "resource": "resource.name",
        },
    ),
}


@dataclass(frozen=True)
class OpenFindings:
    """What was open at the end of each day, and by names at the end of the last."""

    by_day: Mapping[str, Counts]
    last: Tally


def open_findings(client: Elasticsearch, view: LatestView, namespace: str, days: Sequence[str]) -> OpenFindings | None:
    """What the view of a namespace says of some days, ascending; None when it holds nothing at all.

    Raises PermanentError or TransientError as `translated` says.
    """
    fields = OPEN_FIELDS[view.name]
    severity = {"terms": {"field": fields.severity, "size": _MOST_SEVERITIES, "missing": NO_NAME}}
    by_day = {day: _open_at_end(fields, day) for day in days}
    details = {name: _names(fields, name, severity) for name in DIMENSIONS}
    with translated():
        answer = client.search(
            index=view.index,
            ignore_unavailable=True,
            size=0,
            track_total_hits=1,
            query={"bool": {"filter": [{"term": {"data_stream.namespace": namespace}}]}},
            aggs={
                "days": {"filters": {"filters": by_day}, "aggs": {"severity": severity}},
                "last": {"filter": by_day[days[-1]], "aggs": {"severity": severity, **details}},
            },
        ).body
    if not answer["hits"]["total"]["value"]:
        return None
    found = answer["aggregations"]
    last = Tally(total=_counts(found["last"]))
    for name in DIMENSIONS:
        there = found["last"][name]
        last.by[name] = most((bucket["key"][:NAME_LENGTH], _counts(bucket)) for bucket in there["names"]["buckets"])
        last.distinct[name] = found["last"][name]["distinct"]["value"]
    return OpenFindings({day: _counts(found["days"]["buckets"][day]) for day in days}, last)


def _open_at_end(fields: OpenFields, day: str) -> dict[str, Any]:
    end = f"{date.fromisoformat(day) + timedelta(days=1)}T00:00:00Z"
    still = [{"terms": {fields.status: list(STILL_OPEN)}}]
    closed_later = [{"range": {name: {"gte": end}}} for name in fields.closed]
    return {
        "bool": {
            "filter": [{"range": {fields.created: {"lt": end}}}],
            "should": [*still, *closed_later],
            "minimum_should_match": 1,
        }
    }


def _names(fields: OpenFields, dimension: str, severity: dict[str, Any]) -> dict[str, Any]:
    """The aggregation by the names of a dimension, and how many of them there are (exact up to 10,000)."""
    field_name, path = fields.names[dimension], fields.nested.get(dimension)
    by_name = {"field": field_name, "size": KEPT_NAMES}
    distinct = {"cardinality": {"field": field_name, "precision_threshold": _PRECISION}}
    if path is None:
        by_name["missing"] = NO_NAME
        # Without a name of its own an aggregation can't hold two, hence the filter that lets everything pass.
        return {
            "filter": {"match_all": {}},
            "aggs": {"names": {"terms": by_name, "aggs": {"severity": severity}}, "distinct": distinct},
        }
    findings = {"reverse_nested": {}, "aggs": {"severity": severity}}
    return {
        "nested": {"path": path},
        "aggs": {"names": {"terms": by_name, "aggs": {"findings": findings}}, "distinct": distinct},
    }


def _counts(bucket: Mapping[str, Any]) -> Counts:
    """The documents of a bucket by severity."""
    counts = [0] * len(SEVERITIES)
    for each in bucket.get("findings", bucket)["severity"]["buckets"]:
        counts[severity_place(each["key"])] += each["doc_count"]
    return counts
