import time
from typing import Any

import pytest
import requests

from wiz_dagster.errors import SettingsError
from wiz_dagster.sandbox.wiz.faults import KINDS, Fault
from wiz_dagster.sandbox.wiz.tokens import Client, RateLimit

from .conftest import AUDIT, ISSUES, Start


@pytest.mark.parametrize("changes", [
    {"client_secret": "wrong"}, {"client_id": "wrong"}, {"audience": "wrong"}, {"grant_type": "password"},
])  # fmt: skip
def test_a_token_needs_the_right_client_secret_audience_and_grant(start: Start, changes: dict[str, str]) -> None:
    answer = start().ask_token(**changes)
    assert answer.status_code in (400, 401, 403)
    assert "access_token" not in answer.json()


def test_a_token_has_wizs_shape(start: Start) -> None:
    answer = start(token_lifetime=600).ask_token().json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 600


def test_a_missing_or_expired_token_is_unauthenticated(start: Start) -> None:
    caller = start(token_lifetime=0)
    assert caller.error(AUDIT)[0] == "UNAUTHENTICATED"
    caller.emulator.desk.lifetime = 600
    caller.token = "invented"
    assert caller.error(AUDIT)[0] == "UNAUTHENTICATED"
    caller.token = ""
    assert caller.data(AUDIT, first=1)["nodes"]


def test_a_missing_scope_is_unauthorized_and_named(start: Start) -> None:
    caller = start(clients=(Client(scopes=frozenset({"read:issues"})),))
    assert caller.data(ISSUES, first=1)["nodes"]
    code, message = caller.error(AUDIT)
    assert code == "UNAUTHORIZED"
    assert "admin:audit" in message


def test_tokens_expire_in_the_middle_of_a_walk(start: Start) -> None:
    caller = start(faults=[Fault("expire_tokens", skip=1)])
    cursor = caller.data(AUDIT, first=5)["pageInfo"]["endCursor"]
    assert caller.error(AUDIT, first=5, after=cursor)[0] == "UNAUTHENTICATED"
    caller.token = ""
    assert caller.data(AUDIT, first=5, after=cursor)["nodes"]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_a_gateway_answers_with_html(start: Start, status: int) -> None:
    caller = start(faults=[Fault("status", status=status, retry_after="7")])
    answer = caller.post(AUDIT)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["retry-after"] == "7"
    assert caller.post(AUDIT).status_code == 200
    assert [(one.status, one.code) for one in caller.emulator.requests[1:]] == [(status, "status"), (200, None)]


def test_a_429_may_come_without_retry_after(start: Start) -> None:
    assert "retry-after" not in start(faults=[Fault("status", status=429)]).post(AUDIT).headers


@pytest.mark.parametrize("code", [
    "UNAUTHENTICATED", "UNAUTHORIZED", "FORBIDDEN_IP", "BAD_USER_INPUT", "RATE_LIMIT_EXCEEDED", "INTERNAL", "NEW_WORD",
])  # fmt: skip
def test_an_error_comes_inside_http_200(start: Start, code: str) -> None:
    caller = start(faults=[Fault("error", code=code, message="told to")])
    assert caller.error(AUDIT) == (code, "told to")
    assert caller.data(AUDIT, first=1)["nodes"]


def test_an_error_may_say_when_to_come_again(start: Start) -> None:
    caller = start(faults=[Fault("error", code="RATE_LIMIT_EXCEEDED", retry_after="3")])
    (error,) = caller.post(AUDIT).json()["errors"]
    assert error["extensions"]["retryAfter"] == "3"


def test_a_total_may_be_wrong(start: Start) -> None:
    caller = start(faults=[Fault("wrong_total", count=7)])
    assert caller.data(AUDIT, first=10)["totalCount"] == 7
    assert len(caller.data(AUDIT, first=10)["nodes"]) == 10


def test_errors_come_beside_a_whole_page(start: Start) -> None:
    answer = start(faults=[Fault("errors_beside_data", code="INTERNAL")]).post(AUDIT, first=3).json()
    assert len(answer["data"]["auditLogEntries"]["nodes"]) == 3
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"


def test_a_connection_is_cut_in_the_middle_of_the_body(start: Start) -> None:
    caller = start(faults=[Fault("cut")])
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        caller.post(AUDIT)
    assert caller.post(AUDIT).status_code == 200


def test_a_body_drips(start: Start) -> None:
    caller = start(faults=[Fault("drip", seconds=0.01)])
    assert len(caller.data(AUDIT, first=50)["nodes"]) == 50
    assert caller.emulator.faults.listing()[0]["struck"] == 1


def test_an_answer_comes_too_late_for_an_impatient_client(start: Start) -> None:
    caller = start(faults=[Fault("latency", root="token", seconds=60)])
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(caller.emulator.token_url, data={}, timeout=0.2)
    assert caller.data(AUDIT, first=1)["nodes"]


