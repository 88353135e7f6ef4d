import gzip
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz import transport
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.rate_limit import Sleep, open_budget
from wiz_dagster_tests.wiz.scripted_wiz import Reply, ScriptedWiz, error, page

QUERY = "query ($first: Int) { things(first: $first) { nodes { id } } }"
GOOD = page([{"id": "a"}])
SECRET = "A-FINDING-THAT-NO-LOG-MAY-HOLD"


class NotedBudget:
    def __init__(self) -> None:
        self.acquired = 0
        self.pauses: list[float] = []

    def acquire(self, sleep: Sleep) -> None:
        self.acquired += 1

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def ask(client: WizClient, first: int = 500) -> dict[str, Any]:
    return client.execute(QUERY, {"first": first}, scope="read:things")


def permanent(client: WizClient) -> str:
    with pytest.raises(PermanentError) as caught:
        ask(client)
    return str(caught.value)


def transient(client: WizClient) -> str:
    with pytest.raises(TransientError) as caught:
        ask(client)
    return str(caught.value)


def test_data_comes_back_as_wiz_sent_it(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(GOOD)
    assert ask(client) == {"things": {"nodes": [{"id": "a"}], "pageInfo": {"hasNextPage": False, "endCursor": None}}}
    assert client.requests == 1
    assert client.bytes == len(GOOD.content())


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb'"a \ud800 b"', "a ? b"),
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (b"1e999", "1e999"),
        (b"1" + b"0" * 400, "1" + "0" * 400),
    ],
    ids=["half a surrogate pair", "a whole pair", "more than a double holds", "a whole number beyond that"],
)
def test_json_that_the_fast_parser_refuses_is_read_too(
    wiz: ScriptedWiz, client: WizClient, sent: bytes, read: str
) -> None:
    wiz.replies.append(Reply(b'{"data": {"things": {"nodes": [{"name": %b}]}}}' % sent))
    assert ask(client) == {"things": {"nodes": [{"name": read}]}}


@pytest.mark.parametrize("sent", [b"\xed\xa0\x80", b"\xff"])
def test_bad_utf_8_is_no_json(wiz: ScriptedWiz, client: WizClient, sent: bytes) -> None:
    wiz.replies.extend([Reply(b'{"data": {"things": "%b"}}' % sent)] * 10)
    assert "JSON" in transient(client)


def test_a_request_names_the_product_and_uses_only_the_standard_authorization(
    wiz: ScriptedWiz, client: WizClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    wiz.replies.append(GOOD)
    ask(client)
    assert wiz.headers[0]["User-Agent"].startswith("wiz-dagster/")
    assert wiz.headers[0]["Authorization"] == "Bearer token-1"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (error("UNAUTHORIZED"), "read:things"),
        (error("FORBIDDEN_IP"), "IP address"),
        (error("BAD_USER_INPUT", "Unknown field\n  'foo'"), "Unknown field 'foo'"),
        (error(None, "Unknown type Foo", status=400), "Unknown type Foo"),
        (Reply(b"<html>", 400), "HTTP 400"),
        (Reply(b"<html>", 403), "read:things"),
        (Reply(b"<html>", 404), "WIZ_API_URL"),
        (Reply(b"", 302, {"Location": "/login"}), "WIZ_API_URL"),
        (Reply(b"<html>", 413), "HTTP 413"),
    ],
)
def test_what_cannot_pass_fails_at_once_and_says_what_to_do(
    wiz: ScriptedWiz, client: WizClient, reply: Reply, said: str
) -> None:
    wiz.replies.append(reply)
    assert said in permanent(client)
    assert client.requests == 1


def test_a_long_reason_of_wiz_is_cut(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(error("BAD_USER_INPUT", "x" * 5000))
    assert len(permanent(client)) < 400


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>", 429),
        error("RATE_LIMIT_EXCEEDED"),
        error(None, "Rate limit exceeded, slow down"),
        error("RATE_LIMIT_EXCEEDED", status=429),
        Reply(b"<html>", 502),
        Reply(b"", 503),
        Reply(b"", 504),
        Reply({"data": None}, 500),
        error("INTERNAL"),
        error("INTERNAL", data={"things": {"nodes": []}}),
        error("SOMETHING_NEW"),
        error(None),
        Reply({"errors": "oops", "data": None}),
        Reply({"data": None}),
        Reply(b"<html>"),
        Reply(b"null"),
        Reply(b"[]"),
        Reply(b'{"data": {"things": "\xff"}}'),
        Reply(b'{"data": {"things": NaN}}'),
        Reply(GOOD.content(), cut=True),
    ],
)
def test_what_may_pass_is_tried_again(wiz: ScriptedWiz, client: WizClient, reply: Reply) -> None:
    wiz.replies.extend([reply, reply, GOOD])
    assert ask(client)["things"]["nodes"] == [{"id": "a"}]
    assert client.requests == 3


