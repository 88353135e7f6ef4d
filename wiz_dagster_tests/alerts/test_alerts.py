"""What a team receives of what truly happened in a Dagster instance, through a real webhook and a real mail server."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from wiz_dagster.alerts import sensor
from wiz_dagster.alerts.outcomes import Known
from wiz_dagster.alerts.sensor import alerts_sensor
from wiz_dagster.alerts.settings import read_alert_settings
from wiz_dagster.definitions import build_definitions
from wiz_dagster.doctor.alerts import examine_alerts
from wiz_dagster.errors import SettingsError, TransientError
from wiz_dagster.pruning import Ours
from wiz_dagster.sandbox import certificates
from wiz_dagster_tests.alerts.receiving import MAIL_SECRET, TO, WEBHOOK_SECRET, Slack, mailbox, slack
from wiz_dagster_tests.kept import files_below, forms, found_in
from wiz_dagster_tests.pipeline import TODAY, YESTERDAY, Pipeline, Run, spool_bodies, webhook_environment

FULL_POSTURE = "cloud_configuration_finding_full_posture"
MINUTE = timedelta(minutes=1)
GOOD = {"id": "d1", "createdAt": f"{TODAY}T00:00:00Z", "triggeringEvents": [{"externalId": "e1"}]}


@pytest.fixture
def hook() -> Iterator[Slack]:
    with slack() as kept:
        yield kept


@dataclass
class Watch:
    """An instance that runs happen in, and the sensor's ticks, a minute apart, each with the cursor of the last."""

    environment: Mapping[str, str]
    instance: DagsterInstance
    definitions: dg.Definitions
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.sensor = self.definitions.get_repository_def().get_sensor_def("alerts")

    def tick(self, later: timedelta = MINUTE, **more: str) -> SensorExecutionData:
        self.now += later
        present = self.now

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return present.astimezone(tz)

        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        with mock.patch.dict(os.environ, {**self.environment, **more}), mock.patch.object(sensor, "datetime", Clock):
            found = self.sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return found

    def run(self, dataset: str, day: str = TODAY, only: str | None = None) -> Run:
        return Pipeline(self.environment, self.instance).run(dataset, day, only=only)

    def killed(self, job: str, day: str, **tags: str) -> None:
        """A run that somebody killed."""
        partition = {"dagster/partition": day} if day else {}
        with mock.patch.dict(os.environ, self.environment):
            run = self.instance.create_run_for_job(
                self.definitions.resolve_job_def(job), status=DagsterRunStatus.STARTED, tags={**partition, **tags}
            )
        self.instance.report_run_failed(run, "The process of this run is gone; the run was killed. Run it again.")


