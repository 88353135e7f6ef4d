"""The IO managers inside real Dagster runs: what is stored, what the run's metadata says, what a failure looks like."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pandas as pd
import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.elasticsearch.files_io_manager import FilesIOManager, write_file
from wiz_dagster.elasticsearch.io_manager import ElasticsearchIOManager
from wiz_dagster.elasticsearch.partition import EcsPartition
from wiz_dagster.errors import TransientError
from wiz_dagster.landing.document_file import DocumentFile
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.elasticsearch.partition_helpers import DAY, issue, issues, land, partition_of, stored, zone_at

NEXT_DAY = "2026-11-21"
DAYS = dg.StaticPartitionsDefinition([DAY, NEXT_DAY])


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespace: str) -> Path:
    monkeypatch.setenv("WIZ_LANDING_URL", str(tmp_path / "landing"))
    monkeypatch.setenv("WIZ_NAMESPACE", namespace)
    return tmp_path / "landing"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, elasticsearch_settings: ElasticsearchSettings) -> None:
    monkeypatch.setenv("ELASTICSEARCH_URL", elasticsearch_settings.url)


def _materialize(landing: Path, manager: dg.ConfigurableIOManager, **more: Any) -> dg.ExecuteInProcessResult:
    @dg.asset(key=["wiz", "issue"], partitions_def=DAYS)
    def issue_documents(context: dg.AssetExecutionContext) -> EcsPartition:
        return partition_of(zone_at(landing), context.partition_key)

    return dg.materialize([issue_documents], partition_key=DAY, resources={"io_manager": manager}, **more)


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("wiz__issue")
    return {name: value.value for name, value in event.metadata.items()}


def _read_back(manager: dg.ConfigurableIOManager, days: Iterable[str]) -> list[pd.DataFrame]:
    frames: list[pd.DataFrame] = []

    @dg.asset(ins={"documents": dg.AssetIn(["wiz", "issue"], partition_mapping=dg.AllPartitionMapping())})
    def reader(documents: Any) -> None:
        frames.extend(documents)

    source = dg.AssetSpec(["wiz", "issue"], partitions_def=dg.StaticPartitionsDefinition(list(days)))
    dg.materialize([reader, source], resources={"io_manager": manager})
    return frames


@pytest.mark.usefixtures("cluster")
def test_a_run_stores_the_documents_and_its_metadata_has_the_figures(
    elasticsearch: Elasticsearch, namespace: str, landing: Path
) -> None:
    land(zone_at(landing), issues(7))
    result = _materialize(landing, ElasticsearchIOManager())
    hits = stored(elasticsearch, namespace)
    assert {hit["_source"]["labels"]["dagster_run_id"] for hit in hits} == {result.run_id}
    metadata = _metadata(result)
    assert (metadata["dagster/partition_row_count"], metadata["es/created"], metadata["es/documents"]) == (7, 7, 7)
    assert metadata["es/duplicates"] == metadata["es/rejected"] == metadata["es/deleted"] == 0
    assert metadata["dagster/table_name"] == f"logs-wiz.issue-{namespace}"
    assert len(metadata["sample"].records) == 5
    assert metadata["sample"].records[0].data["event.id"] == "issue-0"
    assert "host 0" not in str(metadata["sample"])
    assert metadata["data"].endswith(f"/logs-wiz.issue-{namespace}/_search?q=labels.dagster_partition%3A%22{DAY}%22")
    assert _metadata(_materialize(landing, ElasticsearchIOManager()))["es/unchanged"] == 7


@pytest.mark.usefixtures("cluster", "elasticsearch")
def test_stored_partitions_come_back_as_frames(landing: Path) -> None:
    nodes = [*issues(3), issue(3, entitySnapshot={"id": "vm", "type": "BUCKET", "tags": {"team.name": "red"}})]
    land(zone_at(landing), nodes)
    _materialize(landing, ElasticsearchIOManager())
    (frame,) = _read_back(ElasticsearchIOManager(), [DAY, NEXT_DAY])
    assert frame.index.name == "_id"
    assert {str(kind) for kind in frame.dtypes} == {"object"}
    assert sorted(frame["event.id"]) == [f"issue-{number}" for number in range(4)]
    assert list(frame["event.category"]) == [["configuration"]] * 4
    assert sum(value is not None for value in frame["wiz.issue.entity_snapshot.tags"]) == 1


@pytest.mark.usefixtures("elasticsearch")
def test_without_an_address_the_run_fails_with_the_variable_and_is_not_retried(
    landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ELASTICSEARCH_URL", raising=False)
    land(zone_at(landing), issues(1))
    result = _materialize(landing, ElasticsearchIOManager(), raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data
    assert "ELASTICSEARCH_URL" in str(data.user_failure_data)
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def test_without_elasticsearch_the_same_documents_are_in_a_private_file(landing: Path, namespace: str) -> None:
    land(zone_at(landing), issues(7))
    metadata = _metadata(_materialize(landing, FilesIOManager()))
    file = landing / "documents" / namespace / "issue" / f"{DAY}.ndjson"
    documents = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [document["event"]["id"] for document in documents] == [f"issue-{number}" for number in range(7)]
    assert documents[0]["labels"]["dagster_partition"] == DAY
    assert (metadata["files/created"], metadata["dagster/partition_row_count"]) == (7, 7)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_is_up_to_date_stays_and_one_that_is_not_is_replaced(landing: Path, namespace: str) -> None:
    land(zone_at(landing), issues(3))
    _materialize(landing, FilesIOManager())
    file = landing / "documents" / namespace / "issue" / f"{DAY}.ndjson"
    before = file.read_bytes()
    metadata = _metadata(_materialize(landing, FilesIOManager()))
    assert (metadata["files/created"], metadata["files/unchanged"]) == (0, 3)
    assert file.read_bytes() == before
    land(zone_at(landing), [issue(1, 1, status="RESOLVED"), issue(3)])
    metadata = _metadata(_materialize(landing, FilesIOManager()))
    assert (metadata["files/created"], metadata["files/unchanged"], metadata["files/deleted"]) == (2, 2, 1)
    (frame,) = _read_back(FilesIOManager(), [DAY])
    assert dict(zip(frame["event.id"], frame["wiz.issue.status.value"], strict=True))["issue-1"] == "RESOLVED"
    file.unlink()
    assert _metadata(_materialize(landing, FilesIOManager()))["files/created"] == 4


def test_what_a_killed_write_left_beside_the_file_goes_with_the_next_one(landing: Path, namespace: str) -> None:
    land(zone_at(landing), issues(2))
    folder = landing / "documents" / namespace / "issue"
    folder.mkdir(parents=True)
    others = folder / f".{NEXT_DAY}.ndjson.tmp-1"
    for path in (folder / f".{DAY}.ndjson.tmp-1", others):
        path.write_bytes(b"half a docu")
    _materialize(landing, FilesIOManager())
    assert sorted(path.name for path in folder.iterdir()) == [others.name, f"{DAY}.ndjson"]


def test_a_day_landed_again_meanwhile_is_not_overwritten_by_what_it_was(landing: Path, namespace: str) -> None:
    zone = zone_at(landing)
    land(zone, issues(3))
    file = DocumentFile(str(landing), namespace, "issue", DAY)
    earlier = partition_of(zone)
    land(zone, [issue(1, 1, status="RESOLVED")])
    write_file(partition_of(zone), zone, file, namespace, "run-2")
    written = list(file.lines())
    with pytest.raises(TransientError, match="Another run landed"):
        write_file(earlier, zone, file, namespace, "run-1")
    assert list(file.lines()) == written
