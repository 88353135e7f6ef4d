"""The doctor on who may run beside whom: the lines of `dagster.yaml` that keep a place free for the refresh of today.

The file that is shipped says which tags are limited; how far is anybody's choice, as long as a place is left. What
becomes of a killed run is asked in `dagster_instance.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import yaml
from dagster import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator

from wiz_dagster.doctor.finding import Finding
from wiz_dagster.recovery import POOL_LIMIT, pool_limit

LIMITS = "concurrency.runs.tag_concurrency_limits"


def examine_limits(instance: DagsterInstance, shipped: str) -> Iterator[Finding]:
    """The queue of runs and their retries; `shipped` is where to copy what is missing from."""
    if not isinstance(instance.run_coordinator, QueuedRunCoordinator):
        yield Finding("run queue", False, f"runs start at once, whatever runs: take run_coordinator from {shipped}.")
        return
    # Not the coordinator's own: that one doesn't know the block `concurrency`.
    queue = instance.get_concurrency_config().run_queue_config
    found = queue.tag_concurrency_limits if queue else []
    limits = {key: _limit(found, key) for key in _limited_tags()}
    missing = [key for key, limit in limits.items() if limit is None]
    if missing:
        lines = " and ".join(f"`- key: {key}`" for key in missing)
        yield Finding("run queue", False, f"{LIMITS} lacks the line {lines} with a limit, see {shipped}.")
    else:
        runs = queue.max_concurrent_runs if queue else -1
        yield _place_left({key: limit for key, limit in limits.items() if limit is not None}, runs, instance)
    yield _retries(instance, shipped)


def _place_left(limits: Mapping[str, int], runs: int, instance: DagsterInstance) -> Finding:
    """Whether what is limited leaves a place in the pool and among the `runs` at once (negative: any number)."""
    places = min(pool_limit(instance) or POOL_LIMIT, runs if runs >= 0 else POOL_LIMIT)
    in_words = " and ".join(f"{limit} of {key}" for key, limit in limits.items())
    if sum(limits.values()) >= places:
        detail = f"{in_words} may take all {places} places, so that a refresh waits for them: lower {LIMITS}."
        return Finding("run queue", False, detail)
    return Finding("run queue", True, f"at most {in_words} at once, which leaves a place for the refresh of today")


def _retries(instance: DagsterInstance, shipped: str) -> Finding:
    if not instance.run_retries_enabled or instance.run_retries_retry_on_asset_or_op_failure:
        return Finding(
            "run retries",
            False,
            "a run whose process died isn't started again, or one that failed by itself is, which its own retries do "
            f"already; take the block run_retries from {shipped}.",
        )
    return Finding("run retries", True, f"a run whose process died starts again, {instance.run_retries_max_retries} x")


def _limited_tags() -> list[str]:
    text = (resources.files("wiz_dagster") / "dagster.yaml").read_text(encoding="utf-8")
    return [one["key"] for one in yaml.safe_load(text)["concurrency"]["runs"]["tag_concurrency_limits"]]


def _limit(limits: Sequence[Mapping[str, Any]] | None, key: str) -> int | None:
    """The limit for all runs with the tag together; one for each value, or for one value, doesn't count."""
    return next((int(one["limit"]) for one in limits or () if one["key"] == key and not one.get("value")), None)
