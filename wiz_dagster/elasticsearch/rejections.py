"""What Elasticsearch refused while one partition was written: the dead letters, and the reasons as people may see them.

A reason as Elasticsearch gives it may quote the document; that stays in the dead letters. Metadata and messages get it
without document ids and values.
"""

import re
from typing import Any

from wiz_dagster.elasticsearch.bulk_batch import Rejection
from wiz_dagster.elasticsearch.digests import Digests, digests, raw_id
from wiz_dagster.errors import PermanentError
from wiz_dagster.landing.dead_letters import DeadLetter

MOST_REJECTIONS = 10_000
MOST_REASONS = 10
REASON_LENGTH = 300
QUOTES = re.compile(r"\. Preview of|\n| at \[Source| \(whose UTF8|; ")
"""What stands before a value in the texts of Elasticsearch, or before the causes, which hold nothing but values."""
DOCUMENT_ID = re.compile(r" in document with id '[^']*'")


class Rejections:
    """Collects the rejections of one write."""

    def __init__(self) -> None:
        self._rejections: list[Rejection] = []

    def __len__(self) -> int:
        return len(self._rejections)

    def add(self, rejection: Rejection) -> None:
        """Keeps a rejection; raises PermanentError when there are so many that the mapping must be wrong."""
        self._rejections.append(rejection)
        if len(self._rejections) > MOST_REJECTIONS:
            raise PermanentError(
                f"Elasticsearch refused more than {MOST_REJECTIONS} documents, the first with: "
                f"{_shown(self._rejections[0])}. See the dead letters, correct the mapping or the index template, "
                "then run the partition again."
            )

    def letters(self) -> list[DeadLetter]:
        """A dead letter a rejection, with the document."""
        return [
            DeadLetter(one.operation.id, one.status, one.kind, one.reason, one.document) for one in self._rejections
        ]

    def ids(self) -> Digests:
        """The ids of the refused documents, sorted."""
        return digests(b"".join(sorted(raw_id(one.operation.id) or b"" for one in self._rejections)))

    def reasons(self) -> list[dict[str, Any]]:
        """The commonest kinds of rejection: `reason`, `count`, and as `id` one document of them."""
        kinds: dict[str, dict[str, Any]] = {}
        for one in self._rejections:
            kind = kinds.setdefault(_shown(one), {"id": one.operation.id, "reason": _shown(one), "count": 0})
            kind["count"] += 1
        return sorted(kinds.values(), key=lambda kind: -int(kind["count"]))[:MOST_REASONS]


def _shown(rejection: Rejection) -> str:
    """Type and reason up to where Elasticsearch starts to quote."""
    reason = QUOTES.split(rejection.reason, maxsplit=1)[0]
    reason = DOCUMENT_ID.sub("", reason)[:REASON_LENGTH]
    return f"{rejection.kind}: {reason}" if reason else f"{rejection.kind} (HTTP {rejection.status})"
