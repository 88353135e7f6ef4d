"""The asset `wiz/completeness`: once a day, a check a dataset that none of its days is missing, failed or half done.

What a day may lack is told in `lacking.py`; here it is asked for, put into words, and joined by the command that mends
it. The asset has no partitions and a job of its own: it looks at all days, and no backfill should run it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster import DagsterInstance
from elasticsearch import Elasticsearch

from wiz_dagster.assets import OWNERS, ecs_key
from wiz_dagster.defend.settings import read_spool_settings
from wiz_dagster.defend.spool import segments
from wiz_dagster.elasticsearch.client import connect, translated
from wiz_dagster.elasticsearch.latest_views import view_of
from wiz_dagster.elasticsearch.listing import refresh, stored_days
from wiz_dagster.elasticsearch.reconcile import stream_name
from wiz_dagster.failures import dagster_failures
from wiz_dagster.lacking import Days, Found, Lack, look, ranges
from wiz_dagster.landing.zone import open_zone
from wiz_dagster.latest import latest_key
from wiz_dagster.settings import read_elasticsearch_settings, read_pipeline_settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

KEY = dg.AssetKey(["wiz", "completeness"])
JOB = "completeness_job"
SCHEDULE = "completeness_daily"
CRON = "30 5 * * *"
"""When the night's fetches are through."""
FETCH = "dagster job backfill -w workspace.yaml -j {job} --partitions {days} --noprompt"
"""The daemon starts these runs, so the location has to be the one that it knows."""
WRITE = "dagster asset materialize -m wiz_dagster.definitions --select '{selection}' --partition {day}"


def completeness_asset(every: Sequence[Days]) -> dg.AssetsDefinition:
    """The asset, with a check for each of the datasets, named like it."""
    specs = [
        dg.AssetCheckSpec(
            days.dataset.name,
            asset=KEY,
            description=f"No day of {days.dataset.name} is missing, failed, unfinished, unwritten or not as written.",
        )
        for days in every
    ]

    @dg.asset(
        key=KEY,
        group_name="wiz_health",
        owners=OWNERS,
        check_specs=specs,
        description="All days from the start date to yesterday: what they lack, and the command that mends it.",
    )
    def completeness(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with dagster_failures():
            found = [(days, one) for days, one in _look_at_all(every, context.instance)]
        yield dg.Output(None, metadata=_metadata(found))
        for days, one in found:
            yield _result(days, one)

    return completeness


def completeness_job() -> "UnresolvedAssetJobDefinition":
    """The job that looks."""
    return dg.define_asset_job(
        JOB, selection=dg.AssetSelection.assets(KEY), description="See that no day is missing, failed or half done."
    )


def completeness_schedule() -> dg.ScheduleDefinition:
    """Once a day; starts stopped, as is Dagster's way."""
    return dg.ScheduleDefinition(
        name=SCHEDULE,
        job_name=JOB,
        cron_schedule=CRON,
        execution_timezone="UTC",
        description="See that no day is missing, failed or half done.",
    )


def command(days: Days, lack: Lack, which: Sequence[str], today: str) -> str:
    """The command that mends these ascending days, for a shell with the environment of the deployment."""
    name = days.dataset.name
    if lack is Lack.DAMAGED:
        return f"wiz-dagster verify --from {which[0]} --to {which[-1]} --dataset {name} --repair"
    if days.dataset.snapshot and lack is not Lack.MISSING:
        keys = [ecs_key(days.dataset)]
        view = view_of(days.dataset)
        if days.view and view is not None:
            keys.append(latest_key(view))
        selection = " or ".join(f'key:"{key.to_user_string()}"' for key in keys)
        if len(which) == 1:
            return WRITE.format(selection=selection, day=which[0])
        return f"for day in {' '.join(which)}; do {WRITE.format(selection=selection, day='$day')}; done"
    wanted = [today] if days.dataset.snapshot else which
    return FETCH.format(job=f"{name}_job", days=",".join(wanted))


def _look_at_all(every: Sequence[Days], instance: DagsterInstance) -> Iterator[tuple[Days, Found]]:
    settings = read_pipeline_settings(os.environ)
    zone = open_zone(os.environ)
    now = datetime.now(UTC)
    to_files = settings.destination == "files"
    with ExitStack() as stack:
        client = None if to_files else stack.enter_context(connect(read_elasticsearch_settings(os.environ)))
        for days in every:
            found = look(
                days,
                zone,
                instance,
                namespace=f"files.{settings.namespace}" if to_files else settings.namespace,
                stored=partial(_stored, client, days, settings.namespace, now) if client else None,
                waiting=_waiting() if days.dataset.pushed else (),
                now=now,
            )
            yield days, found


def _stored(client: Elasticsearch, days: Days, namespace: str, now: datetime) -> Mapping[str, int]:
    stream, past = stream_name(days.dataset, namespace), days.past(now)
    with translated():
        refresh(client, stream)
        return stored_days(client, stream, past[0], past[-1]) if past else {}


def _waiting() -> list[str]:
    """The days with events in the spool that are older than any run of the sensor takes."""
    old = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    found = segments(read_spool_settings(os.environ).spool)
    return sorted({segment.day for segment in found if segment.modified < old})


def _result(days: Days, found: Found) -> dg.AssetCheckResult:
    today = datetime.now(UTC).date().isoformat()
    lacks = found.by_lack()
    told = [f"{len(which)} {lack} ({ranges(which)})" for lack, which in lacks.items()]
    commands = list(dict.fromkeys(command(days, lack, which, today) for lack, which in lacks.items()))
    return dg.AssetCheckResult(
        check_name=days.dataset.name,
        passed=not lacks,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"Of {found.days} days {'; '.join(told)}. To mend it: {' && '.join(commands)}" if lacks else None,
        metadata={
            "days": found.days,
            "lacking": len(found.lacks),
            **{str(lack): ranges(which) for lack, which in lacks.items()},
            "commands": dg.MetadataValue.md("\n".join(f"    {one}" for one in commands)),
        },
    )


def _metadata(found: Sequence[tuple[Days, Found]]) -> dict[str, Any]:
    today = datetime.now(UTC).date().isoformat()
    rows: list[dict[str, str | int]] = [
        {
            "dataset": days.dataset.name,
            "lack": str(lack),
            "days": len(which),
            "which": ranges(which),
            "command": command(days, lack, which, today),
        }
        for days, one in found
        for lack, which in one.by_lack().items()
    ]
    names = ("dataset", "lack", "days", "which", "command")
    return {
        "days": sum(one.days for _, one in found),
        "lacking": sum(len(one.lacks) for _, one in found),
        "lacks": dg.MetadataValue.table(
            [dg.TableRecord(dict(row)) for row in rows],
            schema=dg.TableSchema([dg.TableColumn(name, "int" if name == "days" else "string") for name in names]),
        ),
    }
