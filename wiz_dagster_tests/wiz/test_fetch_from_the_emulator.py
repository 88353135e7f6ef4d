"""The fetch against the sandbox's emulator, held against what the generated tenant truly holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.tokens import RateLimit
from wiz_dagster.sandbox.wiz.truth import nodes_of_window
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.fetch import FetchReport, fetch_window
from wiz_dagster.wiz.rate_limit import open_budget
from wiz_dagster.wiz.windows import Window

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
DAY = Window(datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC))
TODAY = Window(datetime(2026, 3, 10, tzinfo=UTC), NOW - timedelta(seconds=30))


@dataclass(frozen=True)
class By:
    filter_field: str


@dataclass(frozen=True)
class Spec:
    name: str
    root: str
    scope: str
    filters: str
    window_fields: tuple[str, ...]

    @property
    def walks(self) -> tuple[By, ...]:
        return tuple(By(name) for name in self.window_fields)

    def query(self) -> str:
        return (
            f"query ($first: Int, $after: String, $filterBy: {self.filters}, $withCount: Boolean!) {{"
            f" {self.root}(first: $first, after: $after, filterBy: $filterBy) {{"
            f" nodes {{ id {' '.join(self.window_fields)} }} pageInfo {{ hasNextPage endCursor }}"
            f" totalCount @include(if: $withCount) }} }}"
        )


AUDIT = Spec("audit", "auditLogEntries", "admin:audit", "AuditLogEntryFilters", ("timestamp",))
ISSUE = Spec("issue", "issuesV2", "read:issues", "IssueFilters", ("statusChangedAt", "createdAt"))


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return Tenant(now=NOW, days=5, volumes={"audit": 360, "issue": 300})


@contextmanager
def client_of(emulator: WizEmulator, folder: Path, rate: float = 10_000) -> Iterator[WizClient]:
    settings = WizSettings(
        client_id=emulator.client_id,
        client_secret=emulator.client_secret,
        api_url=emulator.api_url,
        token_url=emulator.token_url,
        audience=emulator.audience,
        requests_per_second=rate,
        rate_limit_url=str(folder),
    )
    with WizClient(settings, open_budget(settings)) as client:
        yield client


def fetched(client: WizClient, spec: Spec, window: Window = DAY, size: int = 50) -> tuple[list[str], FetchReport]:
    fetch = fetch_window(client, spec, window, filters={}, page_size=size)
    return sorted({node["id"] for batch in fetch for node in batch}), fetch.report


def truth(tenant: Tenant, spec: Spec, window: Window = DAY) -> list[str]:
    return sorted(node["id"] for node in nodes_of_window(tenant, spec.name, window.start, window.end))


@pytest.mark.parametrize("spec", [AUDIT, ISSUE], ids=lambda spec: spec.name)
@pytest.mark.parametrize("window", [DAY, TODAY], ids=["past day", "today"])
@pytest.mark.parametrize("size", [50, 500])
def test_a_window_is_what_the_tenant_holds(
    tenant: Tenant, tmp_path: Path, spec: Spec, window: Window, size: int
) -> None:
    with WizEmulator(tenant) as emulator, client_of(emulator, tmp_path) as client:
        ids, report = fetched(client, spec, window, size)
    assert ids == truth(tenant, spec, window)
    assert ids
    assert report.warnings == []
    assert report.requests == report.pages


HEALING: list[tuple[str, list[Fault]]] = [
    ("429 with Retry-After", [Fault("status", status=429, retry_after="0", every=7, times=4)]),
    ("429 without", [Fault("status", status=429, every=7, times=4)]),
    ("502, 503, 504", [Fault("status", status=status, skip=2, every=5, times=3) for status in (502, 503, 504)]),
    ("cut connections", [Fault("cut", every=4, times=6)]),
    ("not JSON", [Fault("not_json", every=5, times=3)]),
    (
        "errors inside 200",
        [Fault("error", code=code, every=6, times=3) for code in ("INTERNAL", "RATE_LIMIT_EXCEEDED")],
    ),
    ("errors beside data", [Fault("errors_beside_data", every=6, times=3)]),
    ("expired tokens", [Fault("expire_tokens", skip=skip) for skip in (4, 40)]),
    ("empty pages", [Fault("empty_page", every=3, times=8)]),
    ("a repeated cursor once", [Fault("repeated_cursor", times=1)]),
    ("an empty cursor once", [Fault("empty_cursor", times=1)]),
    ("no pageInfo once", [Fault("no_page_info", times=1)]),
    ("null nodes list once", [Fault("null_page", times=1)]),
    ("null nodes", [Fault("null_nodes", count=3, every=4, times=3)]),
    ("token endpoint down", [Fault("status", root="token", status=503, times=2)]),
]


@pytest.mark.parametrize("faults", [faults for _, faults in HEALING], ids=[name for name, _ in HEALING])
def test_what_goes_wrong_and_passes_changes_nothing(tenant: Tenant, tmp_path: Path, faults: list[Fault]) -> None:
    with WizEmulator(tenant, faults=faults) as emulator, client_of(emulator, tmp_path) as client:
        ids, report = fetched(client, AUDIT, size=10)
        struck = [listed["struck"] for listed in emulator.faults.listing()]
    assert all(struck)
    assert ids == truth(tenant, AUDIT)
    assert report.null_nodes == sum(
        fault.count * fault.times for fault in faults if fault.kind == "null_nodes" if fault.times
    )


LASTING: list[tuple[Fault, type[Exception], str]] = [
    (Fault("status", status=503, times=None), TransientError, "HTTP 503"),
    (Fault("status", status=403, times=None), PermanentError, "admin:audit"),
    (Fault("error", code="UNAUTHORIZED", times=None), PermanentError, "admin:audit"),
    (Fault("error", code="FORBIDDEN_IP", times=None), PermanentError, "IP address"),
    (Fault("error", code="BAD_USER_INPUT", message="bad filter", times=None), PermanentError, "bad filter"),
    (Fault("error", code="UNAUTHENTICATED", times=None), PermanentError, "WIZ_AUDIENCE"),
    (Fault("repeated_cursor", times=None), TransientError, "a cursor came twice"),
    (Fault("empty_cursor", times=None), TransientError, "without a cursor"),
    (Fault("empty_page", times=None, skip=1), TransientError, "empty pages in a row"),
    (Fault("status", root="token", status=503, times=None), TransientError, "WIZ_TOKEN_URL"),
]


@pytest.mark.parametrize(("fault", "kind", "said"), LASTING, ids=[f"{fault.kind} {said}" for fault, _, said in LASTING])
def test_what_stays_wrong_fails_and_says_so(
    tenant: Tenant, tmp_path: Path, fault: Fault, kind: type[Exception], said: str
) -> None:
    with (
        WizEmulator(tenant, faults=[fault]) as emulator,
        client_of(emulator, tmp_path) as client,
        pytest.raises(kind, match=said),
    ):
        fetched(client, AUDIT, size=10)


def test_a_query_that_wiz_does_not_know_fails_at_once(tenant: Tenant, tmp_path: Path) -> None:
    with WizEmulator(tenant) as emulator, client_of(emulator, tmp_path) as client:
        with pytest.raises(PermanentError, match="refuses the query"):
            client.execute("query { auditLogEntries { nodes { noSuchField } } }", {})
        assert client.requests == 1


def test_a_rate_limit_below_the_budget_only_slows_the_fetch(tenant: Tenant, tmp_path: Path) -> None:
    limit = RateLimit(per_second=40, burst=5)
    with WizEmulator(tenant, rate_limit=limit) as emulator, client_of(emulator, tmp_path, 60) as client:
        ids, _ = fetched(client, AUDIT)
    assert ids == truth(tenant, AUDIT)
