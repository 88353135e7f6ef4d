"""The doctor on the webhook's side: can the runs take what the receiver spools, and does anything wait too long.

Looked at only where the webhook is used: a spool exists, or a variable WIZ_DEFEND_* is set.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wiz_dagster.defend.settings import read_spool_settings
from wiz_dagster.defend.spool import backlog
from wiz_dagster.doctor.finding import Finding, find
from wiz_dagster.errors import PermanentError, SettingsError

LONGEST_WAIT = timedelta(minutes=15)
"""Longer than the longest pause between two attempts of the sensor."""


def examine_defend(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The spool's folder, then what waits in it; nothing where the webhook isn't used."""
    try:
        spool = read_spool_settings(environment).spool
    except SettingsError as error:
        yield Finding("spool", False, str(error))
        return
    if not spool.exists() and not any(name.startswith("WIZ_DEFEND_") for name in environment):
        return
    folder = find("spool", lambda: _folder(spool))
    yield folder
    if folder.ok:
        yield find("spool's backlog", lambda: _backlog(spool))


def _folder(spool: Path) -> str:
    if not spool.is_dir():
        raise PermanentError(
            f"{spool} (WIZ_DEFEND_SPOOL) is no folder; it is made by the receiver, which must be given the same path."
        )
    if spool.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermanentError(f"{spool} is open to other users; it holds security data: chmod 700 it.")
    if not os.access(spool, os.R_OK | os.W_OK | os.X_OK):
        raise PermanentError(f"{spool} can't be read and written; run Dagster under the receiver's user.")
    return f"{spool} can be read and written, by this user alone"


def _backlog(spool: Path) -> str:
    waits = backlog(spool)
    if waits.oldest is None:
        return "nothing waits"
    age = datetime.now(UTC) - waits.oldest
    words = f"{waits.segments} segments, {waits.bytes} bytes, the oldest for {age.total_seconds():.0f} s"
    if age > LONGEST_WAIT:
        raise PermanentError(f"{words}: switch on the sensor defend_sensor, or look at the runs of defend_job.")
    return words
