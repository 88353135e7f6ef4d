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


def test_what_was_tampered_with_in_elasticsearch_is_found(scene: Scene) -> None:
    client, namespace = scene.places.client, scene.places.namespace
    stream = f"logs-wiz.vulnerability-{namespace}"
    deleted, altered, copied = client.search(index=stream, size=3)["hits"]["hits"]
    client.delete(index=deleted["_index"], id=deleted["_id"])
    client.update(index=altered["_index"], id=altered["_id"], doc={"wiz": {"vulnerability": {"status": "GONE"}}})
    client.index(index=stream, op_type="create", id="copy", document=copied["_source"])
    assert scene.figures() == (1, 1, 1)
    client.create(index=stream, id=deleted["_id"], document=deleted["_source"])
    client.update(index=altered["_index"], id=altered["_id"], doc=altered["_source"])
    client.delete(index=copied["_index"], id="copy")
    assert scene.figures() == (0, 0, 0)


def test_events_and_findings_that_no_reader_of_a_view_should_miss_are(scene: Scene) -> None:
    client, namespace = scene.places.client, scene.places.namespace
    event = client.search(index=f"logs-wiz.defend-{namespace}", size=1)["hits"]["hits"][0]
    client.delete(index=event["_index"], id=event["_id"])
    assert scene.figures() == (1, 0, 0)
    client.create(index=f"logs-wiz.defend-{namespace}", id=event["_id"], document=event["_source"])
    ours = {"term": {"data_stream.namespace": namespace}}
    issue = client.search(index="wiz.issue_latest", query=ours, size=1, version=True)["hits"]["hits"][0]
    client.update(index=issue["_index"], id=issue["_id"], doc={"wiz": {"issue": {"status": {"value": "RESOLVED"}}}})
    assert scene.figures() == (0, 0, 1)
    client.index(index=issue["_index"], id=issue["_id"], document=issue["_source"])


def test_a_landed_part_that_is_gone_is_lost_node_by_node(scene: Scene) -> None:
    part = next(iter(sorted(scene.places.landing.glob("audit/*/part-*.ndjson.zst"))))
    aside = part.rename(part.with_suffix(".aside"))
    lost, duplicated, stale = scene.figures()
    aside.rename(part)
    assert lost > 20
    assert (duplicated, stale) == (0, 0)
