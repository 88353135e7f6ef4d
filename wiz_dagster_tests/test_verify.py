"""Landing zone and Elasticsearch tampered with in every way: `verify` names it, `--repair` mends it or says why not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch import partition as partition_module
from wiz_dagster.errors import PermanentError, SettingsError, TransientError
from wiz_dagster.landing.landed_day import LandedDay
from wiz_dagster.landing.landing_run import LandingRun
from wiz_dagster.landing.manifest import FetchInfo, Tenant
from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster.verify import Verification
from wiz_dagster_tests.landing.landing_helpers import Figures
from wiz_dagster_tests.pipeline import (
    NOW,
    TODAY,
    YESTERDAY,
    Pipeline,
    documents_of,
    pipeline_over,
    small_tenant,
    spool_bodies,
    webhook_environment,
)

BEFORE = (NOW - timedelta(days=2)).date().isoformat()
POSTURE = "cloud_configuration_finding_full_posture"


@dataclass
class Scene:
    """A pipeline, and its data to look at and to spoil."""

    pipeline: Pipeline
    client: Elasticsearch
    namespace: str

    def verify(self, *datasets: str, first: str = YESTERDAY, last: str = YESTERDAY, repair: bool = False) -> Outcome:
        verification = Verification(self.pipeline.environment, first, last, datasets or ("issue",), repair=repair)
        *lines, summary = verification.lines()
        return Outcome(verification.agrees, lines, summary)

    def folder(self, dataset: str = "issue", day: str = YESTERDAY) -> Path:
        return Path(self.pipeline.environment["WIZ_LANDING_URL"]) / dataset / day

    def file(self, pattern: str, dataset: str = "issue", day: str = YESTERDAY) -> Path:
        (found,) = self.folder(dataset, day).glob(pattern)
        return found

    def documents(self, dataset: str = "issue", day: str = YESTERDAY) -> dict[tuple[str, str], dict[str, Any]]:
        """By backing index and id, without what tells of the write."""
        found = {}
        for hit in documents_of(self.client, dataset, self.namespace, day):
            hit["_source"]["event"].pop("ingested", None)
            hit["_source"]["labels"].pop("dagster_run_id", None)
            found[hit["_index"], hit["_id"]] = hit["_source"]
        return found

    def put(self, index: str, document_id: str, document: dict[str, Any]) -> None:
        """As somebody with a shell would: in the place of one in a backing index, else as a new one in the stream."""
        found = self.client.options(ignore_status=404).get(index=index, id=document_id, source=False)
        if not found["found"]:
            self.client.create(
                index=f"logs-wiz.issue-{self.namespace}", id=document_id, document=document, refresh=True
            )
            return
        place = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
        self.client.index(index=index, id=document_id, document=document, refresh=True, **place)

    def land(self, node: dict[str, Any], day: str = YESTERDAY) -> None:
        """A node that Wiz doesn't know (any more)."""
        environment = self.pipeline.environment
        tenant = Tenant.of(environment["WIZ_API_URL"], environment["WIZ_CLIENT_ID"])
        zone = LandingZone(open_store(environment["WIZ_LANDING_URL"]), tenant)
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        fetch = FetchInfo(
            run_id="r", fetched_at=datetime.now(UTC), window_start=start, window_end=start + timedelta(1), query_hash=""
        )
        zone.land("issue", day, [[node]], fetch, Figures(), "updatedAt")


@dataclass(frozen=True)
class Outcome:
    agrees: bool
    lines: list[str]
    summary: str


@pytest.fixture
def scene(
    tmp_path: Path, elasticsearch_settings: ElasticsearchSettings, elasticsearch: Elasticsearch, namespace: str
) -> Iterator[Scene]:
    more = {"ELASTICSEARCH_URL": elasticsearch_settings.url, "WIZ_NAMESPACE": namespace}
    with pipeline_over(small_tenant(), tmp_path, more) as (pipeline, _):
        yield Scene(pipeline, elasticsearch, namespace)


