"""What Dagster's records say of the runs that ended since the last tick: what failed in each, and what is well again.

A run is read once, when it has ended: its failed steps, its check results, what it wrote. A failure is known by asset
and day, so that whatever job writes the asset for that day mends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import dagster as dg
from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunsFilter,
    RunStatusChangeRecordsFilter,
)
from dagster._core.storage.tags import WILL_RETRY_TAG

from wiz_dagster import errors
from wiz_dagster.alerts.memory import Kind, Trouble
from wiz_dagster.alerts.message import first_sentence
from wiz_dagster.pruning import ASSETS_JOB, Ours
from wiz_dagster.sensors import PARTITION_TAG

MOST_RUNS = 100
"""Runs looked at by one tick; what ended besides is looked at by the next."""
MOST_EVENTS = 1000
"""Of one run."""
ENDS = (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE)
READ = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.RUN_FAILURE,
}
OWN_ERRORS = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)}
"""Their messages are written for people; those of a library may quote what it was given."""


class Known(NamedTuple):
    """What tells our runs from others, and the jobs of the datasets' assets."""

    ours: Ours
    jobs: Mapping[dg.AssetKey, str]


class Outcome(NamedTuple):
    """What one run did: what failed, and what is well (kind, name, day)."""

    troubles: list[Trouble]
    mended: list[tuple[Kind, str, str]]


def newest_end(instance: DagsterInstance) -> int:
    """The storage id of the newest end of a run; 0 without one."""
    found = [_ends(instance, kind, 1, newest=True) for kind in ENDS]
    return max((storage_id for ends in found for storage_id, _ in ends), default=0)


def ended_since(instance: DagsterInstance, seen: int, ours: Ours) -> tuple[list[DagsterRun], int]:
    """Our runs that ended after the storage id `seen`, in that order, and the id of the last end looked at."""
    by_kind = [_ends(instance, kind, MOST_RUNS, after=seen) for kind in ENDS]
    # Where one kind has more than was read, the other is read no further: a failure may come before a success.
    upto = min((ends[-1][0] for ends in by_kind if len(ends) == MOST_RUNS), default=None)
    ends = sorted(end for ends in by_kind for end in ends if upto is None or end[0] <= upto)[:MOST_RUNS]
    if not ends:
        return [], seen
    ids = list(dict.fromkeys(run_id for _, run_id in ends))
    runs = {run.run_id: run for run in instance.get_runs(RunsFilter(run_ids=ids))}
    return [runs[run_id] for run_id in ids if run_id in runs and ours.made(runs[run_id])], ends[-1][0]


def outcome(instance: DagsterInstance, run: DagsterRun, known: Known) -> Outcome:
    """What the records of a run say. One that Dagster starts again by itself has not failed yet."""
    records = instance.get_records_for_run(run.run_id, of_type=READ, limit=MOST_EVENTS).records
    events = [record.event_log_entry.dagster_event for record in records if record.event_log_entry.dagster_event]
    day = run.tags.get(PARTITION_TAG, "")
    written = {event.asset_key for event in events if event.is_step_materialization and event.asset_key}
    troubles, mended = _checks(events, run, day)
    mended += [("run", key.to_user_string(), day) for key in written]
    if run.status == DagsterRunStatus.SUCCESS:
        mended.append(("run", run.job_name, day))
    elif run.tags.get(WILL_RETRY_TAG) != "true":
        troubles += _failures(events, run, day, known, written)
    return Outcome(troubles, mended)


def _ends(
    instance: DagsterInstance, kind: DagsterEventType, limit: int, *, after: int | None = None, newest: bool = False
) -> list[tuple[int, str]]:
    chosen = RunStatusChangeRecordsFilter(event_type=kind, after_storage_id=after)  # type: ignore[arg-type]
    records = instance.fetch_run_status_changes(chosen, limit, ascending=not newest).records
    return [(record.storage_id, record.run_id) for record in records]


def _checks(events: list[DagsterEvent], run: DagsterRun, day: str) -> tuple[list[Trouble], list[tuple[Kind, str, str]]]:
    troubles: list[Trouble] = []
    mended: list[tuple[Kind, str, str]] = []
    for event in events:
        if event.event_type != DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        result = event.asset_check_evaluation_data
        name = f"{result.check_name} of {result.asset_key.to_user_string()}"
        if result.passed:
            mended.append(("check", name, result.partition or day))
            continue
        troubles.append(
            Trouble(
                kind="check",
                name=name,
                day=result.partition or day,
                cause=first_sentence(result.description or "It says no more."),
                job=run.job_name,
                run_id=run.run_id,
                warning=result.severity == dg.AssetCheckSeverity.WARN,
            )
        )
    return troubles, mended


def _failures(
    events: list[DagsterEvent], run: DagsterRun, day: str, known: Known, written: set[dg.AssetKey]
) -> Iterator[Trouble]:
    """The assets whose step failed; of a run that was ended from outside, those it had still to write; else the job."""
    by_step = {key.to_python_identifier(): key for key in known.ours.assets}
    own_job = "" if run.job_name == ASSETS_JOB else run.job_name
    failed: dict[dg.AssetKey | None, str] = {}
    for event in events:
        if event.event_type == DagsterEventType.STEP_FAILURE:
            failed[by_step.get(event.step_key or "")] = _cause(event)
    if not failed:
        end = next((event for event in events if event.event_type == DagsterEventType.RUN_FAILURE), None)
        cause = first_sentence((end.message if end else None) or "The run failed without saying why.")
        planned = {event.asset_key for event in events if event.is_asset_materialization_planned and event.asset_key}
        failed = dict.fromkeys(sorted((planned - written) & known.ours.assets), cause) or {None: cause}
    for key, cause in failed.items():
        mend = known.jobs.get(key, own_job) if key else own_job
        name = key.to_user_string() if key else run.job_name
        yield Trouble(kind="run", name=name, day=day, cause=cause, job=run.job_name, run_id=run.run_id, mend=mend)


def _cause(event: DagsterEvent) -> str:
    """What a failed step says in one sentence: our own words, or the name of the exception."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return first_sentence(data.user_failure_data.description)
    error = data.error
    while error and error.cause:
        error = error.cause
    name = (error.cls_name if error else None) or "an error"
    if error and name in OWN_ERRORS:
        return first_sentence(error.message.removeprefix(f"{errors.__name__}.{name}: "))
    return f"{name}, which nobody foresaw; the run's log says more."