SETTINGS = {
    "WIZ_DESTINATION": "files",
    "WIZ_CLIENT_SECRET": "client-secret",
    "WIZ_DAGSTER_URL": "https://dagster.example",
    "WIZ_START_DATE": (datetime.now(UTC) - timedelta(days=60)).date().isoformat(),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The instance that the tests share: none looks at what ended before its first tick."""
    return tmp_path_factory.mktemp("dagster")


@pytest.fixture(scope="module")
def instance(home: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions({**webhook_environment(Path("unused")), **SETTINGS})


@pytest.fixture
def watch(tmp_path: Path, hook: Slack, instance: DagsterInstance, definitions: dg.Definitions) -> Watch:
    more = {"WIZ_RATE_LIMIT_URL": str(tmp_path / "budget"), "WIZ_ALERT_WEBHOOK": hook.url}
    watch = Watch({**webhook_environment(tmp_path), **SETTINGS, **more}, instance, definitions)
    watch.tick()
    return watch


def test_a_failed_check_is_told_once_until_it_is_well_again_and_that_once(watch: Watch, hook: Slack) -> None:
    spool_bodies(watch.environment, [b"no json", GOOD])
    run = watch.run("defend", only="raw")
    assert run.success
    watch.tick()
    (text,) = hook.texts
    title, cause, where = text.split("\n")
    assert title == f"*Check failed: spool_readable of wiz/raw/defend on {TODAY}*"
    assert cause.startswith("1 segments stay in the spool: ")
    assert where == f"Run: https://dagster.example/runs/{run.result.run_id} (defend_job)"

    watch.run("defend", only="raw")
    watch.tick()
    assert len(hook.texts) == 1
    for segment in Path(watch.environment["WIZ_DEFEND_SPOOL"]).glob("*/*"):
        segment.unlink()
    watch.run("defend", only="raw")
    watch.tick()
    watch.tick()
    assert hook.texts[1:] == ["*Well again: spool_readable of wiz/raw/defend*"]


def test_a_failed_run_is_told_with_its_cause_and_what_runs_it_again_by_both_ways(watch: Watch, hook: Slack) -> None:
    with mailbox() as mails:
        run = watch.run(FULL_POSTURE, YESTERDAY)
        watch.tick(**mails.environment())
    title, cause, where, again = hook.texts[0].split("\n")
    assert title == f"*Failed: wiz/raw/{FULL_POSTURE} on {YESTERDAY}*"
    assert cause.endswith(f"today, {TODAY} (UTC), can be fetched and {YESTERDAY} can't.")
    assert run.result.run_id in where
    assert again.endswith(
        f"`dagster job backfill -w workspace.yaml -j {FULL_POSTURE}_job --partitions {YESTERDAY} --noprompt`"
    )
    ((to, mail),) = mails.received
    assert (to, mail["From"]) == (list(TO), "wiz@example.com")
    assert mail["Subject"] == f"[wiz_dagster] {title.strip('*')}"
    assert mail.get_content().splitlines()[2:] == [cause, where, again]


@pytest.fixture
def quick_instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """One database for all runs, not one each, which takes a tenth of a second to make."""
    kind = {"module": "dagster._core.storage.event_log", "class": "ConsolidatedSqliteEventLogStorage"}
    (tmp_path / "dagster.yaml").write_text(
        yaml.safe_dump({"event_log_storage": {**kind, "config": {"base_dir": str(tmp_path)}}})
    )
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def test_many_failed_days_are_one_message_and_more_of_them_one_an_hour_later(
    watch: Watch, quick_instance: DagsterInstance, hook: Slack
) -> None:
    watch.instance, watch.cursor = quick_instance, None
    watch.tick()
    days = [(datetime.now(UTC) - timedelta(days=back)).date().isoformat() for back in range(33, 0, -1)]
    for day in days[:30]:
        watch.killed("defend_job", day, **{"dagster/backfill": "long"})
    watch.tick()
    (text,) = hook.texts
    assert text.startswith(f"*Failed: wiz/defend, wiz/raw/defend on 30 days, {days[0]} to {days[29]}*\n")
    assert "The process of this run is gone; the run was killed." in text
    assert f"--partitions {','.join(days[:30])} " in text
    for day in days[30:]:
        watch.killed("defend_job", day, **{"dagster/backfill": "long"})
        watch.tick()
    assert len(hook.texts) == 1
    watch.tick(timedelta(hours=1))
    assert f" on {days[30]}, {days[31]}, {days[32]}*" in hook.texts[1]


def test_a_run_that_dagster_starts_again_by_itself_has_not_failed_yet(watch: Watch, hook: Slack) -> None:
    watch.killed("defend_job", YESTERDAY, **{"dagster/will_retry": "true"})
    watch.tick()
    assert hook.texts == []
    watch.killed("defend_job", YESTERDAY)
    watch.tick()
    assert len(hook.texts) == 1


def test_what_goes_on_failing_for_the_same_day_is_told_again_a_day_later(watch: Watch, hook: Slack) -> None:
    watch.killed("prune_job", "")
    watch.tick()
    for later in (timedelta(hours=2), timedelta(hours=23)):
        watch.killed("prune_job", "")
        watch.tick(later)
    assert [text.splitlines()[0] for text in hook.texts] == 2 * ["*Failed: prune_job*"]


def test_of_an_exception_that_nobody_foresaw_only_the_name_is_told(watch: Watch, hook: Slack) -> None:
    def failing(name: str, error: Exception) -> dg.AssetsDefinition:
        @dg.asset(name=name)
        def fails() -> None:
            raise error

        return fails

    bug, outage = failing("bug", ValueError("a finding")), failing("outage", TransientError("Wiz is away. Wait."))
    made = dg.Definitions(assets=[bug, outage], jobs=[dg.define_asset_job("both")])
    ours = Ours(jobs={"both"}, assets={bug.key, outage.key})
    watch.sensor = alerts_sensor(Known(ours, {}), [])
    made.resolve_job_def("both").execute_in_process(instance=watch.instance, raise_on_error=False)
    watch.tick()
    (text,) = hook.texts
    assert "Failed: bug\nValueError, which nobody foresaw; the run's log says more.\n" in text
    assert "Failed: outage\nWiz is away.\n" in text


def test_a_webhook_that_is_down_gets_its_messages_later_and_keeps_no_mail_back(watch: Watch, hook: Slack) -> None:
    hook.answers = [500, 302]
    watch.killed("prune_job", "")
    with mailbox() as mails:
        first = watch.tick(**mails.environment())
        assert (hook.texts, len(mails.received)) == ([], 1)
        assert "1 wait" in first.skip_message
        watch.tick(MINUTE, **mails.environment())
        watch.killed("defend_job", YESTERDAY)
        watch.tick(MINUTE, **mails.environment())
        assert (hook.asked, hook.texts, len(mails.received)) == (2, [], 2)
        watch.tick(MINUTE, **mails.environment())
        watch.tick(MINUTE, **mails.environment())
    assert [text.splitlines()[0] for text in hook.texts] == [
        "*Failed: prune_job*",
        f"*Failed: wiz/defend, wiz/raw/defend on {YESTERDAY}*",
    ]
    assert len(mails.received) == 2


def test_what_nobody_takes_for_a_day_is_given_up(watch: Watch, hook: Slack) -> None:
    hook.answers = [503] * 100
    watch.killed("prune_job", "")
    for _ in range(50):
        watch.tick(timedelta(minutes=31))
    assert "0 wait" in watch.tick().skip_message
    assert 40 < hook.asked < 50


def test_a_dataset_is_stale_while_its_schedule_is_on_and_nothing_of_today_came(watch: Watch, hook: Slack) -> None:
    spool_bodies(watch.environment, [GOOD])
    watch.tick(timedelta(hours=2))
    assert hook.texts == []
    switch(watch, InstigatorStatus.RUNNING, "defend_sensor", "refresh")
    watch.tick()
    (text,) = hook.texts
    assert text.startswith("*Stale: defend*\nEvents wait in the spool for 12")
    watch.run("defend", only="raw")
    watch.tick()
    assert hook.texts[1:] == ["*Well again: defend*"]

    watch.tick(timedelta(minutes=40))
    title, cause = hook.texts[2].splitlines()[:2]
    assert title == "*Stale: audit, issue, vulnerability, cloud_configuration_finding, detection*"
    assert cause.startswith("Nothing of today or yesterday was written for ")
    switch(watch, InstigatorStatus.STOPPED, "defend_sensor", "refresh")
    watch.tick()
    assert len(hook.texts) == 3


def switch(watch: Watch, status: InstigatorStatus, *names: str) -> None:
    """As the switches in the web server do."""
    code = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="wiz_dagster.definitions"))
    repository = RemoteRepositoryOrigin(code, "__repository__")
    for name in names:
        kind, data = InstigatorType.SENSOR, SensorInstigatorData()
        if name != "defend_sensor":
            kind, data = InstigatorType.SCHEDULE, ScheduleInstigatorData("*/5 * * * *", watch.now.timestamp())
        origin = repository.get_instigator_origin(name)
        state = InstigatorState(origin, kind, status, data)
        known = watch.instance.get_instigator_state(origin.get_id(), state.selector_id)
        (watch.instance.update_instigator_state if known else watch.instance.add_instigator_state)(state)


def test_without_receivers_it_says_what_to_set_and_later_tells_only_what_is_new(watch: Watch, hook: Slack) -> None:
    watch.cursor = None
    watch.killed("prune_job", "")
    found = watch.tick(WIZ_ALERT_WEBHOOK="")
    assert "WIZ_ALERT_WEBHOOK" in found.skip_message
    watch.tick()
    assert hook.texts == []


def tried(environment: Mapping[str, str]) -> dict[str, str]:
    """What the doctor says of a test message."""
    return {finding.name: finding.detail for finding in examine_alerts(environment, send=True)}


def test_a_mail_server_with_tls_and_a_login(watch: Watch, tmp_path: Path, hook: Slack) -> None:
    if not certificates.can_be_made():
        pytest.skip("no openssl")
    certificates.make_authority(tmp_path)
    certificates.make_certificate(tmp_path, "mail", certificates.SERVER)
    login = {
        "WIZ_ALERT_SMTP_TLS": "starttls",
        "WIZ_ALERT_SMTP_USERNAME": "wiz",
        "WIZ_ALERT_CA_CERTS": str(tmp_path / certificates.AUTHORITY),
    }
    with mailbox(tmp_path) as mails:
        environment = {**watch.environment, **mails.environment(**login), "WIZ_ALERT_SMTP_PASSWORD": "wrong"}
        found = tried(environment)
        assert found["alerts by e-mail"].endswith(
            "(SMTPAuthenticationError 535); look at WIZ_ALERT_SMTP_* and WIZ_ALERT_EMAIL_*."
        )
        assert (
            "took a test message" in tried(environment | {"WIZ_ALERT_SMTP_PASSWORD": MAIL_SECRET})["alerts by e-mail"]
        )
        assert [mail["Subject"] for _, mail in mails.received] == ["[wiz_dagster] A test message"]
        untrusted = {**environment, "WIZ_ALERT_SMTP_PASSWORD": MAIL_SECRET, "WIZ_ALERT_CA_CERTS": ""}
        assert "SSLCertVerificationError" in tried(untrusted)["alerts by e-mail"]
    assert len(hook.texts) == 3


def test_settings_that_do_not_fit_together_are_named_without_their_values() -> None:
    for given, named in (
        ({"WIZ_ALERT_WEBHOOK": WEBHOOK_SECRET}, "WIZ_ALERT_WEBHOOK"),
        ({"WIZ_ALERT_EMAIL_TO": "a@example.com"}, "WIZ_ALERT_SMTP_HOST"),
        ({"WIZ_ALERT_EMAIL_TO": "somebody"}, "WIZ_ALERT_EMAIL_TO"),
        ({"WIZ_ALERT_SMTP_PASSWORD": MAIL_SECRET}, "WIZ_ALERT_SMTP_USERNAME"),
        (
            {
                "WIZ_ALERT_SMTP_PASSWORD": MAIL_SECRET,
                "WIZ_ALERT_SMTP_USERNAME": "wiz",
                "WIZ_ALERT_SMTP_TLS": "none",
            },
            "WIZ_ALERT_SMTP_TLS",
        ),
    ):
        with pytest.raises(SettingsError, match=named) as refused:
            read_alert_settings(given)
        assert not any(secret in str(refused.value) for secret in (WEBHOOK_SECRET, MAIL_SECRET))


def test_no_secret_is_kept_or_said(
    watch: Watch,
    home: Path,
    hook: Slack,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    hook.answers = [500]
    watch.killed("prune_job", "")
    said = [str(watch.tick())]
    said.append(str(watch.tick(WIZ_ALERT_WEBHOOK=hook.url.replace(str(hook.port), "9"))))
    printed = capfd.readouterr()
    texts = [("said", "".join([*said, printed.out, printed.err, caplog.text]).encode()), *files_below(home)]
    assert "tried again" in printed.err
    assert found_in(iter(texts), forms(WEBHOOK_SECRET)) == set()