@pytest.fixture
def written(scene: Scene) -> Scene:
    """A day of issues in both places."""
    assert scene.pipeline.run("issue").success
    return scene


def assert_mended(scene: Scene, before: dict[tuple[str, str], dict[str, Any]]) -> Outcome:
    """`--repair` mends the day, Elasticsearch holds what it held, and nothing is found afterwards."""
    outcome = scene.verify(repair=True)
    assert outcome.agrees, outcome
    assert outcome.lines[-1] == f"issue {YESTERDAY}: mended"
    assert "1 day differed, 1 of them mended" in outcome.summary
    after = {document_id: document for (_, document_id), document in scene.documents().items()}
    assert after == {document_id: document for (_, document_id), document in before.items()}
    again = scene.verify()
    assert (again.agrees, again.lines) == (True, [])
    return outcome


def test_a_day_that_was_written_agrees(written: Scene) -> None:
    count = len(written.documents())
    outcome = written.verify()
    assert (outcome.agrees, outcome.lines) == (True, [])
    assert outcome.summary == f"1 day of issue, {count} documents: all agree"


def test_all_datasets_are_compared_unless_some_are_named(scene: Scene) -> None:
    for dataset in ("audit", "issue", "vulnerability", "cloud_configuration_finding", "detection"):
        assert scene.pipeline.run(dataset).success
    assert scene.pipeline.run(POSTURE, TODAY).success
    verification = Verification(scene.pipeline.environment, YESTERDAY, TODAY)
    (summary,) = verification.lines()
    assert verification.agrees
    assert summary.startswith("6 days of audit, issue, vulnerability")


def test_documents_that_are_missing_changed_and_added_are_told_apart_and_mended(written: Scene) -> None:
    before = written.documents()
    (gone, changed, *_), index = sorted(key[1] for key in before), next(iter(before))[0]
    added = "A" * 21 + "g"
    written.client.delete(index=index, id=gone)
    written.put(index, changed, {**before[index, changed], "message": "somebody was here"})
    written.put(index, added, before[index, changed])
    written.put(index, "not ours", before[index, changed])

    outcome = written.verify()
    assert not outcome.agrees
    (line,) = outcome.lines
    assert line == (
        f"issue {YESTERDAY}: 1 missing ({gone}), 1 changed ({changed}), 1 superfluous ({added}), "
        f"1 with a foreign id (not ours); "
        f"mend it with: wiz-dagster verify --from {YESTERDAY} --to {YESTERDAY} --dataset issue --repair"
    )
    assert "1 day with differences" in outcome.summary
    assert "somebody was here" in str(written.documents())  # without --repair, nothing is touched
    assert_mended(written, before)


def test_what_is_changed_in_a_document_doesnt_matter(written: Scene) -> None:
    before = written.documents()
    (index, document_id), document = next(iter(before.items()))
    lacking = {key: value for key, value in document.items() if key != "tags"}
    written.put(index, document_id, lacking)
    assert "1 changed" in written.verify().lines[0]
    assert_mended(written, before)


def test_copies_in_a_second_backing_index_are_found_and_go(written: Scene) -> None:
    before = written.documents()
    (index, document_id), document = next(iter(before.items()))
    new = written.client.indices.rollover(alias=f"logs-wiz.issue-{written.namespace}")["new_index"]
    written.put(new, document_id, document)
    assert f"1 copies ({document_id})" in written.verify().lines[0]
    assert_mended(written, before)

    written.put(new, document_id, {**document, "message": "copied and changed"})
    written.client.delete(index=index, id=document_id, refresh=True)
    assert f"1 changed ({document_id})" in written.verify().lines[0]
    assert_mended(written, before)


