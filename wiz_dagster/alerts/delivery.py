"""Sends a message: to a webhook in Slack's format, and by mail.

The webhook is one POST of `{"text": ...}`, which Slack, Mattermost, Rocket.Chat and Discord (below `/slack`) take
alike; requests suffices for it. Mail is the standard library's: what Dagster offers needs a login, and sends a mail a
run. An error says what happened and which variables to look at, never an address or an answer.
"""

from __future__ import annotations

import logging
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import requests

from wiz_dagster import __version__
from wiz_dagster.alerts.message import Message
from wiz_dagster.alerts.settings import AlertSettings
from wiz_dagster.errors import TransientError

SECONDS = 10.0
"""For each step of a delivery: connecting, an answer."""

Send = Callable[[Message], None]


def ways(settings: AlertSettings) -> Mapping[str, Send]:
    """How to send a message, by the name of each way that is set up; it raises `TransientError` if nobody took it."""
    found: dict[str, Send] = {}
    if settings.webhook:
        found["webhook"] = lambda message: _post(settings, message)
    if settings.email_to:
        found["e-mail"] = lambda message: _mail(settings, message)
    return found


def _post(settings: AlertSettings, message: Message) -> None:
    address = settings.webhook.get_secret_value() if settings.webhook else ""
    text = f"*{_escaped(message.title)}*\n{_escaped(message.body)}".rstrip()
    with _unlogged(), requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": settings.proxy_url, "https": settings.proxy_url} if settings.proxy_url else {}
        try:
            answer = session.post(
                address,
                json={"text": text},
                headers={"User-Agent": f"wiz_dagster/{__version__}"},
                timeout=SECONDS,
                verify=str(settings.ca_certs) if settings.ca_certs else True,
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, ValueError) as error:  # what urllib3 finds wrong in an address
            raise TransientError(
                f"The webhook could not be reached ({type(error).__name__}); look at WIZ_ALERT_WEBHOOK, "
                "WIZ_ALERT_PROXY_URL and WIZ_ALERT_CA_CERTS."
            ) from None
        answer.close()
    if not 200 <= answer.status_code < 300:
        raise TransientError(f"The webhook answered {answer.status_code}; look at WIZ_ALERT_WEBHOOK.")


@contextmanager
def _unlogged() -> Iterator[None]:
    """At the level DEBUG urllib3 logs the paths that it asks for, and that of a webhook is its secret."""
    thread = threading.get_ident()
    log = logging.getLogger("urllib3.connectionpool")

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    log.addFilter(others)
    try:
        yield
    finally:
        log.removeFilter(others)


def _mail(settings: AlertSettings, message: Message) -> None:
    mail = EmailMessage()
    mail["Subject"] = f"[wiz_dagster] {message.title}"
    mail["From"] = settings.email_from
    mail["To"] = ", ".join(settings.email_to)
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=str(settings.email_from).rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{message.title}\n\n{message.body}\n")
    try:
        with _connected(settings) as server:
            if settings.smtp_username and settings.smtp_password:
                server.login(settings.smtp_username, settings.smtp_password.get_secret_value())
            server.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:  # ssl.SSLError is an OSError
        code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
        raise TransientError(
            f"The mail server did not take the message ({type(error).__name__}{code}); look at WIZ_ALERT_SMTP_* and "
            "WIZ_ALERT_EMAIL_*."
        ) from None


def _connected(settings: AlertSettings) -> smtplib.SMTP:
    host, port, name = str(settings.smtp_host), settings.smtp_port, socket.gethostname()
    context = ssl.create_default_context(cafile=settings.ca_certs)
    if settings.smtp_tls == "tls":
        return smtplib.SMTP_SSL(host, port, local_hostname=name, timeout=SECONDS, context=context)
    server = smtplib.SMTP(host, port, local_hostname=name, timeout=SECONDS)
    if settings.smtp_tls == "starttls":
        try:
            server.starttls(context=context)
        except (OSError, smtplib.SMTPException):
            server.close()
            raise
    return server


def _escaped(text: str) -> str:
    """Slack's three control characters as text."""
    return re.sub(r"[&<>]", lambda found: {"&": "&amp;", "<": "&lt;", ">": "&gt;"}[found[0]], text)
