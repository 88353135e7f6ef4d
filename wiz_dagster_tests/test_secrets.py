"""No secret in anything that is kept or shown, no payload but where payload is kept, no file for others to read.

What is looked through: Dagster's instance with its tables unpacked, what runs log and print, their errors, landing
zone, spool, request budget, the receiver's log and answers, the commands' output.
"""

import base64
import json
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from wiz_dagster.cli import wiz_dagster
from wiz_dagster.elasticsearch.backoff import Backoff
from wiz_dagster.sandbox.state import deployed_instance
from wiz_dagster.sandbox.wiz.faults import Fault
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.sandbox.wiz.tokens import Client
from wiz_dagster.sandbox.wiz.truth import nodes_of_day
from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster.wiz import retries
from wiz_dagster_tests.defend.receiving import running_receiver
from wiz_dagster_tests.kept import files_below, forms, found_in, may_hold_payload, open_to_others
from wiz_dagster_tests.pipeline import (
    NO_RETRY,
    NOW,
    TODAY,
    YESTERDAY,
    Pipeline,
    Run,
    small_tenant,
    spool_bodies,
    wiz_environment,
)

PAYLOAD = "finding-of-the-tenant-4711"
CLIENT_SECRET = "wiz+client/secret-0815"
ELASTIC_SECRET = "elastic/secret+0816"
PROXY_SECRET = "proxy-secret-0817"
WEBHOOK_SECRET = "webhook/secret+0818"
API_KEY = base64.b64encode(b"id-of-the-key:key-secret-0819").decode()
ELASTIC_LOGIN = {"ELASTICSEARCH_USERNAME": "writer", "ELASTICSEARCH_PASSWORD": ELASTIC_SECRET}
SECRETS = {
    "WIZ_CLIENT_SECRET": forms(CLIENT_SECRET),
    "ELASTICSEARCH_PASSWORD": forms(ELASTIC_SECRET, "writer"),
    "ELASTICSEARCH_API_KEY": forms(API_KEY) | {"unpacked": b"key-secret-0819"},
    "a proxy's password": forms(PROXY_SECRET, "user"),
    "the webhook's secret": forms(WEBHOOK_SECRET, "sender"),
}
FREE_TEXTS = {"name", "description", "text", "title", "email", "externalId", "note", "resolutionNote"}
"""Keys whose values no sample of documents shows."""


def marked(value: Any, key: str = "") -> Any:
    """A node with the payload's mark in all its free texts."""
    if isinstance(value, dict):
        return {name: marked(below, name) for name, below in value.items()}
    if isinstance(value, list):
        return [marked(below, key) for below in value]
    return f"{value} {PAYLOAD}" if key in FREE_TEXTS and isinstance(value, str) else value


def marked_issues() -> list[dict[str, Any]]:
    nodes = json.loads(json.dumps(list(nodes_of_day(small_tenant(), "issue", YESTERDAY))[:20]))
    return [marked(node) for node in nodes]


def event(**more: Any) -> dict[str, Any]:
    """A webhook's body."""
    created = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    triggering = [{"externalId": PAYLOAD, "eventTime": created, "description": PAYLOAD}]
    body = {"id": "d1", "title": PAYLOAD, "severity": "HIGH", "createdAt": created, "triggeringEvents": triggering}
    return {**body, "description": PAYLOAD, "another key": {"of the tenant": PAYLOAD}, **more}