@pytest.mark.parametrize(
    ("reply", "attempts"), [(Reply(b"", 503), 8), (error("SOMETHING_NEW"), 3), (Reply(b"<html>"), 3)]
)
def test_attempts_are_bounded(wiz: ScriptedWiz, client: WizClient, reply: Reply, attempts: int) -> None:
    wiz.replies.extend([reply] * 20)
    assert f"Gave up after {attempts} attempts." in transient(client)
    assert client.requests == attempts


def test_connections_are_kept_open(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend([GOOD, Reply(b"", 503), GOOD, GOOD])
    for _ in range(3):
        ask(client)
    assert len(set(wiz.peers[1:])) == 1


@pytest.mark.parametrize("retry_after", ["7", "7.0"])
def test_retry_after_in_seconds_pauses_the_whole_tenant(
    wiz: ScriptedWiz, settings: WizSettings, retry_after: str
) -> None:
    budget = NotedBudget()
    wiz.replies.extend([error("RATE_LIMIT_EXCEEDED", status=429, Retry_After=retry_after), GOOD])
    ask(WizClient(settings, budget))
    assert budget.pauses == [7.0]
    assert budget.acquired == 2


def test_retry_after_as_a_date_pauses_the_whole_tenant(wiz: ScriptedWiz, settings: WizSettings) -> None:
    budget = NotedBudget()
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    wiz.replies.extend([Reply(b"", 429, {"Retry-After": when}), GOOD])
    ask(WizClient(settings, budget))
    assert 50 < budget.pauses[0] <= 60


@pytest.mark.parametrize("retry_after", [None, "soon", "Thu, 99 Foo 2026"])
def test_a_rate_limit_without_a_readable_retry_after_pauses_all_the_same(
    wiz: ScriptedWiz, settings: WizSettings, retry_after: str | None
) -> None:
    budget = NotedBudget()
    wiz.replies.extend([Reply(b"", 429, {"Retry-After": retry_after} if retry_after else {}), GOOD])
    ask(WizClient(settings, budget))
    assert len(budget.pauses) == 1


def test_a_retry_after_of_hours_is_cut(wiz: ScriptedWiz, settings: WizSettings) -> None:
    budget = NotedBudget()
    wiz.replies.extend([Reply(b"", 429, {"Retry-After": "86400"}), GOOD])
    ask(WizClient(settings, budget))
    assert budget.pauses == [300.0]


@pytest.mark.parametrize("drip", [0.02, 30])
def test_a_slow_page_is_asked_for_in_half_and_stays_small(
    wiz: ScriptedWiz, client: WizClient, monkeypatch: pytest.MonkeyPatch, drip: float
) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.15)
    wiz.replies.extend([Reply(GOOD.content(), drip=drip), Reply(b"", 504), GOOD])
    variables: dict[str, Any] = {"first": 500}
    client.execute(QUERY, variables)
    assert [asked["first"] for asked in wiz.asked] == [500, 250, 125]
    assert variables["first"] == 125


