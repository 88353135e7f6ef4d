"""What the daemon would do with the webhook's events, done here: the sensor's ticks and the runs that it asks for.

The sensor, the job and the check are the real ones, on the kept instance; only who evaluates them differs.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from wiz_dagster.assets import ecs_key
from wiz_dagster.datasets.defend import DEFEND
from wiz_dagster.reconciliation import CHECK_JOB
from wiz_dagster.sandbox.defend_figures import DefendRun
from wiz_dagster.sandbox.figures import DEMO_TAG, WRITTEN, failure_of, recorded
from wiz_dagster.sensors import SENSOR

MOST_TICKS = 20


def follow_sensor(instance: dg.DagsterInstance, definitions: dg.Definitions) -> list[DefendRun]:
    """Evaluate the sensor as the daemon does and execute the runs that it asks for, until it asks for none."""
    sensor = definitions.resolve_sensor_def(SENSOR)
    job = definitions.resolve_job_def(f"{DEFEND.name}_job")
    runs: list[DefendRun] = []
    cursor = None
    for _ in range(MOST_TICKS):
        with dg.build_sensor_context(
            instance, cursor=cursor, repository_def=definitions.get_repository_def()
        ) as context:
            tick = sensor.evaluate_tick(context)
        if not tick.run_requests:
            break
        cursor = tick.cursor
        runs += [_execute(instance, job, request) for request in tick.run_requests]
    return runs


def _execute(instance: dg.DagsterInstance, job: dg.JobDefinition, request: dg.RunRequest) -> DefendRun:
    result = job.execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        run_config=dict(request.run_config),
        tags={**request.tags, DEMO_TAG: "true"},
        raise_on_error=False,
    )
    written = recorded(result, ecs_key(DEFEND), WRITTEN) if result.success else {}
    return DefendRun(
        day=request.partition_key or "",
        **{name: written.get(name) for name in WRITTEN},
        failure=None if result.success else failure_of(result),
    )


def check_detections(instance: dg.DagsterInstance, definitions: dg.Definitions) -> Mapping[str, object]:
    """What the check that compares `wiz/defend` with `wiz/detection` found, by the names of its figures."""
    job = definitions.resolve_job_def(CHECK_JOB)
    result = job.execute_in_process(instance=instance, tags={DEMO_TAG: "true"}, raise_on_error=False)
    return {
        name: figure.value
        for evaluation in result.get_asset_check_evaluations()
        for name, figure in evaluation.metadata.items()
    }
