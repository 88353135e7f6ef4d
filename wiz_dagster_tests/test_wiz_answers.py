"""What Wiz may answer, through whole runs over HTTP: what lands, how often Wiz is asked, and what the user reads.

The rows that most tests run through are in `wiz_answer_cases.py`.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from elasticsearch import Elasticsearch

from wiz_dagster.landing.store import open_store
from wiz_dagster.landing.zone import LandingZone
from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.tokens import Client, RateLimit
from wiz_dagster.sandbox.wiz.truth import nodes_of_day
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster.wiz import retries, transport
from wiz_dagster.wiz.rate_limit import SharedBudget
from wiz_dagster_tests.pipeline import (
    NOW,
    YESTERDAY,
    Pipeline,
    Run,
    documents_of,
    file_documents,
    small_tenant,
    wiz_environment,
)
from wiz_dagster_tests.wiz_answer_cases import (
    FOR_EVER,
    HEALING,
    HEALTHY,
    PERMANENT,
    QUOTED,
    TRANSIENT,
    Case,
    page,
    status,
)

TENANT = small_tenant()
AUDIT_IDS = sorted(node["id"] for node in nodes_of_day(TENANT, "audit", YESTERDAY))
PAGE = 40
"""Sixty nodes are two pages, walked one after the other: so the number of requests is known."""
TWICE = dg.RetryPolicy(max_retries=1, delay=0.01)


@pytest.fixture(scope="module")
def emulator() -> Iterator[WizEmulator]:
    with WizEmulator(TENANT) as wiz:
        yield wiz


@pytest.fixture
def wiz(emulator: WizEmulator) -> Iterator[WizEmulator]:
    yield emulator
    emulator.faults.clear()
    emulator.desk.clients = (Client(),)
    emulator.desk.lifetime, emulator.desk.rate_limit = 86_400.0, None


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own waits are too short to notice."""
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(retries, "LONGEST_SECONDS", 0.002)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the tenant's budget was told to make, none of which is made."""
    found: list[float] = []
    monkeypatch.setattr(SharedBudget, "pause", lambda _, seconds: found.append(seconds if seconds >= 0.1 else 0))
    return found


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> str:
    """A text that every access token holds."""
    numbers = iter(range(1_000_000))
    monkeypatch.setattr("wiz_dagster.sandbox.wiz.tokens.secrets.token_urlsafe", lambda _: f"tkn-{next(numbers):06}-x9")
    return "tkn-"


