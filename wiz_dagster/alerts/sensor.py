"""The sensor that tells people: at each tick it reads what ended, remembers it, and sends what is due.

Its cursor is the memory together with the messages on their way, so that a restart tells nothing twice and loses
nothing; only a tick that is killed between sending and its end sends again. It asks for no runs and starts stopped.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
from dagster import DagsterInstance
from pydantic import BaseModel, Field, ValidationError

from wiz_dagster.alerts.delivery import ways
from wiz_dagster.alerts.memory import Memory
from wiz_dagster.alerts.message import message
from wiz_dagster.alerts.outbox import Letter, addressed, deliver
from wiz_dagster.alerts.outcomes import Known, ended_since, newest_end, outcome
from wiz_dagster.alerts.settings import read_alert_settings
from wiz_dagster.alerts.staleness import Patience, Watched, lateness, switched_on
from wiz_dagster.defend.settings import read_spool_settings

SENSOR = "alerts"
INTERVAL_SECONDS = 60
NOBODY = (
    "Nobody would be told: set WIZ_ALERT_WEBHOOK, or WIZ_ALERT_EMAIL_TO, WIZ_ALERT_EMAIL_FROM and WIZ_ALERT_SMTP_HOST."
)


class State(BaseModel):
    """The cursor."""

    memory: Memory
    letters: list[Letter] = Field(default_factory=list)


def alerts_sensor(known: Known, watched: Sequence[Watched]) -> dg.SensorDefinition:
    """The sensor; what is known of our runs and which datasets are watched comes from the definitions."""

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description="Tell people of failed runs, failed checks and stale datasets, once each: by a webhook in Slack's "
        "format (WIZ_ALERT_WEBHOOK) and by mail (WIZ_ALERT_EMAIL_TO).",
    )
    def tell(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = read_alert_settings(os.environ)
        over = ways(settings)
        if not over:
            return dg.SkipReason(NOBODY)
        now = datetime.now(UTC)
        state = _remembered(context.cursor) or State(memory=Memory(seen=newest_end(context.instance)))
        origin = context.code_location_origin
        location = origin.location_name if origin else None
        ours = replace(known.ours, repository=location and f"{context.repository_name}@{location}")
        looked_at = look(context.instance, state.memory, known._replace(ours=ours), now)
        patience = Patience(settings.stale_after, read_spool_settings(os.environ).spool)
        watch(context.instance, state.memory, watched, patience, location, now)
        told = state.memory.due(now)
        if told:
            state.letters += addressed(message(told, settings.dagster_url), over, now)
        state.letters, taken = deliver(state.letters, over, now, context.log.warning)
        words = f"Looked at {looked_at} runs, sent {taken} messages; {len(state.letters)} wait to be sent."
        return dg.SensorResult(skip_reason=words, cursor=state.model_dump_json())

    return tell


def look(instance: DagsterInstance, memory: Memory, known: Known, now: datetime) -> int:
    """Take the runs that ended since the last tick into the memory; how many they are."""
    runs, memory.seen = ended_since(instance, memory.seen, known.ours)
    for run in runs:
        found = outcome(instance, run, known)
        memory.note(found.troubles, found.mended, now)
    return len(runs)


def watch(
    instance: DagsterInstance,
    memory: Memory,
    watched: Sequence[Watched],
    patience: Patience,
    location: str | None,
    now: datetime,
) -> None:
    """Take into the memory which datasets are stale now."""
    on = switched_on(instance, location)
    late = lateness(instance, watched, on, patience, now)
    for one in watched:
        if one.dataset not in late:
            memory.forget("stale", one.dataset)
        elif trouble := late[one.dataset]:
            memory.note([trouble], [], now)
        else:
            memory.note([], [("stale", one.dataset, "")], now)


def _remembered(cursor: str | None) -> State | None:
    """What the last tick left; None without one, or if another version wrote it."""
    try:
        return State.model_validate_json(cursor) if cursor else None
    except ValidationError:
        return None
