"""What an instance looks like after a run was killed, and after the recovery step, with real runs in real processes."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.errors import DagsterCodeLocationLoadError
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

from wiz_dagster import definitions, recovery

SLEEPER = textwrap.dedent(
    """
    import sys, time
    import dagster as dg

    @dg.op(pool="wiz_api")
    def ask():
        print("asking", flush=True)
        time.sleep(float(sys.argv[1]))

    @dg.job(executor_def=dg.in_process_executor)
    def sleeper():
        ask()

    with dg.DagsterInstance.get() as instance:
        sleeper.execute_in_process(instance=instance)
    """
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\nconcurrency: {pools: {granularity: run}}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def running(instance: DagsterInstance) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a run's step."""
    process = subprocess.Popen([sys.executable, "-c", SLEEPER, "60"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "asking\n"
    yield process
    process.kill()
    process.wait()


def statuses(instance: DagsterInstance) -> list[DagsterRunStatus]:
    return [run.status for run in instance.get_runs()]


def test_a_run_whose_process_was_killed_is_failed(instance: DagsterInstance, running: subprocess.Popen[str]) -> None:
    running.kill()
    running.wait()
    assert statuses(instance) == [DagsterRunStatus.STARTED]
    assert recovery.fail_abandoned_runs(instance) == [run.run_id for run in instance.get_runs()]
    assert statuses(instance) == [DagsterRunStatus.FAILURE]


def test_a_run_that_lives_is_spared(instance: DagsterInstance, running: subprocess.Popen[str]) -> None:
    assert recovery.fail_abandoned_runs(instance) == []
    assert statuses(instance) == [DagsterRunStatus.STARTED]


def test_a_run_that_never_wrote_its_process_is_failed_after_a_grace(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dg.job
    def nothing() -> None:
        pass

    run = instance.create_run_for_job(nothing, status=DagsterRunStatus.STARTING)
    assert recovery.fail_abandoned_runs(instance) == []
    monkeypatch.setattr(recovery, "START_SECONDS", 0.0)
    assert recovery.fail_abandoned_runs(instance) == [run.run_id]


def test_a_younger_process_with_the_same_id_is_not_taken_for_the_run(
    instance: DagsterInstance, running: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Younger(recovery.psutil.Process):
        def create_time(self) -> float:
            return super().create_time() + 3600

    monkeypatch.setattr(recovery.psutil, "Process", Younger)
    assert len(recovery.fail_abandoned_runs(instance)) == 1


def test_the_slots_of_a_failed_run_are_free_again(home: Path, tmp_path: Path) -> None:
    (home / "dagster.yaml").write_text("concurrency: {pools: {granularity: op, default_limit: 1}}\n")
    with DagsterInstance.get() as instance:
        instance.event_log_storage.set_concurrency_slots(recovery.POOL, 1)
        with subprocess.Popen([sys.executable, "-c", SLEEPER, "60"], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        assert instance.event_log_storage.get_concurrency_info(recovery.POOL).active_slot_count == 1
        recovery.fail_abandoned_runs(instance)
        assert instance.event_log_storage.get_concurrency_info(recovery.POOL).active_slot_count == 0


def test_the_pool_gets_a_limit_and_keeps_the_one_that_somebody_set(instance: DagsterInstance) -> None:
    assert recovery.pool_limit(instance) is None
    assert recovery.set_pool_limit(instance) == recovery.POOL_LIMIT
    instance.event_log_storage.set_concurrency_slots(recovery.POOL, 7)
    assert recovery.set_pool_limit(instance) == 7


def test_without_run_granularity_no_limit_is_set(home: Path) -> None:
    (home / "dagster.yaml").unlink()
    with DagsterInstance.get() as instance:
        assert recovery.set_pool_limit(instance) is None
        assert recovery.pool_limit(instance) is None


@dg.job
def nothing() -> None:
    """Stands for any job."""


def test_a_run_whose_turn_comes_while_the_code_server_is_down_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text((Path(definitions.__file__).parent / "dagster.yaml").read_text())

    def down(*_: object) -> None:
        raise DagsterCodeLocationLoadError("no code server", load_error_infos=[])

    monkeypatch.setattr(DefaultRunLauncher, "launch_run", down)
    with (
        DagsterInstance.from_config(str(tmp_path)) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as workspace,
    ):
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("wiz"), "__repository__")
        run = instance.create_run_for_job(nothing, remote_job_origin=RemoteJobOrigin(repository, "nothing"))
        queued = DagsterEvent(event_type_value=DagsterEventType.PIPELINE_ENQUEUED.value, job_name="nothing")
        instance.report_dagster_event(queued, run_id=run.run_id)
        list(QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(workspace))
        assert statuses(instance) == [DagsterRunStatus.QUEUED]