@pytest.fixture(scope="module")
def earlier(emulator: WizEmulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landing zone with what an earlier run found of the day: some of its entries."""
    home = tmp_path_factory.mktemp("earlier")
    run = pipeline(emulator, home).run("audit", config=FILTERED)
    assert 0 < run.ecs["files/documents"] < len(AUDIT_IDS)
    return home / "landing"


FILTERED = {"wiz__raw__audit": {"config": {"filters": {"status": ["SUCCESS"]}}}}


def pipeline(wiz: WizEmulator, home: Path, retry_policy: dg.RetryPolicy | None = None, **more: str) -> Pipeline:
    settings = {"WIZ_DESTINATION": "files", "WIZ_PAGE_SIZE": str(PAGE), **more}
    made = Pipeline({**wiz_environment(wiz, home), **settings})
    return replace(made, retry_policy=retry_policy) if retry_policy else made


@dataclass
class Asked:
    """The emulator's log from here on."""

    wiz: WizEmulator
    start: int = 0

    def __post_init__(self) -> None:
        self.start = len(self.wiz.requests)

    @property
    def counts(self) -> dict[str, int]:
        parts = [(one.root, one.status, one.code) for one in self.wiz.requests[self.start :]]
        return dict(Counter(" ".join(str(part) for part in some if part is not None) for some in parts))

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(one.variables["first"] for one in self.wiz.requests[self.start :] if "first" in one.variables)


def ids(some: list[dict[str, Any]]) -> list[str]:
    return sorted(one["event"]["id"] for one in some)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a reader may look at."""
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")
    }


def events(run: Run, made: Pipeline) -> str:
    return "\n".join(dg.serialize_value(entry) for entry in made.instance.all_logs(run.result.run_id))


def assert_tells_no_secrets(text: str, wiz: WizEmulator, *more: str) -> None:
    assert "RUN_FAILURE" in text or "PIPELINE_FAILURE" in text
    for secret in (wiz.client_secret, "Something went wrong", QUOTED, *AUDIT_IDS, *more):
        assert secret not in text


@pytest.mark.parametrize("case", HEALING, ids=lambda case: case.name)
def test_what_passes_changes_nothing_in_the_documents(
    wiz: WizEmulator, tmp_path: Path, pauses: list[float], case: Case
) -> None:
    wiz.faults.add(*case.faults)
    asked = Asked(wiz)
    run = pipeline(wiz, tmp_path).run("audit")
    assert run.success, run.errors
    assert ids(file_documents(tmp_path)) == AUDIT_IDS
    assert asked.counts == {**HEALTHY, **case.asked}
    assert run.raw["wiz/requests"] == sum(number for name, number in asked.counts.items() if "token" not in name)
    assert case.sizes in ((), asked.sizes)
    assert tuple(pauses) == case.pauses
    assert all(check.passed for check in run.checks.values() if check.check_name != "drift")


@pytest.mark.parametrize(
    "fault",
    [page("drip", seconds=0.2), page("latency", seconds=3)],
    ids=["an answer that drips beyond the deadline", "an answer that begins too late"],
)
def test_a_page_that_takes_too_long_is_asked_for_in_half(
    wiz: WizEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 1.5)
    wiz.faults.add(fault)
    asked = Asked(wiz)
    run = pipeline(wiz, tmp_path).run("audit")
    assert run.success, run.errors
    assert asked.sizes == (40, 20, 20, 20)
    assert ids(file_documents(tmp_path)) == AUDIT_IDS


@pytest.mark.parametrize("case", PERMANENT, ids=lambda case: case.name)
def test_what_a_person_has_to_mend_fails_at_once_and_says_how(
    wiz: WizEmulator, tmp_path: Path, earlier: Path, tokens: str, case: Case
) -> None:
    shutil.copytree(earlier, tmp_path / "landing")
    before = contents(tmp_path / "landing")
    made = pipeline(wiz, tmp_path, TWICE, **case.settings)
    wiz.faults.add(*case.faults)
    wiz.desk.clients = case.clients
    asked = Asked(wiz)
    run = made.run("audit")
    assert not run.success
    for text in case.says:
        assert text in run.errors
    assert asked.counts == case.asked
    assert contents(tmp_path / "landing") == before
    assert_tells_no_secrets(events(run, made), wiz, tokens, "hunter2", "sandbox-secret")


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("case", TRANSIENT, ids=lambda case: case.name)
def test_what_may_pass_but_lasts_fails_after_another_attempt_of_the_step(
    wiz: WizEmulator, tmp_path: Path, pauses: list[float], tokens: str, case: Case
) -> None:
    settings = {name: text.format(closed=closed_port()) for name, text in case.settings.items()}
    made = pipeline(wiz, tmp_path, TWICE, **settings)
    wiz.faults.add(*case.faults)
    asked = Asked(wiz)
    run = made.run("audit")
    assert not run.success
    assert "wiz_dagster.errors.TransientError" in run.errors
    for text in case.says:
        assert text in run.errors
    # Faults that leave the first page alone do so once: the step's second attempt meets them at once.
    spared = "auditLogEntries 200" if any(fault.skip for fault in case.faults) else None
    assert asked.counts == {name: 2 * count - (name == spared) for name, count in case.asked.items()}
    assert {Path(name).name for name in contents(tmp_path / "landing")} == {"tenant.json"}
    assert_tells_no_secrets(events(run, made), wiz, tokens, "vm-17")


@pytest.mark.parametrize("size", ["40", "5"], ids=["one walk", "parallel slices"])
def test_a_lasting_fault_in_the_middle_leaves_the_earlier_day_as_it_was(
    wiz: WizEmulator, tmp_path: Path, earlier: Path, size: str
) -> None:
    shutil.copytree(earlier, tmp_path / "landing")
    before = contents(tmp_path / "landing")
    wiz.faults.add(page("cut", skip=3 if size == "5" else 1, times=FOR_EVER))
    assert not pipeline(wiz, tmp_path, WIZ_PAGE_SIZE=size).run("audit").success
    assert contents(tmp_path / "landing") == before
    wiz.faults.clear()
    assert pipeline(wiz, tmp_path, WIZ_PAGE_SIZE=size).run("audit").success
    assert ids(file_documents(tmp_path)) == AUDIT_IDS


def test_a_fault_that_outlasts_the_client_is_healed_by_the_retry_policy(wiz: WizEmulator, tmp_path: Path) -> None:
    wiz.faults.add(status(502, times=8))
    asked = Asked(wiz)
    run = pipeline(wiz, tmp_path, TWICE).run("audit")
    assert run.success
    assert asked.counts == {"token 200": 2, "auditLogEntries 502 status": 8, "auditLogEntries 200": 2}
    assert ids(file_documents(tmp_path)) == AUDIT_IDS


def test_a_missing_scope_of_issues_is_named_too(wiz: WizEmulator, tmp_path: Path) -> None:
    wiz.desk.clients = (Client(scopes=frozenset({"admin:audit"})),)
    asked = Asked(wiz)
    run = pipeline(wiz, tmp_path, TWICE).run("issue")
    assert "give the service account the scope read:issues" in run.errors
    assert asked.counts == {"token 200": 1, "issuesV2 200 UNAUTHORIZED": 1}


def test_a_service_account_that_expires_during_the_walk_fails_with_nothing_landed(
    wiz: WizEmulator, tmp_path: Path
) -> None:
    wiz.faults.add(page("expire_tokens", skip=1), status(401, root="token", skip=1, times=FOR_EVER))
    asked = Asked(wiz)
    run = pipeline(wiz, tmp_path, TWICE).run("audit")
    assert "the service account hasn't expired" in run.errors
    assert asked.counts == {
        "token 200": 1,
        "auditLogEntries 200": 1,
        "auditLogEntries 200 UNAUTHENTICATED": 1,
        "token 401 status": 1,
    }
    assert {Path(name).name for name in contents(tmp_path / "landing")} == {"tenant.json"}


def test_null_nodes_are_dropped_and_counted(wiz: WizEmulator, tmp_path: Path) -> None:
    wiz.faults.add(page("null_nodes", count=3), page("null_nodes", count=2, skip=1))
    run = pipeline(wiz, tmp_path).run("audit")
    assert run.success
    assert ids(file_documents(tmp_path)) == AUDIT_IDS
    assert run.raw["wiz/null_nodes"] == 5
    assert run.checks["wiz_count"].metadata["null_nodes"].value == 5


@pytest.mark.parametrize(
    ("total", "passes", "warned"),
    [(10, True, ""), (0, True, ""), (75, False, "15 nodes that Wiz counted did not come")],
    ids=["a floor", "none", "too high"],
)
def test_wizs_own_count_is_no_proof_and_fails_no_run(
    wiz: WizEmulator, tmp_path: Path, total: int, passes: bool, warned: str
) -> None:
    wiz.faults.add(page("wrong_total", count=total, times=FOR_EVER))
    run = pipeline(wiz, tmp_path).run("audit")
    check = run.checks["wiz_count"]
    assert run.success
    assert ids(file_documents(tmp_path)) == AUDIT_IDS
    assert (check.passed, check.severity) == (passes, dg.AssetCheckSeverity.WARN)
    assert warned in (check.description or "")
    assert check.metadata["wiz_count"].value == total
    assert ("warnings" in run.raw) is not passes


def test_a_key_that_is_absent_stays_apart_from_one_that_is_null(tmp_path: Path) -> None:
    moment = f"{YESTERDAY}T12:00:00Z"
    nodes = [
        {"id": "absent", "timestamp": moment, "action": "Login"},
        {"id": "null", "timestamp": moment, "action": "Login", "sourceIP": None, "performer": None},
    ]
    with WizEmulator(Tenant(now=NOW, days=3, given={"audit": nodes})) as wiz:
        run = pipeline(wiz, tmp_path).run("audit")
    assert run.success
    day = LandingZone(open_store(str(tmp_path / "landing")), None).day("audit", YESTERDAY)
    landed = {node["id"]: node for batch in day.batches() for node in map(json.loads, batch.lines)}
    assert "sourceIP" not in landed["absent"]
    assert landed["null"]["sourceIP"] is None
    assert [one["event"]["id"] for one in file_documents(tmp_path)] == ["absent", "null"]


def test_tokens_that_live_for_seconds_are_renewed_before_they_end(wiz: WizEmulator, tmp_path: Path) -> None:
    wiz.desk.lifetime = 2.0
    wiz.faults.add(page("latency", seconds=1.1))
    asked = Asked(wiz)
    run = pipeline(wiz, tmp_path).run("audit")
    assert run.success, run.errors
    assert asked.counts == {"token 200": 2, "auditLogEntries 200": 2}


def test_a_tenants_own_rate_limit_only_slows_the_run(
    wiz: WizEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(retries, "LONGEST_SECONDS", 0.4)
    wiz.desk.rate_limit = RateLimit(per_second=40, burst=1, in_body=True)
    asked = Asked(wiz)
    run = pipeline(wiz, tmp_path, WIZ_PAGE_SIZE="10", WIZ_REQUESTS_PER_SECOND="100").run("audit")
    assert run.success, run.errors
    assert asked.counts["auditLogEntries 200 rate_limit"] > 0
    assert ids(file_documents(tmp_path)) == AUDIT_IDS


@pytest.mark.parametrize("dataset", ["audit", "issue"])
def test_elasticsearch_holds_the_day_whatever_wiz_answers(
    wiz: WizEmulator,
    tmp_path: Path,
    elasticsearch: Elasticsearch,
    elasticsearch_settings: ElasticsearchSettings,
    namespace: str,
    dataset: str,
) -> None:
    root = {"audit": "auditLogEntries", "issue": "issuesV2"}[dataset]
    there = {"WIZ_DESTINATION": "elasticsearch", "ELASTICSEARCH_URL": elasticsearch_settings.url}
    made = pipeline(wiz, tmp_path, **there, WIZ_NAMESPACE=namespace, WIZ_PAGE_SIZE="15")
    kinds = ("expire_tokens", "empty_page", "null_nodes", "errors_beside_data", "cut", "null_page", "no_page_info")
    wiz.faults.add(*(Fault(kind, root=root, skip=skip) for skip, kind in enumerate(kinds)))
    run = made.run(dataset)
    assert run.success, run.errors
    stored = {hit["_id"]: hit["_source"] for hit in documents_of(elasticsearch, dataset, namespace)}
    found = Counter(document["event"]["id"] for document in stored.values())
    assert found == Counter(node["id"] for node in nodes_of_day(TENANT, dataset, YESTERDAY))

    wiz.faults.clear()
    wiz.faults.add(Fault("errors_beside_data", root=root, skip=2, times=FOR_EVER))
    assert not made.run(dataset).success
    assert {hit["_id"]: hit["_source"] for hit in documents_of(elasticsearch, dataset, namespace)} == stored
