"""Bodies posted as Wiz posts them, to real receivers: who gets in, what is kept, and what is sent again."""

import json
import os
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wiz_dagster.defend.spool import records, segments
from wiz_dagster.errors import TransientError
from wiz_dagster.sandbox import live_webhook
from wiz_dagster.sandbox.certificates import CLIENT, make_authority, make_certificate
from wiz_dagster.sandbox.defend_sender import answer_to_wrong_secret, send
from wiz_dagster.sandbox.live_webhook import LiveWebhook
from wiz_dagster.sandbox.receivers import (
    Receiver,
    Way,
    basic,
    mutual_tls,
    no_authentication,
    running_receivers,
    token,
)
from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant

BODIES: list[Node] = [{"id": f"d-{number}", "text": "größe"} for number in range(20)]
WAYS: dict[str, Callable[[Path], Way]] = {
    "none": lambda _: no_authentication(),
    "basic": lambda _: basic(),
    "token": lambda _: token(),
    "mutual TLS": mutual_tls,
}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@contextmanager
def running(way: Way, spool: Path) -> Iterator[Receiver]:
    environment = {"PATH": os.environ["PATH"], "WIZ_DEFEND_SPOOL": str(spool)}
    with running_receivers([way], environment, spool.parent / "log") as (receiver,):
        yield receiver


def kept(spool: Path) -> Counter[str]:
    """How often each object lies in the spool, by its JSON."""
    found = (json.loads(record.body) for segment in segments(spool) for record in records(segment))
    objects = (one for body in found for one in (body if isinstance(body, list) else [body]))
    return Counter(json.dumps(one) for one in objects)


@contextmanager
def answering(statuses: list[int]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers one after the other, the last one for ever; what it was sent."""
    posted: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", posted
        server.shutdown()


@pytest.mark.parametrize("name", WAYS)
def test_each_way_gets_its_bodies_in_and_the_receiver_keeps_them_as_often_as_they_were_sent(
    name: str, tmp_path: Path, spool: Path
) -> None:
    way = WAYS[name](tmp_path)
    with running(way, spool) as receiver:
        sent = send(receiver, BODIES)
        if way.refuses:
            refusal = answer_to_wrong_secret(receiver)
            assert refusal == (None if way.ca_certs else 401)
    assert (sent.bodies, sent.redelivered, sent.accepted) == (20, 5, 25)
    assert kept(spool) == Counter(map(json.dumps, [*BODIES, *BODIES[::4]]))


def test_a_receiver_that_does_not_start_is_told_with_its_log(spool: Path) -> None:
    way = Way("token", {"WIZ_DEFEND_AUTH": "token"})
    with pytest.raises(TransientError, match=str(spool.parent / "log")), running(way, spool):
        pass
    assert "WIZ_DEFEND_TOKEN" in (spool.parent / "log").read_text()
    assert stat.S_IMODE((spool.parent / "log").stat().st_mode) == 0o600


def test_what_is_answered_with_503_is_sent_again() -> None:
    with answering([503, 503, 200]) as (url, posted):
        sent = send(Receiver(url, no_authentication(), None), BODIES[:1])
    assert posted[0] == posted[1] == posted[2]
    assert sent.accepted == sent.bodies + sent.redelivered == 2


def test_what_is_refused_is_not_counted_as_accepted() -> None:
    with answering([401]) as (url, posted):
        sent = send(Receiver(url, no_authentication(), None), BODIES)
    assert sent.accepted == 0
    assert any(isinstance(json.loads(one), list) for one in posted)


def test_the_live_tenant_s_detections_are_sent_once_and_those_that_were_not_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_webhook, "EVERY_SECONDS", 0.0)
    taken: list[str] = []
    refusing = True

    def take(_receiver: object, some: list[Node]) -> None:
        if refusing:
            raise TransientError("full")
        taken.extend(json.dumps(one) for one in some)

    monkeypatch.setattr(live_webhook, "send", take)
    demo = datetime(2026, 3, 5, 12, tzinfo=UTC)
    tenant = Tenant(now=demo + timedelta(hours=6), days=9, volumes={"detection": 300}, live=True)
    webhook = LiveWebhook(Receiver("", token(), None), tenant, demo)
    webhook.send_new()
    refusing = False
    webhook.send_new()
    since_demo = bodies(tenant, demo, demo + timedelta(hours=6), AutomationRule(*live_webhook.RULE))
    assert len(since_demo) > 50
    assert taken[: len(since_demo)] == [json.dumps(one) for one in since_demo]
    webhook.send_new()
    assert len(taken) == len(set(taken))


def test_private_files_are_their_owner_s_alone(tmp_path: Path) -> None:
    make_authority(tmp_path)
    make_certificate(tmp_path, "wiz", CLIENT)
    assert {path.name for path in tmp_path.iterdir()} >= {"ca.crt", "ca.key", "wiz.crt", "wiz.key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.glob("*.key"))