def test_more_than_five_ids_are_counted_only(written: Scene) -> None:
    before = written.documents()
    for index, document_id in before:
        written.client.delete(index=index, id=document_id)
    (line,) = written.verify().lines
    assert f" {len(before)} missing (" in line
    assert line.count(", ") == 5
    assert_mended(written, before)


def test_a_part_that_was_deleted_is_fetched_again(written: Scene) -> None:
    before = written.documents()
    part = written.file("part-*.zst")
    part.unlink()
    outcome = written.verify()
    assert f"1 damaged file (issue/{YESTERDAY}/{part.name}) (documents not compared); mend it" in outcome.lines[0]
    assert_mended(written, before)
    assert part.name not in (written.folder() / "manifest.json").read_text()


def test_a_part_with_one_changed_byte_is_fetched_again_and_kept_aside(written: Scene) -> None:
    before = written.documents()
    part = written.file("part-*.zst")
    spoilt = bytearray(part.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    part.write_bytes(spoilt)
    assert part.name in written.verify().lines[0]
    assert_mended(written, before)
    assert part.with_name(f"{part.name}.damaged").read_bytes() == spoilt
    assert written.pipeline.run("issue").ecs["es/created"] == 0


def test_an_index_that_was_deleted_or_cut_is_made_anew_without_wiz(written: Scene) -> None:
    before = written.documents()
    index = written.file("*.idx")
    whole = index.read_bytes()
    written.pipeline.environment = {**written.pipeline.environment, "WIZ_API_URL": "http://127.0.0.1:9/graphql"}
    (written.folder().parents[1] / "tenant.json").unlink()
    for spoil in (index.unlink, lambda: index.write_bytes(whole[:-1])):
        spoil()
        assert index.name in written.verify().lines[0]
        assert_mended(written, before)
        assert index.read_bytes() == whole


def test_a_part_and_its_index_are_fetched_again_when_that_makes_all_documents_again(written: Scene) -> None:
    before = written.documents()
    for path in written.folder().glob("part-*"):
        path.unlink()
    assert "2 damaged files" in written.verify().lines[0]
    assert_mended(written, before)


@pytest.mark.parametrize("spoilt", ["part-*.zst", "part-*"])
def test_what_wiz_doesnt_return_any_more_stays_in_elasticsearch(written: Scene, spoilt: str) -> None:
    first = set(written.folder().iterdir())
    written.land({"id": "gone", "status": "OPEN", "updatedAt": NOW.isoformat(), "createdAt": NOW.isoformat()})
    added = set(written.folder().iterdir()) - first
    assert written.pipeline.run("issue", only="ecs").success
    before = written.documents()
    for path in added & set(written.folder().glob(spoilt)):
        path.rename(path.with_name("backup-" + path.name))

    outcome = written.verify(repair=True)
    assert not outcome.agrees
    assert "Wiz doesn't return all" in outcome.lines[1]
    assert "nothing is deleted" in outcome.lines[1]
    assert written.documents() == before
    written.pipeline.run("issue", only="ecs")
    assert written.documents() == before

    for path in written.folder().glob("backup-*"):
        path.rename(path.with_name(path.name.removeprefix("backup-")))
    assert written.verify().agrees


def test_while_wiz_cant_be_asked_a_damaged_part_costs_nothing(written: Scene) -> None:
    before = written.documents()
    written.file("part-*.zst").unlink()
    written.pipeline.environment = {
        name: text for name, text in written.pipeline.environment.items() if not name.startswith("WIZ_CLIENT")
    }
    outcome = written.verify(repair=True)
    assert not outcome.agrees
    assert "WIZ_CLIENT_ID: is not set" in outcome.lines[1]
    assert written.documents() == before


def test_a_landing_zone_in_an_object_store_is_mended_as_well(scene: Scene) -> None:
    url = f"memory://{scene.namespace}"
    scene.pipeline.environment = {**scene.pipeline.environment, "WIZ_LANDING_URL": url}
    assert scene.pipeline.run("issue").success
    before, store, folder = scene.documents(), open_store(url), f"issue/{YESTERDAY}"
    (part,) = (name for name in store.list(folder) if name.endswith(".zst"))
    store.put(f"{folder}/{part}", store.read(f"{folder}/{part}")[:-1])
    (index, document_id), document = next(iter(before.items()))
    scene.put(index, document_id, {**document, "message": "x"})
    assert_mended(scene, before)
    assert store.exists(f"{folder}/{part}.damaged")


def test_what_lands_while_a_part_is_fetched_again_stays(written: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written.documents()
    written.file("part-*.zst").unlink()
    check, landed = LandingRun.check_parts, []

    def land_first(run: LandingRun) -> None:
        if not landed:
            landed.append(True)
            written.land({"id": "new", "status": "OPEN", "updatedAt": NOW.isoformat(), "createdAt": NOW.isoformat()})
        check(run)

    monkeypatch.setattr(LandingRun, "check_parts", land_first)
    outcome = written.verify(repair=True)
    assert outcome.agrees, outcome
    assert len(written.documents()) == len(before) + 1


def test_a_sweep_of_today_is_swept_again_and_one_of_another_day_is_for_the_backup(scene: Scene) -> None:
    assert scene.pipeline.run(POSTURE, TODAY).success
    before = scene.documents(POSTURE, TODAY)
    part = scene.file("part-*.zst", POSTURE, TODAY)
    part.unlink()
    outcome = scene.verify(POSTURE, first=TODAY, last=TODAY, repair=True)
    assert outcome.agrees, outcome
    assert len(scene.documents(POSTURE, TODAY)) == len(before)
    assert scene.verify(POSTURE, first=TODAY, last=TODAY).agrees

    scene.folder(POSTURE, TODAY).rename(scene.folder(POSTURE, YESTERDAY))
    part = scene.file("part-*.zst", POSTURE)
    part.unlink()
    for repair in (False, True):
        outcome = scene.verify(POSTURE, repair=repair)
        assert not outcome.agrees
        assert outcome.lines[0].endswith(f"restore {POSTURE}/{YESTERDAY}/{part.name} from a backup")


def test_a_manifest_that_is_damaged_or_gone_is_for_the_backup(written: Scene) -> None:
    before = written.documents()
    manifest = written.folder() / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-9])
    outcome = written.verify(repair=True)
    assert not outcome.agrees
    assert outcome.lines[0].endswith(f"restore issue/{YESTERDAY}/manifest.json from a backup")

    manifest.unlink()
    outcome = written.verify(repair=True)
    assert not outcome.agrees
    assert f"issue {YESTERDAY}: {len(before)} documents of a day that was never landed; restore" in outcome.lines[0]
    assert written.documents() == before

    manifest.write_bytes(whole)
    assert written.verify().agrees


