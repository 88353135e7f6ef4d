from concurrent.futures import ThreadPoolExecutor

import pytest

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz import token
from wiz_dagster.wiz.token import TokenSource
from wiz_dagster_tests.wiz.scripted_wiz import Reply, ScriptedWiz


def no_sleep(_: float) -> None:
    pass


def test_the_client_credentials_are_sent_as_a_form(wiz: ScriptedWiz, settings: WizSettings) -> None:
    assert TokenSource(settings).current(no_sleep) == "token-1"
    assert wiz.token_forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "the-id",
            "client_secret": "the-secret",
            "audience": "wiz-api",
        }
    ]


def test_threads_share_one_token(wiz: ScriptedWiz, settings: WizSettings) -> None:
    source = TokenSource(settings)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: source.current(no_sleep), range(40))) == {"token-1"}
    assert len(wiz.token_forms) == 1


def test_a_token_is_renewed_five_minutes_before_its_end(
    wiz: ScriptedWiz, settings: WizSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(token.time, "monotonic", lambda: now)
    wiz.expires_in = 3600
    source = TokenSource(settings)
    source.current(no_sleep)
    now += 3299
    assert source.current(no_sleep) == "token-1"
    now += 2
    assert source.current(no_sleep) == "token-2"


@pytest.mark.parametrize("expires_in", [120, "120", None])
def test_a_short_lived_token_or_one_without_an_end_is_still_used_more_than_once(
    wiz: ScriptedWiz, settings: WizSettings, expires_in: object
) -> None:
    wiz.expires_in = expires_in
    source = TokenSource(settings)
    assert source.current(no_sleep) == source.current(no_sleep)


def test_a_token_refused_by_several_threads_is_replaced_once(wiz: ScriptedWiz, settings: WizSettings) -> None:
    source = TokenSource(settings)
    first = source.current(no_sleep)
    source.refuse(first)
    second = source.current(no_sleep)
    source.refuse(first)
    assert source.current(no_sleep) == second
    assert len(wiz.token_forms) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_secret_names_the_settings_to_check(wiz: ScriptedWiz, settings: WizSettings, status: int) -> None:
    wiz.token_replies.append(Reply({"error": "access_denied"}, status))
    with pytest.raises(PermanentError, match="WIZ_CLIENT_ID, WIZ_CLIENT_SECRET and WIZ_AUDIENCE") as caught:
        TokenSource(settings).current(no_sleep)
    assert "the-secret" not in str(caught.value)


@pytest.mark.parametrize("reply", [Reply(b"", 503), Reply(b"", 429, {"Retry-After": "2"}), Reply(b"12", cut=True)])
def test_a_token_endpoint_that_stumbles_is_asked_again(wiz: ScriptedWiz, settings: WizSettings, reply: Reply) -> None:
    slept: list[float] = []
    wiz.token_replies.append(reply)
    assert TokenSource(settings).current(slept.append) == "token-2"
    assert len(slept) == 1
    assert slept[0] >= (2 if reply.status == 429 else 0)


def test_a_token_endpoint_that_stays_down_is_named_by_its_setting(wiz: ScriptedWiz, settings: WizSettings) -> None:
    wiz.token_replies.extend([Reply(b"", 502)] * 10)
    with pytest.raises(TransientError, match="WIZ_TOKEN_URL"):
        TokenSource(settings).current(no_sleep)
    assert len(wiz.token_forms) == token.ATTEMPTS


def test_an_unreachable_token_endpoint_is_named_by_its_setting(settings: WizSettings) -> None:
    dead = settings.model_copy(update={"token_url": "http://127.0.0.1:9/token"})
    with pytest.raises(TransientError, match="WIZ_TOKEN_URL"):
        TokenSource(dead).current(no_sleep)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>"),
        Reply({}),
        Reply(b"[]"),
        Reply({"access_token": 5}),
        Reply({"access_token": "bad\r\nheader"}),
        Reply({"access_token": "x", "expires_in": "later"}),
        Reply(b"", 404),
        Reply(b"", 302, {"Location": "/login"}),
    ],
)
def test_an_answer_that_is_no_token_names_the_address(wiz: ScriptedWiz, settings: WizSettings, reply: Reply) -> None:
    wiz.token_replies.append(reply)
    with pytest.raises(PermanentError, match="WIZ_TOKEN_URL"):
        TokenSource(settings).current(no_sleep)