def test_an_answer_that_is_not_json(start: Start) -> None:
    answer = start(faults=[Fault("not_json")]).post(AUDIT)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_empty_pages_lose_nothing(start: Start) -> None:
    caller = start(faults=[Fault("empty_page", every=2, times=3)])
    found = [node["id"] for node in caller.walk(AUDIT, first=200)]
    assert len(found) == len(set(found)) == caller.data(AUDIT, first=0)["totalCount"]
    caller.emulator.faults.add(Fault("empty_page", times=2))
    first = caller.data(AUDIT, first=5)
    second = caller.data(AUDIT, first=5, after=first["pageInfo"]["endCursor"])
    assert first["nodes"] == second["nodes"] == []
    assert first["pageInfo"]["endCursor"] != second["pageInfo"]["endCursor"]


def test_pages_break_in_the_ways_that_broke_other_clients(start: Start) -> None:
    caller = start()
    cursor = caller.data(AUDIT, first=5)["pageInfo"]["endCursor"]
    kinds = ("repeated_cursor", "empty_cursor", "no_page_info", "null_page")
    seen: dict[str, Any] = {}
    for kind in kinds:
        caller.emulator.faults.add(Fault(kind))
        seen[kind] = caller.data(AUDIT, first=5, after=cursor)
    assert seen["repeated_cursor"]["pageInfo"] == {"hasNextPage": True, "endCursor": cursor}
    assert seen["empty_cursor"]["pageInfo"] == {"hasNextPage": True, "endCursor": ""}
    assert "pageInfo" not in seen["no_page_info"]
    assert seen["null_page"]["nodes"] is None
    caller.emulator.faults.add(Fault("null_nodes", count=2))
    nodes = caller.data(AUDIT, first=5, after=cursor)["nodes"]
    assert nodes.count(None) == 2
    assert len(nodes) == 7


def test_a_repeated_cursor_waits_for_a_request_with_a_cursor(start: Start) -> None:
    caller = start(faults=[Fault("repeated_cursor")])
    cursor = caller.data(AUDIT, first=5)["pageInfo"]["endCursor"]
    assert caller.data(AUDIT, first=5, after=cursor)["pageInfo"]["endCursor"] == cursor


def test_faults_strike_the_root_and_request_they_are_meant_for(start: Start) -> None:
    caller = start(
        faults=[Fault("status", root="issuesV2", every=3, times=2), Fault("status", root="token", status=500)]
    )
    assert caller.ask_token().status_code == 500
    assert [caller.post(AUDIT).status_code for _ in range(4)] == [200] * 4
    assert [caller.post(ISSUES).status_code for _ in range(10)] == [200, 200, 503, 200, 200, 503, 200, 200, 200, 200]


def test_a_token_bucket_limits_a_client(start: Start) -> None:
    caller = start(rate_limit=RateLimit(per_second=0.01, burst=2))
    assert [caller.post(AUDIT, first=1).status_code for _ in range(3)] == [200, 200, 429]
    assert int(caller.post(AUDIT).headers["retry-after"]) >= 1
    caller.emulator.desk.rate_limit = RateLimit(per_second=0.01, burst=2, in_body=True)
    assert caller.error(AUDIT)[0] == "RATE_LIMIT_EXCEEDED"
    caller.emulator.desk.rate_limit = RateLimit(per_second=1000, burst=2, retry_after=False)
    time.sleep(0.01)
    assert caller.data(AUDIT, first=1)["nodes"]


def test_faults_are_set_over_http_too(start: Start) -> None:
    caller = start()
    control = caller.emulator.url + "/control/faults"
    answer = requests.post(control, json=[{"kind": "status", "status": 502, "times": None}], timeout=20).json()
    assert (answer[0]["kind"], answer[0]["struck"]) == ("status", 0)
    assert [caller.post(AUDIT).status_code for _ in range(2)] == [502, 502]
    assert requests.get(control, timeout=20).json()[0]["struck"] == 2
    assert requests.delete(control, timeout=20).json() == []
    assert caller.post(AUDIT).status_code == 200
    for bad in (
        [{"kind": "nonsense"}],
        [{"status": 1}],
        [{"kind": "cut", "odd": 1}],
        [{"kind": "cut", "every": "x"}],
        7,
    ):
        assert requests.post(control, json=bad, timeout=20).status_code == 400


def test_every_kind_is_known_and_no_other() -> None:
    assert all(Fault(kind).kind == kind for kind in KINDS)
    for wrong in ({"kind": "nonsense"}, {"kind": "cut", "every": 0}, {"kind": "cut", "times": 0}):
        with pytest.raises(SettingsError):
            Fault(**wrong)
