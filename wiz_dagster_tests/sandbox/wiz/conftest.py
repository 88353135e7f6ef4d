from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant

NOW = datetime(2026, 3, 5, 13, 30, tzinfo=UTC)

ISSUES = """
query Issues($first: Int, $after: String, $filterBy: IssueFilters, $orderBy: IssueOrder, $withCount: Boolean = false) {
  issuesV2(first: $first, after: $after, filterBy: $filterBy, orderBy: $orderBy) {
    nodes { id status severity type createdAt statusChangedAt updatedAt projects { id slug } }
    pageInfo { hasNextPage endCursor }
    totalCount @include(if: $withCount)
  }
}
"""
AUDIT = """
query Audit($first: Int, $after: String, $filterBy: AuditLogEntryFilters) {
  auditLogEntries(first: $first, after: $after, filterBy: $filterBy) {
    nodes { id timestamp status action user { id } serviceAccount { id } }
    pageInfo { hasNextPage endCursor }
    totalCount
  }
}
"""


@dataclass
class Caller:
    """A client without any cleverness: no retries, no refresh."""

    emulator: WizEmulator
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def ask_token(self, **changes: str) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.emulator.client_id,
            "client_secret": self.emulator.client_secret,
            "audience": self.emulator.audience,
        }
        return self.session.post(self.emulator.token_url, data=form | changes, timeout=20)

    def post(self, query: str, **variables: Any) -> requests.Response:
        if not self.token:
            self.token = self.ask_token().json()["access_token"]
        headers = {"Authorization": f"Bearer {self.token}"}
        body = {"query": query, "variables": variables}
        return self.session.post(self.emulator.api_url, json=body, headers=headers, timeout=20)

    def data(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.post(query, **variables).json()
        assert "errors" not in answer, answer["errors"]
        connection: dict[str, Any]
        (connection,) = answer["data"].values()
        return connection

    def error(self, query: str, **variables: Any) -> tuple[str, str]:
        answer = self.post(query, **variables).json()
        assert answer["data"] is None
        return answer["errors"][0]["extensions"]["code"], answer["errors"][0]["message"]

    def walk(self, query: str, first: int = 500, **variables: Any) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = []
        after = None
        while True:
            page = self.data(query, first=first, after=after, **variables)
            nodes += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return nodes


Start = Callable[..., Caller]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts emulators that stop when the test ends."""
    running: list[WizEmulator] = []

    def begin(tenant: Tenant | None = None, **options: Any) -> Caller:
        tenant = tenant or Tenant(now=NOW, days=4, volumes={"audit": 300, "issue": 400})
        emulator = WizEmulator(tenant, **options)
        emulator.__enter__()
        running.append(emulator)
        return Caller(emulator)

    yield begin
    for emulator in running:
        emulator.__exit__(None, None, None)