@dataclass
class Place:
    """A pipeline with a Dagster instance that keeps its files, and all that was seen of it so far."""

    home: Path
    instance: dg.DagsterInstance
    capture: pytest.CaptureFixture[str]
    log: pytest.LogCaptureFixture
    wiz: WizEmulator
    environment: dict[str, str]
    said: list[tuple[str, bytes]] = field(default_factory=list)

    def run(self, dataset: str, day: str = YESTERDAY, **more: str) -> Run:
        pipeline = Pipeline({**self.environment, **more}, self.instance, NO_RETRY)
        done = pipeline.run(dataset, day)
        self.said.append(("errors", done.errors.encode()))
        events = [dg.serialize_value(entry) for entry in self.instance.all_logs(done.result.run_id)]
        self.said.append(("events", "\n".join(events).encode()))
        return done

    def everything(self) -> Iterator[tuple[str, bytes]]:
        printed = self.capture.readouterr()
        self.said += [("stdout", printed.out.encode()), ("stderr", printed.err.encode())]
        yield from self.said
        yield "log", self.log.text.encode()
        yield from files_below(self.home)

    def assert_nothing_leaked(self) -> None:
        everything = list(self.everything())
        tokens = {f"token {n}": {"plain": one.encode()} for n, one in enumerate(self.wiz.desk._tokens)}
        leaks = {name: found_in(iter(everything), written) for name, written in {**SECRETS, **tokens}.items()}
        assert {name: places for name, places in leaks.items() if places} == {}
        payload = found_in(iter(everything), {"plain": PAYLOAD.encode()})
        assert {name for name in payload if not may_hold_payload(name)} == set()
        assert open_to_others(*(self.home / name for name in ("landing", "spool", "budget"))) == {}


