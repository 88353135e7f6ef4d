"""The doctor on the side of alerts: is anyone told, and, where asked for, does a test message arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import urlsplit

from wiz_dagster.alerts.delivery import Send, ways
from wiz_dagster.alerts.message import Message
from wiz_dagster.alerts.settings import AlertSettings, read_alert_settings
from wiz_dagster.doctor.finding import Finding, find
from wiz_dagster.errors import SettingsError

TEST = Message(
    title="A test message",
    body="wiz-dagster doctor --alert sent it: failed runs, failed checks and stale datasets will be told here.",
)


def examine_alerts(environment: Mapping[str, str], *, send: bool) -> Iterator[Finding]:
    """The settings, and with `send` a test message over each way."""
    try:
        settings = read_alert_settings(environment)
    except SettingsError as error:
        yield Finding("alerts", False, str(error))
        return
    over = ways(settings)
    if not over:
        # Not everybody wants to be told; whoever asks for a test does.
        yield Finding(
            "alerts", not send, "nobody is told: set WIZ_ALERT_WEBHOOK or WIZ_ALERT_EMAIL_TO, see docs/alerts.md"
        )
        return
    yield Finding("alerts", True, _in_words(settings))
    for name, sending in over.items() if send else ():
        yield find(f"alerts by {name}", partial(_try, sending))


def _in_words(settings: AlertSettings) -> str:
    to = []
    if settings.webhook:
        to.append(f"to the webhook at {urlsplit(settings.webhook.get_secret_value()).hostname}")
    if settings.email_to:
        to.append(f"by {settings.smtp_host}:{settings.smtp_port} to {', '.join(settings.email_to)}")
    return f"{' and '.join(to)}, while the sensor alerts is on; try it with wiz-dagster doctor --alert"


def _try(send: Send) -> str:
    send(TEST)
    return "took a test message"
