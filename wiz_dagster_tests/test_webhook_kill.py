"""The receiver killed under load, again and again: what it acknowledged is in Elasticsearch once, and nothing else."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import dagster as dg
import requests
from elasticsearch import Elasticsearch

from wiz_dagster.settings import ElasticsearchSettings
from wiz_dagster_tests.defend.receiving import BEARER, WITH_TOKEN, Running, quiet_session, running_receiver, until
from wiz_dagster_tests.pipeline import Pipeline, documents_of, webhook_environment

KILLS = 10
SENDERS = 8
BETWEEN = 60
"""Events acknowledged between a kill and the next."""


class Load:
    """What some senders posted so far; an event that got no 2xx is never sent again, so each is sent once."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self._numbers = count()

    @contextmanager
    def on(self, receiver: Running) -> Iterator[None]:
        """Posts without a pause until the receiver is gone, at the latest when the block ends."""
        threads = [threading.Thread(target=self._post, args=(receiver,)) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            receiver.process.kill()
            for thread in threads:
                thread.join()

    def _post(self, receiver: Running) -> None:
        with quiet_session() as session:
            while True:
                name = f"detection-{next(self._numbers)}"
                self.sent.add(name)
                body = {"id": name, "title": "x" * 2000, "createdAt": datetime.now(UTC).isoformat()}
                try:
                    answer = session.post(receiver.url, json.dumps(body), headers=BEARER, timeout=30)
                except requests.RequestException:
                    return
                if answer.ok:
                    self.acknowledged.add(name)


def test_every_acknowledged_event_is_one_document_though_the_receiver_is_killed_under_load(
    tmp_path: Path, elasticsearch_settings: ElasticsearchSettings, elasticsearch: Elasticsearch, namespace: str
) -> None:
    load = Load()
    days = set()
    for _ in range(KILLS):
        before = len(load.acknowledged)
        days.add(datetime.now(UTC).date().isoformat())
        with running_receiver(tmp_path, WITH_TOKEN) as receiver, load.on(receiver):
            until(lambda before=before: len(load.acknowledged) >= before + BETWEEN)
    days.add(datetime.now(UTC).date().isoformat())

    environment = {
        **webhook_environment(tmp_path),
        "WIZ_DEFEND_SPOOL": str(tmp_path / "spool"),
        "ELASTICSEARCH_URL": elasticsearch_settings.url,
        "WIZ_NAMESPACE": namespace,
    }
    with dg.DagsterInstance.ephemeral() as instance:
        for day in days:
            run = Pipeline(environment, instance=instance).run("defend", day)
            assert run.success, run.errors
    hits = [hit for day in days for hit in documents_of(elasticsearch, "defend", namespace, day)]
    documents = Counter(hit["_source"]["wiz"]["defend"]["id"] for hit in hits)
    assert len(load.acknowledged) >= KILLS * BETWEEN
    assert load.acknowledged <= documents.keys() <= load.sent
    assert set(documents.values()) == {1}