@pytest.fixture
def open_umask() -> Iterator[None]:
    """What is private is so by intent."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def place(
    tmp_path: Path,
    open_umask: None,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    elasticsearch_settings: ElasticsearchSettings,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    monkeypatch.setattr(Backoff, "pause", lambda *_: 0.0)
    monkeypatch.setattr(retries, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(retries, "LONGEST_SECONDS", 0.002)
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(deployed_instance()))
    tenant = Tenant(now=NOW, given={"issue": marked_issues()})
    with (
        WizEmulator(tenant, clients=(Client(client_secret=CLIENT_SECRET),)) as wiz,
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        environment = {
            **wiz_environment(wiz, tmp_path),
            "WIZ_DEFEND_SPOOL": str(tmp_path / "spool"),
            "ELASTICSEARCH_URL": elasticsearch_settings.url,
            "WIZ_NAMESPACE": namespace,
            **ELASTIC_LOGIN,
        }
        yield Place(tmp_path, instance, capfd, caplog, wiz, environment)


@contextmanager
def a_cluster_that_echoes(status: int) -> Iterator[str]:
    """Something that refuses every request and says in its answer what it was sent, the headers included."""

    class Echo(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
            said = f"{self.headers} {sent}"
            body = json.dumps({"error": {"type": "refused", "reason": said}, "status": status}).encode()
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_search_finds_what_is_there(place: Place) -> None:
    """Each place that is looked through, with a secret put there on purpose."""
    packed = forms(CLIENT_SECRET)

    @dg.asset(metadata={"definition": CLIENT_SECRET})
    def careless(context: dg.AssetExecutionContext) -> None:
        context.log.info(CLIENT_SECRET)
        os.write(1, CLIENT_SECRET.encode())
        raise dg.Failure(CLIENT_SECRET, metadata={"secret": CLIENT_SECRET})

    careless_job = dg.Definitions(assets=[careless]).resolve_implicit_global_asset_job_def()
    run = careless_job.execute_in_process(instance=place.instance, raise_on_error=False)
    (place.home / "landing").mkdir(mode=0o755)
    (place.home / "landing" / "part").write_bytes(zlib.compress(b"no matter"))
    found = found_in(place.everything(), packed)
    instance = place.home / "dagster"
    assert {"stderr", str(instance / "history" / "runs" / f"{run.run_id}.db")} <= found
    assert open_to_others(place.home / "landing")
    with pytest.raises(AssertionError, match="WIZ_CLIENT_SECRET"):
        place.assert_nothing_leaked()


def test_good_runs_keep_payload_where_it_belongs_and_nowhere_else(place: Place) -> None:
    for login in (ELASTIC_LOGIN, {**dict.fromkeys(ELASTIC_LOGIN, ""), "ELASTICSEARCH_API_KEY": API_KEY}):
        run = place.run("issue", **login)
        assert run.success, run.errors
    assert run.ecs["es/unchanged"] == len(marked_issues())
    spool_bodies(place.environment, [event(), b"broken " + PAYLOAD.encode(), [event(id="d2"), PAYLOAD]])
    run = place.run("defend", TODAY)
    assert run.success, run.errors
    assert not run.checks["spool_readable"].passed
    spool_bodies(place.environment, [event(id="d3")])

    files = list(files_below(place.home))
    holding = found_in(iter(files), {"plain": PAYLOAD.encode()})
    for kept in ("/landing/issue/", "/landing/defend/", "/spool/"):
        assert any(kept in name for name in holding)
    assert found_in(iter(files), {"name": b"WIZ_CLIENT_SECRET"}), "the instance's compressed tables were not read"
    place.assert_nothing_leaked()


QUOTING = f"access to {PAYLOAD} was refused for {CLIENT_SECRET}"


REFUSALS = (
    Fault("error", root="issuesV2", code="UNAUTHORIZED", message=QUOTING),
    Fault("errors_beside_data", root="issuesV2", code="UNAUTHORIZED", message=QUOTING),
    Fault("error", root="issuesV2", code="INTERNAL", message=QUOTING, times=None),
    Fault("error", root="issuesV2", code=QUOTING, message=QUOTING, times=None),
)


def test_runs_that_wiz_refuses_repeat_nothing_of_its_answers(place: Place) -> None:
    for fault in REFUSALS:
        place.wiz.faults.clear()
        place.wiz.faults.add(fault)
        run = place.run("issue")
        assert not run.success
        assert "Wiz" in run.errors
    place.assert_nothing_leaked()


def test_a_wrong_client_secret_is_not_repeated(place: Place) -> None:
    place.wiz.desk.clients = (Client(client_secret="another"),)
    run = place.run("issue")
    assert not run.success
    assert "WIZ_CLIENT_SECRET" in run.errors
    place.assert_nothing_leaked()


def test_a_cluster_that_refuses_and_echoes_gives_nothing_away(place: Place) -> None:
    for status in (401, 403, 400, 500):
        with a_cluster_that_echoes(status) as url:
            run = place.run("issue", ELASTICSEARCH_URL=url)
        assert not run.success
        assert f"({status}" in run.errors
    place.assert_nothing_leaked()


def test_a_document_that_is_refused_is_quoted_in_the_dead_letters_alone(place: Place) -> None:
    (*others, odd) = marked_issues()
    odd["entitySnapshot"]["tags"] = {PAYLOAD * 2_000: PAYLOAD}
    tenant = Tenant(now=NOW, given={"issue": [*others, odd]})
    with WizEmulator(tenant, clients=(Client(client_secret=CLIENT_SECRET),)) as wiz:
        place.wiz = wiz
        run = place.run("issue", WIZ_API_URL=wiz.api_url, WIZ_TOKEN_URL=wiz.token_url)
    assert run.success, run.errors
    assert (run.ecs["es/rejected"], run.checks["no_rejections"].passed) == (1, False)
    assert any("/dead-letters." in name for name in found_in(place.everything(), {"plain": PAYLOAD.encode()}))
    place.assert_nothing_leaked()


NOWHERE = "127.0.0.1:9"


WITH_PASSWORDS: tuple[dict[str, str], ...] = (
    {"WIZ_PROXY_URL": f"http://user:{PROXY_SECRET}@{NOWHERE}"},
    {"ELASTICSEARCH_PROXY_URL": f"http://user:{PROXY_SECRET}@{NOWHERE}"},
    {"WIZ_RATE_LIMIT_URL": f"redis://user:{PROXY_SECRET}@{NOWHERE}/0"},
    {"WIZ_RATE_LIMIT_URL": f"redis://user:{PROXY_SECRET}@{NOWHERE}/none?x=y"},
    {"WIZ_RATE_LIMIT_URL": f"ftp://user:{PROXY_SECRET}@{NOWHERE}/0"},
    {"WIZ_LANDING_URL": f"unheard-of://user:{PROXY_SECRET}@{NOWHERE}/zone"},
    {"WIZ_LANDING_URL": f"ftp://user:{PROXY_SECRET}@{NOWHERE}/zone"},
    {"WIZ_API_URL": f"https://user:{PROXY_SECRET}@{NOWHERE}"},
    {"ELASTICSEARCH_URL": f"https://user:{PROXY_SECRET}@{NOWHERE}"},
    {"ELASTICSEARCH_USERNAME": ""},
)


def test_a_setting_that_holds_a_password_and_fails_is_not_repeated(place: Place) -> None:
    for setting in WITH_PASSWORDS:
        assert not place.run("issue", **setting).success, setting
    place.assert_nothing_leaked()


COMMANDS = (["setup"], ["doctor"], ["verify", "--from", YESTERDAY, "--to", YESTERDAY, "--dataset", "issue"])


def test_commands_show_no_secret_whether_they_succeed_or_fail(place: Place) -> None:
    assert place.run("issue").success
    with a_cluster_that_echoes(401) as url:
        refused = {"ELASTICSEARCH_URL": url, "WIZ_TOKEN_URL": f"{url}/oauth/token"}
        unreachable = {"ELASTICSEARCH_PROXY_URL": f"http://user:{PROXY_SECRET}@{NOWHERE}"}
        for command in COMMANDS:
            for more in ({}, refused, unreachable):
                environment = {**place.environment, "DAGSTER_HOME": str(place.home / "dagster"), **more}
                done = CliRunner().invoke(wiz_dagster, command, env=environment)
                place.said.append((f"wiz-dagster {command[0]}", f"{done.output}{done.exception}".encode()))
    place.assert_nothing_leaked()


def test_a_line_that_cannot_be_transformed_is_not_repeated() -> None:
    lines = b"broken " + PAYLOAD.encode() + b"\n[" + json.dumps(PAYLOAD).encode() + b"]\n"
    done = CliRunner().invoke(wiz_dagster, ["transform", "issue"], input=lines)
    assert done.exit_code == 1
    assert PAYLOAD not in done.output


@pytest.mark.parametrize("way", ["token", "basic"])
def test_the_receiver_shows_neither_its_secret_nor_what_it_was_sent(tmp_path: Path, open_umask: None, way: str) -> None:
    settings = {
        "token": {"WIZ_DEFEND_TOKEN": WEBHOOK_SECRET},
        "basic": {"WIZ_DEFEND_USERNAME": "sender", "WIZ_DEFEND_PASSWORD": WEBHOOK_SECRET},
    }[way]
    login = base64.b64encode(f"sender:{WEBHOOK_SECRET}".encode()).decode()
    right = {"Authorization": f"Bearer {WEBHOOK_SECRET}" if way == "token" else f"Basic {login}"}
    wrong = {"Authorization": f"Bearer {PAYLOAD}", "X-Another": PAYLOAD}
    body = json.dumps(event()).encode()
    answers = []
    with running_receiver(tmp_path, {"WIZ_DEFEND_AUTH": way, "WIZ_DEFEND_MAX_BODY": "100000", **settings}) as running:
        assert running.post(body, headers=right).status_code == 200
        bad = [b"broken " + PAYLOAD.encode(), json.dumps(PAYLOAD).encode(), body[:-1], PAYLOAD.encode() * 10_000]
        answers += [running.post(one, headers=right) for one in bad]
        answers += [running.post(body, headers=right | {"Content-Encoding": how}) for how in ("gzip", PAYLOAD)]
        answers += [running.post(body, headers=wrong), running.post(body, f"/{PAYLOAD}", headers=right)]
        answers += [running.get(path, headers=right) for path in ("/metrics", "/healthz", f"/{PAYLOAD}")]
        heads = [f"{PAYLOAD} {WEBHOOK_SECRET}\r\n\r\n", f"POST / HTTP/1.1\r\n{PAYLOAD}\r\n\r\n"]
        raw = b"".join(running.exchange(head.encode()) for head in heads)
        running.stop()
        assert running.spooled() == [body]
    shown = [(f"answer {n}", f"{one.headers}".encode() + one.content) for n, one in enumerate(answers)]
    shown += [("raw answers", raw), *files_below(tmp_path)]
    assert found_in(iter(shown), SECRETS["the webhook's secret"]) == set()
    holding = found_in(iter(shown), {"plain": PAYLOAD.encode()})
    assert holding
    assert {name for name in holding if not may_hold_payload(name)} == set()
    assert open_to_others(tmp_path / "spool") == {}
