"""The checks that follow each write, as specs and as results with figures.

They judge what the IO managers counted and never load data themselves; none blocks the write of its own asset. Each
result says in words what is wrong and in numbers how much.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster import DagsterInstance

from wiz_dagster.defend.spooled_day import SpooledDay
from wiz_dagster.elasticsearch.latest_day import LatestDay
from wiz_dagster.elasticsearch.metadata import drift_metadata
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.landing.raw_day import RawDay
from wiz_dagster.volume import volume_result, volume_spec
from wiz_dagster.wiz.windows import day_window


def raw_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of `wiz/raw/<dataset>`."""
    return [
        dg.AssetCheckSpec(
            "wiz_count",
            asset=key,
            description="Wiz's own count against the nodes fetched; more may come where Wiz stopped counting.",
        ),
        volume_spec(key),
    ]


def raw_results(day: RawDay, key: dg.AssetKey, instance: DagsterInstance) -> Iterator[dg.AssetCheckResult]:
    """The results: warnings when fewer nodes came than Wiz counted for what was asked, and of an unusual day."""
    report = day.fetched
    if report is None or day.held is None:
        raise dg.DagsterInvariantViolationError("The IO manager has not landed this day.")
    short = report.missing > 0
    yield _result(
        "wiz_count",
        passed=not short,
        severity=dg.AssetCheckSeverity.WARN,
        figures={
            "wiz_count": _number(report.wiz_count),
            "count_is_floor": report.count_is_floor,
            "nodes": report.nodes,
            "missing": report.missing,
            "null_nodes": report.null_nodes,
        },
        otherwise=f"{report.missing} nodes that Wiz counted did not come; materialize the day again.",
    )
    finished = day.dataset.snapshot or report.window.end >= day_window(day.day).end
    yield volume_result(instance, key, day.day, day.held, finished=finished)


def spool_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of `wiz/raw/defend`."""
    return [
        dg.AssetCheckSpec(
            "spool_readable", asset=key, description="Segments of the day that can't be read and stay in the spool."
        ),
        volume_spec(key),
    ]


def spool_results(day: SpooledDay, key: dg.AssetKey, instance: DagsterInstance) -> Iterator[dg.AssetCheckResult]:
    """The results: a failure while a segment of the day is damaged or has a body that is none, a warning of volume."""
    report = day.read
    if report is None or day.held is None:
        raise dg.DagsterInvariantViolationError("The IO manager has not landed this day.")
    yield _result(
        "spool_readable",
        passed=report.unreadable == 0,
        figures={"unreadable": report.unreadable, "segments": report.pages, "events": report.nodes},
        otherwise=f"{report.unreadable} segments stay in the spool: {' '.join(report.warnings[:3])} All other events "
        "are landed. Restore such a file, or move it out of the spool.",
    )
    finished = day_window(day.day).end <= datetime.now(UTC)
    yield volume_result(instance, key, day.day, day.held, finished=finished)


def ecs_specs(key: dg.AssetKey, destination: str) -> list[dg.AssetCheckSpec]:
    """The checks of `wiz/<dataset>`; those that ask Elasticsearch only where documents go there."""
    specs = {
        "complete": "Landed nodes against documents made, and against what the destination holds or refused.",
        "drift": "Values and keys that the mapping does not know yet, and keys that are gone; never a lost document.",
    }
    if destination == "elasticsearch":
        specs["no_rejections"] = "Documents that Elasticsearch refused; they are in the dead letters with the reason."
        specs["no_duplicates"] = "Two documents of one node in this partition, backing indices included."
    return [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in specs.items()]


def ecs_results(partition: EcsPartition, destination: str) -> Iterator[dg.AssetCheckResult]:
    """The results of the checks above, from the figures of the write."""
    report = partition.report
    if report is None:
        raise dg.DagsterInvariantViolationError("The IO manager has not written this partition.")
    stored = report.documents_in_elasticsearch
    # A copy must not make up for a document that is missing.
    wanted = stored - report.duplicates
    yield _result(
        "complete",
        passed=report.nodes == report.documents == wanted + report.elsewhere + report.rejected,
        figures={
            "nodes": report.nodes,
            "documents": report.documents,
            "stored": stored,
            "duplicates": report.duplicates,
            "elsewhere": report.elsewhere,
            "rejected": report.rejected,
        },
        otherwise="Nodes, documents and what is stored do not agree; materialize this asset again.",
    )
    yield _result(
        "drift",
        passed=not report.drift,
        severity=dg.AssetCheckSeverity.WARN,
        figures=drift_metadata(report.drift),
        otherwise="Wiz sends values or keys that the mapping does not know, or no longer sends keys that it asks for; "
        "nothing of a node is lost. The table says which fields.",
    )
    if destination != "elasticsearch":
        return
    yield _rejections(report.rejected, report.reasons)
    yield _result(
        "no_duplicates",
        passed=report.duplicates == 0,
        figures={"duplicates": report.duplicates},
        otherwise=f"{report.duplicates} documents stand twice; materialize this asset again, which removes the copies.",
    )


def latest_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of `wiz/latest/<view>`."""
    specs = {
        "complete": "Landed nodes against documents that the view took, that it has newer ones of, or that it refused.",
        "no_rejections": "Documents that Elasticsearch refused; they are in the dead letters with the reason.",
    }
    return [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in specs.items()]


def latest_results(day: LatestDay) -> Iterator[dg.AssetCheckResult]:
    """The results of the checks above, from the figures of the write."""
    report = day.report
    if report is None:
        raise dg.DagsterInvariantViolationError("The IO manager has not written this day into the view.")
    parts = ("written", "superseded", "unchanged", "rejected")
    figures = {name: getattr(report, name) for name in parts}
    yield _result(
        "complete",
        passed=sum(figures.values()) == report.nodes,
        figures={"nodes": report.nodes, **figures},
        otherwise="The day's nodes and what became of their documents do not agree; materialize this asset again.",
    )
    yield _rejections(report.rejected, report.reasons)


def _rejections(rejected: int, reasons: list[dict[str, Any]]) -> dg.AssetCheckResult:
    return _result(
        "no_rejections",
        passed=rejected == 0,
        figures={"rejected": rejected, "dead_letters": dg.MetadataValue.json(reasons)},
        otherwise=f"Elasticsearch refused {rejected} documents: {_first_reason(reasons)}",
    )


def _first_reason(reasons: list[dict[str, Any]]) -> str:
    return "; ".join(f"{reason['id']}: {reason['reason']}" for reason in reasons[:3]) or "see the dead letters."


def _result(
    name: str,
    *,
    passed: bool,
    figures: Mapping[str, Any],
    otherwise: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=severity,
        metadata=dict(figures),
        description=None if passed else otherwise,
    )


def _number(value: int | None) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.null() if value is None else dg.MetadataValue.int(value)
