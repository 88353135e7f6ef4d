"""The campaign's comparison: nothing to say of a pipeline that did its work, and what was tampered with is found."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.sandbox.chaos.sent_bodies import SentBody, bodies_to_send
from wiz_dagster.sandbox.chaos.tenant import TenantPlan
from wiz_dagster.sandbox.chaos.true_states import Truth
from wiz_dagster.sandbox.chaos.truth import Outcome, Places, compare
from wiz_dagster.sandbox.wiz.clock import Clock
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.pipeline import Pipeline, spool_bodies, wiz_environment

NOW = datetime.now(UTC)
FEW = {"audit": 40, "issue": 60, "vulnerability": 60, "cloud_configuration_finding": 60, "detection": 20}
PLAN = TenantPlan(seed=7, moment=(NOW - timedelta(hours=1)).isoformat(), days=2, volumes=FEW, busy_seconds=3600)
DATASETS = (*FEW, "cloud_configuration_finding_full_posture")


@dataclass
class Scene:
    """A campaign without faults that is over."""

    truth: Truth
    places: Places
    sent: list[SentBody]

    def outcome(self) -> Outcome:
        return compare(self.truth, self.places, self.sent)

    def figures(self) -> tuple[int, int, int]:
        found = self.outcome()
        return found.lost, found.duplicated, found.stale


@pytest.fixture(scope="module")
def scene(
    elasticsearch: Elasticsearch,
    elasticsearch_settings: ElasticsearchSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """Fetched once an hour ago, and today once more since."""
    home = tmp_path_factory.mktemp("campaign")
    namespace = f"t{home.name[-4:]}{NOW:%H%M%S%f}"
    tenant = PLAN.tenant(Clock(PLAN.start))
    with WizEmulator(tenant) as emulator:
        environment = {
            **wiz_environment(emulator, home),
            "ELASTICSEARCH_URL": elasticsearch_settings.url,
            "WIZ_NAMESPACE": namespace,
            "WIZ_DEFEND_SPOOL": str(home / "spool"),
            "WIZ_START_DATE": PLAN.first_day.isoformat(),
        }
        pipeline = Pipeline(environment)
        days = PLAN.days_until(NOW)
        for dataset in FEW:
            for day in days:
                assert pipeline.run(dataset, day).success
        tenant.clock = Clock(NOW)
        sent = list(bodies_to_send(PLAN, PLAN.start - timedelta(hours=12)))
        spool_bodies(environment, [body.payload for body in sent])
        for body in sent:
            body.acknowledged = True
        for dataset in (*DATASETS, "defend"):
            assert pipeline.run(dataset, days[-1]).success
    yield Scene(Truth(PLAN, PLAN.start, NOW), Places(elasticsearch, namespace, home / "landing"), sent)


def test_a_pipeline_that_did_its_work_has_nothing_lost_duplicated_or_stale(scene: Scene) -> None:
    outcome = scene.outcome()
    print(*outcome.lines, sep="\n")
    assert (outcome.lost, outcome.duplicated, outcome.stale) == (0, 0, 0)
    assert outcome.documents > 400
