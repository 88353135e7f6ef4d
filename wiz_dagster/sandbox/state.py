"""The demo's state: one private folder that outlives it, and what is written there once and for all.

The first demo's moment, its seed and the emulator's port stand in `state.json`, so that the generated tenant is the
same one every time; beside it lie the Dagster instance, the landing zone and Elasticsearch's data. Nothing is started.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.sandbox.processes import free_port

DEMO_DAYS = 3
HISTORY_DAYS = 30
"""How far back the sandbox's partitions reach before the first demo's day."""


@dataclass(frozen=True)
class SandboxState:
    """Where the demo's things are, and the tenant they belong to."""

    home: Path
    moment: datetime
    """When the first demo ran, UTC; a demo's tenant stands still at this moment."""
    seed: int
    wiz_port: int

    @property
    def days(self) -> list[str]:
        """The days that a demo backfills: the three before the first demo's day."""
        return [(self.moment.date() - timedelta(days=back)).isoformat() for back in range(DEMO_DAYS, 0, -1)]

    @property
    def start(self) -> date:
        """The first day of the tenant and of the partitions."""
        return self.moment.date() - timedelta(days=HISTORY_DAYS)

    @property
    def dagster_home(self) -> Path:
        """The Dagster instance's folder."""
        return self.home / "dagster"

    @property
    def landing(self) -> Path:
        """The landing zone's root."""
        return self.home / "landing"

    @property
    def spool(self) -> Path:
        """Where receivers keep what the webhook brings until it is landed."""
        return self.home / "spool"

    @property
    def elasticsearch_data(self) -> Path:
        """Elasticsearch's data folder."""
        return self.home / "elasticsearch"


@contextmanager
def open_state(home: Path, now: datetime) -> Iterator[SandboxState]:
    """The state of the folder, made when absent, held alone until the end.

    Raises `TransientError` while another demo uses the folder, `PermanentError` when it can't be used at all.
    """
    home = home.expanduser().resolve()
    lock = _lock(home)
    try:
        state = _read(home) or _create(home, now)
        for folder in (state.dagster_home, state.landing, state.spool):
            folder.mkdir(mode=0o700, exist_ok=True)
        _write(state.dagster_home / "dagster.yaml", yaml.safe_dump(sandbox_instance(), sort_keys=False))
        yield state
    finally:
        os.close(lock)


def deployed_instance() -> dict[str, Any]:
    """The Dagster instance as shipped in `deploy/dagster.yaml`."""
    text = (resources.files("wiz_dagster") / "dagster.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def sandbox_instance() -> dict[str, Any]:
    """The shipped instance, but quiet: a demo's progress must not drown in a run's log."""
    return {**deployed_instance(), "python_logs": {"python_log_level": "WARNING"}}


def sandbox_environment(
    state: SandboxState, given: Mapping[str, str], wiz: Mapping[str, str], elasticsearch_url: str | None
) -> dict[str, str]:
    """The environment for everything that works in the sandbox.

    What `given` says of Wiz is left out, so that no real tenant is asked; so is what it says of Elasticsearch, unless
    it names the cluster that is used. `wiz` holds the emulator's settings, `elasticsearch_url` None means files.
    """
    named = elasticsearch_url is not None and given.get("ELASTICSEARCH_URL", "").strip() == elasticsearch_url
    dropped = ("WIZ_", "DAGSTER_") if named else ("WIZ_", "DAGSTER_", "ELASTICSEARCH_")
    environment = {
        name: value for name, value in given.items() if name == "WIZ_NAMESPACE" or not name.startswith(dropped)
    }
    environment |= wiz
    environment |= {
        "DAGSTER_HOME": str(state.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "NO_PROXY": ",".join(filter(None, [given.get("NO_PROXY"), "127.0.0.1", "localhost"])),
        "WIZ_DEFEND_SPOOL": str(state.spool),
        "WIZ_DESTINATION": "files" if elasticsearch_url is None else "elasticsearch",
        "WIZ_LANDING_URL": str(state.landing),
        "WIZ_RATE_LIMIT_URL": str(state.home / "request-budget"),
        "WIZ_REQUESTS_PER_SECOND": "1000",
        "WIZ_WINDOW_LAG": "0s",
        "WIZ_START_DATE": state.start.isoformat(),
    }
    if elasticsearch_url is not None:
        environment["ELASTICSEARCH_URL"] = elasticsearch_url
    return environment


def _lock(home: Path) -> int:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
        lock = os.open(home / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise PermanentError(f"The folder {home} can't be used: {error.strerror}; name another by --home.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise TransientError(f"Another demo or dev uses {home}; stop it first, or name another by --home.") from None
    return lock


def _read(home: Path) -> SandboxState | None:
    try:
        text = (home / "state.json").read_text(encoding="utf-8")
        values = json.loads(text)
        moment = datetime.fromisoformat(values["moment"])
        return SandboxState(home, moment, int(values["seed"]), int(values["wiz_port"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise PermanentError(f"{home / 'state.json'} is damaged; remove the folder {home} and start again.") from None


def _create(home: Path, now: datetime) -> SandboxState:
    state = SandboxState(home, now.astimezone(UTC).replace(microsecond=0), seed=1, wiz_port=free_port())
    values = {"moment": state.moment.isoformat(), "seed": state.seed, "wiz_port": state.wiz_port}
    _write(home / "state.json", json.dumps(values))
    return state


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and private."""
    temporary = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
