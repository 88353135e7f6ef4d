"""The demo's webhook events: posted to real receivers in each way, and followed until they are documents.

A share of the tenant's detections goes each way, under an automation rule of its own, so that the destination can be
asked what came of it. What the figures mean and when they are wrong is in `defend_figures.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import dagster as dg
from rich.console import Console
from rich.table import Table

from wiz_dagster.sandbox.certificates import can_be_made
from wiz_dagster.sandbox.defend_figures import DefendRun, WayFigures
from wiz_dagster.sandbox.defend_sender import Sent, answer_to_wrong_secret, send
from wiz_dagster.sandbox.holdings import Holdings
from wiz_dagster.sandbox.receivers import Receiver, basic, mutual_tls, no_authentication, running_receivers, token
from wiz_dagster.sandbox.sensor_runs import check_detections, follow_sensor
from wiz_dagster.sandbox.state import SandboxState
from wiz_dagster.sandbox.wiz.defend_bodies import AutomationRule, bodies
from wiz_dagster.sandbox.wiz.defend_truth import documents_of
from wiz_dagster.sandbox.wiz.source import Node
from wiz_dagster.sandbox.wiz.tenant import Tenant

RULES = {way: AutomationRule(f"sandbox-{number}", f"Detections, {way}") for number, way in
         enumerate(("none", "basic", "token", "mutual TLS"))}  # fmt: skip
"""Wiz's automation rule for each way of authentication."""


@dataclass(frozen=True)
class DefendDemo:
    """All that the demo tells of the webhook; `comparison` is what the check of both ways to detections found."""

    ways: list[WayFigures]
    runs: list[DefendRun]
    comparison: Mapping[str, object]


def bring_defend(
    state: SandboxState,
    tenant: Tenant,
    settings: Mapping[str, str],
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    holdings: Holdings,
) -> DefendDemo:
    """Post the events, let the sensor bring them, ask what came of them. Raises the package's errors."""
    shares = _shares(state, tenant)
    with TemporaryDirectory(prefix="certificates-", dir=state.home) as certificates:
        ways = [no_authentication(), basic(), token()]
        if can_be_made():
            ways.append(mutual_tls(Path(certificates)))
        with running_receivers(ways, settings, state.home / "receivers.log") as receivers:
            sent = [_post(receiver, shares[receiver.way.name]) for receiver in receivers]
    runs = follow_sensor(instance, definitions)
    figures = [
        _figures(receiver, shares[receiver.way.name], one, refusal, holdings)
        for receiver, (one, refusal) in zip(receivers, sent, strict=True)
    ]
    return DefendDemo(figures, runs, check_detections(instance, definitions))


def _shares(state: SandboxState, tenant: Tenant) -> dict[str, list[Node]]:
    """The bodies of the demo's days and of its moment's day, by way: all of a detection go the same one."""
    since = datetime.combine(date.fromisoformat(state.days[0]), time(), UTC)
    return {
        way: [
            body
            for body in bodies(tenant, since, tenant.now, rule)
            if crc32(str(body["id"]).encode()) % len(RULES) == number
        ]
        for number, (way, rule) in enumerate(RULES.items())
    }


def _post(receiver: Receiver, share: list[Node]) -> tuple[Sent, int | None]:
    """What was sent, and the answer to somebody who doesn't know the secret."""
    return send(receiver, share), answer_to_wrong_secret(receiver) if receiver.way.refuses else None


def _figures(receiver: Receiver, share: list[Node], sent: Sent, refusal: int | None, holdings: Holdings) -> WayFigures:
    return WayFigures(
        way=receiver.way.name,
        bodies=sent.bodies,
        events=documents_of(share),
        redelivered=sent.redelivered,
        accepted=sent.accepted,
        documents=holdings.sent_by(RULES[receiver.way.name].id),
        refusal=refusal,
        refuses=receiver.way.refuses,
    )


def show_defend(console: Console, demo: DefendDemo) -> None:
    """The table, what is refused, and whether both ways to detections agree."""
    table = Table(title="Wiz Defend's events by webhook, by the receiver's authentication", title_justify="left")
    table.add_column("authentication", no_wrap=True)
    for name in ("bodies", "redelivered", "accepted", "events", "documents", "wrong secret"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in demo.ways:
        counts = (row.bodies, row.redelivered, row.accepted, row.events, row.documents)
        refused = (str(row.refusal) if row.refusal else "no connection") if row.refuses else "-"
        table.add_row(row.way, *map(str, counts), refused)
    console.print(table)
    if "mutual TLS" not in {row.way for row in demo.ways}:
        console.print("Mutual TLS is left out: the openssl command isn't installed.")
    console.print(
        "accepted: bodies answered with 2xx, those sent again included. events: in the bodies, by a scan of its own.\n"
        "documents: asked where they are. wrong secret: the answer to somebody who doesn't know it.\n"
    )
    found = demo.comparison
    if found:
        console.print(
            f"Of {found['compared']} detections of the last days {found['by_webhook_only']} came by webhook only and "
            f"{found['by_api_only']} by wiz/detection only.\n",
            soft_wrap=True,
        )