def test_a_manifest_restored_from_before_the_last_write_deletes_nothing(written: Scene) -> None:
    manifest = written.folder() / "manifest.json"
    older = manifest.read_bytes()
    written.land({"id": "new", "status": "OPEN", "updatedAt": NOW.isoformat(), "createdAt": NOW.isoformat()})
    assert written.pipeline.run("issue", only="ecs").success
    newer, before = manifest.read_bytes(), written.documents()
    manifest.write_bytes(older)
    outcome = written.verify(repair=True)
    assert not outcome.agrees
    assert "1 superfluous" in outcome.lines[0]
    assert "(the manifest is older than the last write); restore a newer" in outcome.lines[0]
    assert written.documents() == before
    manifest.write_bytes(newer)
    assert written.verify().agrees


def test_other_days_and_datasets_are_left_alone(written: Scene) -> None:
    assert written.pipeline.run("issue", BEFORE).success
    assert written.pipeline.run("audit").success
    others = [written.documents("issue", BEFORE), written.documents("audit")]
    for dataset, day in (("issue", BEFORE), ("audit", YESTERDAY), ("issue", YESTERDAY)):
        index, document_id = next(iter(written.documents(dataset, day)))
        written.client.delete(index=index, id=document_id, refresh=True)
    assert len(written.verify("issue", "audit", first=BEFORE).lines) == 3
    assert written.verify(repair=True).agrees
    assert [len(written.documents("issue", BEFORE)), len(written.documents("audit"))] == [
        len(one) - 1 for one in others
    ]
    assert written.verify("issue", "audit", first=BEFORE, repair=True).agrees


