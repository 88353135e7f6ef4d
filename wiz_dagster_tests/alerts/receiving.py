"""What stands at the other end of alerts: a webhook and a mail server that keep what they are sent."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

WEBHOOK_SECRET = "T0815/B4711/webhook-secret"
MAIL_SECRET = "mail+secret/0820"
TO = ("soc@example.com", "oncall@example.com")


@dataclass
class Slack:
    """A webhook that answers 200, or the given statuses first."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{WEBHOOK_SECRET}"

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.received]


@contextmanager
def slack(answers: Sequence[int] = ()) -> Iterator[Slack]:
    kept = Slack(answers=list(answers))

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.asked += 1
            status = kept.answers.pop(0) if kept.answers else 200
            if status == 200 and self.path == f"/services/{WEBHOOK_SECRET}":
                kept.received.append(body)
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kept.port = server.server_port
        yield kept
        server.shutdown()


@dataclass
class Mailbox:
    """Mails as they arrived: to whom, and their parts."""

    port: int
    received: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        parsed = message_from_bytes(envelope.content or b"", policy=policy.default)
        self.received.append((envelope.rcpt_tos, parsed))
        return "250 kept"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "WIZ_ALERT_SMTP_HOST": "127.0.0.1",
            "WIZ_ALERT_SMTP_PORT": str(self.port),
            "WIZ_ALERT_SMTP_TLS": "none",
            "WIZ_ALERT_EMAIL_FROM": "wiz@example.com",
            "WIZ_ALERT_EMAIL_TO": ", ".join(TO),
            **more,
        }


@contextmanager
def mailbox(certificates: Path | None = None) -> Iterator[Mailbox]:
    """A mail server; with certificates it wants STARTTLS, then the login `wiz` with MAIL_SECRET."""
    kept = Mailbox(_free_port())
    more: dict[str, Any] = {}
    if certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "mail.crt", certificates / "mail.key")
        more = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": _knows}
    controller = Controller(kept, hostname="127.0.0.1", port=kept.port, **more)
    controller.start()
    try:
        yield kept
    finally:
        controller.stop()


def _knows(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(handled=False, success=data == LoginPassword(b"wiz", MAIL_SECRET.encode()))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