def test_a_page_never_becomes_smaller_than_ten(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend([Reply(b"", 504)] * 8)
    transient(client)
    assert [asked["first"] for asked in wiz.asked] == [500, 250, 125, 62, 31, 15, 10, 10]


def test_a_single_internal_error_leaves_the_page_size_alone(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend([error("INTERNAL"), error("INTERNAL"), GOOD])
    ask(client)
    assert [asked["first"] for asked in wiz.asked] == [500, 500, 250]


@pytest.mark.parametrize("reply", [error("UNAUTHENTICATED"), Reply(b"", 401)])
def test_a_token_that_wiz_refuses_is_renewed_once(wiz: ScriptedWiz, client: WizClient, reply: Reply) -> None:
    wiz.replies.extend([reply, GOOD])
    ask(client)
    assert [headers["Authorization"] for headers in wiz.headers] == ["Bearer token-1", "Bearer token-2"]


def test_a_fresh_token_that_wiz_refuses_fails(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.extend([error("UNAUTHENTICATED")] * 5)
    message = permanent(client)
    assert "WIZ_AUDIENCE" in message
    assert client.requests == 2


def test_an_unreachable_host_is_named_by_its_setting(settings: WizSettings, wiz: ScriptedWiz) -> None:
    dead = settings.model_copy(update={"api_url": "http://127.0.0.1:9/graphql"})
    assert "WIZ_API_URL" in transient(WizClient(dead, NotedBudget()))


def test_a_dead_proxy_is_named_by_its_setting(settings: WizSettings, wiz: ScriptedWiz) -> None:
    dead = settings.model_copy(update={"api_url": "http://wiz.invalid/graphql", "proxy_url": "http://127.0.0.1:9"})
    client = WizClient(dead, NotedBudget())
    message = transient(client)
    assert "WIZ_PROXY_URL" in message


def test_token_and_queries_go_through_the_proxy_of_the_settings(wiz: ScriptedWiz, settings: WizSettings) -> None:
    addresses = {"api_url": "http://wiz.invalid/graphql", "token_url": "http://wiz.invalid/token"}
    wiz.replies.append(GOOD)
    ask(WizClient(settings.model_copy(update={**addresses, "proxy_url": wiz.url}), NotedBudget()))
    assert len(wiz.token_forms) == 1
    assert wiz.headers[0]["Host"] == "wiz.invalid"


def test_a_proxy_of_the_environment_is_not_used(
    wiz: ScriptedWiz, client: WizClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    wiz.replies.append(GOOD)
    assert ask(client)


def test_a_compressed_answer_is_read(wiz: ScriptedWiz, client: WizClient) -> None:
    wiz.replies.append(Reply(gzip.compress(GOOD.content()), headers={"Content-Encoding": "gzip"}))
    assert ask(client)["things"]["nodes"] == [{"id": "a"}]
    assert client.bytes == len(GOOD.content())


@pytest.mark.parametrize(
    "reply",
    [
        Reply(f"<html>{SECRET}</html>".encode(), 200, {"Content-Type": "text/html"}),
        Reply(f'{{"data": "{SECRET}"'.encode()),
        error("INTERNAL", SECRET, data={"things": SECRET}),
        error(SECRET + " with spaces and {braces}", SECRET),
        Reply(SECRET.encode(), 502),
    ],
)
def test_no_error_and_no_log_holds_an_answer(
    wiz: ScriptedWiz, client: WizClient, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    caplog.set_level("DEBUG")
    wiz.replies.extend([reply] * 8 + [Reply({"data": {"things": SECRET}})])
    with pytest.raises(TransientError) as caught:
        ask(client)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    wiz.replies.clear()
    wiz.replies.append(Reply({"data": {"things": SECRET}}))
    ask(client)
    assert SECRET not in caplog.text
    assert "the-secret" not in caplog.text
    assert "token-1" not in caplog.text


def test_waiting_ends_when_the_sleep_that_was_given_raises(wiz: ScriptedWiz, client: WizClient) -> None:
    def refuse(_: float) -> None:
        raise InterruptedError

    wiz.replies.extend([Reply(b"", 503), GOOD])
    with pytest.raises(InterruptedError):
        client.execute(QUERY, {"first": 1}, sleep=refuse)
    assert client.requests == 1


def test_a_closed_client_can_be_used_again(wiz: ScriptedWiz, settings: WizSettings) -> None:
    wiz.replies.extend([GOOD, GOOD])
    with WizClient(settings, open_budget(settings)) as client:
        ask(client)
    assert ask(client)


@pytest.mark.parametrize("variable", ["api_url", "token_url"])
def test_an_untrusted_certificate_names_the_setting_for_its_authority(
    settings: WizSettings, https_wiz: ScriptedWiz, variable: str
) -> None:
    message = permanent(WizClient(settings.model_copy(update={variable: https_wiz.url}), NotedBudget()))
    assert "WIZ_CA_CERTS" in message
    assert ("WIZ_API_URL" if variable == "api_url" else "WIZ_TOKEN_URL") in message


def test_a_certificate_of_the_settings_is_trusted_and_the_deadline_holds_over_tls(
    settings: WizSettings, https_wiz: ScriptedWiz, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.5)
    addresses = {"api_url": f"{https_wiz.url}/graphql", "token_url": f"{https_wiz.url}/token"}
    https_wiz.replies.extend([Reply(GOOD.content(), drip=0.05), Reply(GOOD.content(), drip=30), GOOD])
    ask(WizClient(settings.model_copy(update={**addresses, "ca_certs": certificate}), NotedBudget()))
    assert [asked["first"] for asked in https_wiz.asked] == [500, 250, 125]