def test_a_day_landed_again_and_not_yet_written_is_told(written: Scene) -> None:
    written.land({"id": "new", "status": "OPEN", "updatedAt": NOW.isoformat(), "createdAt": NOW.isoformat()})
    assert "1 missing" in written.verify().lines[0]
    assert "(landed after it was last written)" in written.verify().lines[0]
    assert written.pipeline.run("issue", only="ecs").success
    assert written.verify().agrees


def test_a_run_in_between_is_no_difference(written: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    written.land({"id": "new", "status": "OPEN", "updatedAt": NOW.isoformat(), "createdAt": NOW.isoformat()})
    batches, ran = LandedDay.batches, []

    def run_first(day: LandedDay, **options: Any) -> Any:
        if not ran:
            ran.append(True)
            ran.append(written.pipeline.run("issue", only="ecs").success)
        return batches(day, **options)

    monkeypatch.setattr(LandedDay, "batches", run_first)
    outcome = written.verify()
    assert ran == [True, True]
    assert outcome.agrees, outcome


def test_documents_of_an_older_mapping_are_counted_and_no_difference(
    written: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written.documents()
    config = tmp_path / "wiz.yaml"
    config.write_text("datasets: {issue: {tags: [other]}}")
    written.pipeline.environment = {**written.pipeline.environment, "WIZ_CONFIG": str(config)}
    outcome = written.verify()
    assert outcome.agrees
    assert outcome.summary.endswith("written under an older mapping or with other options: issue 1")
    assert written.verify(repair=True).agrees
    assert written.documents() == before

    index, document_id = next(iter(before))
    written.client.delete(index=index, id=document_id, refresh=True)
    assert f"1 missing ({document_id})" in written.verify().lines[0]
    assert written.verify(repair=True).summary.endswith("1 day differed, 1 of them mended")
    assert all(document["tags"] == ["other"] for document in written.documents().values())
    assert written.verify().summary.endswith(": all agree")

    monkeypatch.setattr(partition_module, "stamping_fingerprint", lambda: "another")
    assert written.verify().summary.endswith("issue 1")


def test_a_document_that_had_to_be_made_to_fit_is_right_and_a_refused_one_is_told(written: Scene) -> None:
    times = {"updatedAt": NOW.isoformat(), "createdAt": NOW.isoformat()}
    written.land({"id": "odd", "status": "OPEN", **times, "projects": "a text where objects are due"})
    run = written.pipeline.run("issue", only="ecs")
    assert run.ecs["es/refitted"] == 1
    assert written.verify().agrees

    limit = {"index.mapping.nested_objects.limit": 1}
    written.client.indices.put_settings(index=f"logs-wiz.issue-{written.namespace}", settings=limit)
    rules = [{"__typename": "Control", "id": "r1", "name": "one"}, {"__typename": "Control", "id": "r2", "name": "two"}]
    written.land({"id": "refused", "status": "OPEN", **times, "sourceRules": rules})
    run = written.pipeline.run("issue", only="ecs")
    assert run.ecs["es/rejected"] == 1
    for repair in (False, True):
        outcome = written.verify(repair=repair)
        assert not outcome.agrees
        assert "1 rejected (" in outcome.lines[0]
        assert "correct what the day's dead letters name" in outcome.lines[0]
    written.file("dead-letters*").write_text("{")
    assert "1 damaged file of dead letters" in written.verify().lines[0]
    assert "1 rejected (" in written.verify(repair=True).lines[-1]


def test_documents_of_no_day_are_told_and_left_alone(written: Scene) -> None:
    (index, _), document = next(iter(written.documents().items()))
    written.put(index, "elses", {**document, "labels": {"by": "another program"}})
    written.put(index, "others", {**document, "labels": {"dagster_partition": f"{YESTERDAY}x"}})
    outcome = written.verify(first=BEFORE, last=TODAY, repair=True)
    assert outcome.agrees
    assert outcome.summary.endswith("documents that belong to no day, left alone: issue 2")


def test_events_sent_twice_stand_in_one_day_and_both_days_agree(
    tmp_path: Path, elasticsearch_settings: ElasticsearchSettings, elasticsearch: Elasticsearch, namespace: str
) -> None:
    environment = {
        **webhook_environment(tmp_path),
        "ELASTICSEARCH_URL": elasticsearch_settings.url,
        "WIZ_NAMESPACE": namespace,
    }
    scene = Scene(Pipeline(environment), elasticsearch, namespace)
    bodies = [{"id": f"d-{number}", "title": "t", "triggeringEvents": [{"id": f"e-{number}"}]} for number in range(5)]
    for day in (BEFORE, YESTERDAY):
        spool_bodies(environment, bodies[: 5 if day == BEFORE else 3], day)
        assert scene.pipeline.run("defend", day).success
    assert len(scene.documents("defend", BEFORE)) == 5
    assert scene.verify("defend", first=BEFORE).agrees

    index, document_id = next(iter(scene.documents("defend", BEFORE)))
    scene.client.delete(index=index, id=document_id, refresh=True)
    assert not scene.verify("defend", first=BEFORE).agrees
    assert scene.verify("defend", first=BEFORE, repair=True).agrees
    scene.file("part-*.zst", "defend", BEFORE).unlink()
    outcome = scene.verify("defend", first=BEFORE, repair=True)
    assert not outcome.agrees
    assert "from a backup" in outcome.lines[0]


def test_what_cant_be_compared_is_one_sentence(scene: Scene, tmp_path: Path) -> None:
    environment = scene.pipeline.environment

    def refused(error: type[Exception], words: str, first: str = YESTERDAY, **more: str) -> None:
        with pytest.raises(error, match=words):
            list(Verification({**environment, **more}, first, YESTERDAY, ["issue"]).lines())

    refused(SettingsError, "no Elasticsearch to compare", WIZ_DESTINATION="files")
    refused(TransientError, "can't be reached", ELASTICSEARCH_URL="http://127.0.0.1:9")
    refused(PermanentError, "give the earlier day first", first=TODAY)
    refused(PermanentError, "isn't a day", first="yesterday")
    with pytest.raises(PermanentError, match="There is no dataset 'issues'"):
        Verification(environment, YESTERDAY, YESTERDAY, ["issues"])
    assert scene.pipeline.run("issue").success
    refused(PermanentError, "another Wiz tenant", WIZ_CLIENT_ID="somebody-else")


def test_the_command_prints_and_exits_by_what_it_found(written: Scene) -> None:
    days = ["--from", YESTERDAY, "--to", YESTERDAY, "--dataset", "issue"]
    command = [sys.executable, "-c", "from wiz_dagster.cli import main; main()", "verify", *days]

    def verify(*more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **written.pipeline.environment}
        return subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)

    assert verify().returncode == 0
    index, document_id = next(iter(written.documents()))
    written.client.delete(index=index, id=document_id, refresh=True)
    outcome = verify()
    assert (outcome.returncode, document_id in outcome.stdout, outcome.stderr) == (1, True, "")
    outcome = verify("--repair")
    assert (outcome.returncode, outcome.stdout.splitlines()[-2]) == (0, f"issue {YESTERDAY}: mended")
