"""Generated audit log entries: immutable, dated by `timestamp`, by a person or a service account.

The odd shapes of published samples are among them: no user, no `serviceAccount` key, an unknown status, lists that mix
kinds, a parameter `ID` beside `id`, null addresses. What a field means is Wiz's schema's business.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from wiz_dagster.sandbox.wiz.hashing import Ordinals, mix, node_id, weighted
from wiz_dagster.sandbox.wiz.pools import Record, draw
from wiz_dagster.sandbox.wiz.source import AsOf, Category, GeneratedSource, Node
from wiz_dagster.sandbox.wiz.times import Micros, texts

STATUSES = ("SUCCESS", "FAILED", "ACCESS_DENIED", "INVALID", "PARTIALLY_DONE")
"""The last one is unknown to Wiz's schema."""

_STATUS_WEIGHTS = (900, 60, 25, 10, 5)
_ACTIONS = (
    ("Login", "AUTHENTICATION"),
    (" sso Login", "AUTHENTICATION"),
    ("Query", "QUERY"),
    ("CreateReport", "MUTATION"),
    ("Download Report", "MUTATION"),
    ("UpdateIssue", "MUTATION"),
    ("Create  Service\tAccount", "MUTATION"),
    ("ScimGetUsers", "SCIM"),
)
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "python-requests/2.32.3",
    "Terraform/1.8.5 (+https://www.terraform.io)",
    "",
    None,
)
_COUNTRIES = ("DE", "US", "NL", "JP", "", None)


class AuditSource(GeneratedSource):
    """Audit log entries of a generated tenant."""

    created_name = "timestamp"

    def __init__(self, key: int, first_day: int, volume: int) -> None:
        """See `GeneratedSource`."""
        super().__init__(key, first_day, volume)
        self._pools = draw(key)

    def times(self, name: str, ordinals: Ordinals, now: AsOf) -> Micros:  # noqa: ARG002
        """The only time of an entry is its creation."""
        return self.created(ordinals)

    def category(self, name: str, ordinals: Ordinals, now: AsOf) -> Category:  # noqa: ARG002
        """Of status, action, action type, and who did it."""
        if name == "status":
            return self._statuses(ordinals), [(status,) for status in STATUSES]
        hashes = mix(self.key, ordinals, 3)
        if name in ("action", "actionType"):
            column = ("action", "actionType").index(name)
            return (hashes % np.uint64(len(_ACTIONS))).astype(np.int64), [(action[column],) for action in _ACTIONS]
        people, machines = self._pools.users, self._pools.service_accounts
        everyone = people + machines
        codes = np.array([self._actor(value) for value in hashes.tolist()], dtype=np.int64)
        if name == "user":
            return codes, [(who["id"], who["name"]) if code < len(people) else () for code, who in enumerate(everyone)]
        return codes, [(who["id"], who["name"]) if code >= len(people) else () for code, who in enumerate(everyone)]

    def _statuses(self, ordinals: Ordinals) -> Ordinals:
        return weighted(mix(self.key, ordinals, 4), _STATUS_WEIGHTS)

    def _actor(self, value: int) -> int:
        people, machines = len(self._pools.users), len(self._pools.service_accounts)
        return people + (value >> 16) % machines if (value >> 8) % 3 == 0 else (value >> 16) % people

    def nodes(self, ordinals: Ordinals, now: AsOf) -> list[Node]:  # noqa: ARG002
        """Whole entries."""
        hashes = mix(self.key, ordinals, 3)
        stamps = texts(self.created(ordinals), self.precision(ordinals), hashes)
        rows = zip(ordinals.tolist(), hashes.tolist(), stamps, self._statuses(ordinals).tolist(), strict=True)
        return [self._node(*row) for row in rows]

    def _node(self, ordinal: int, value: int, stamp: str | None, status: int) -> Node:
        action, action_type = _ACTIONS[value % len(_ACTIONS)]
        everyone = self._pools.users + self._pools.service_accounts
        actor = self._actor(value)
        who = everyone[actor]
        person = actor < len(self._pools.users)
        odd = (value >> 40) % 40
        identifier = node_id(self.key, ordinal)
        node: Node = {
            "id": identifier,
            "action": action,
            "actionType": action_type,
            "requestId": identifier if value & 1 else f"req-{value >> 20:x}",
            "status": STATUSES[status],
            "timestamp": stamp,
            "duration": (value >> 30) % 4000,
            "actionParameters": _PARAMETERS[(value >> 24) % len(_PARAMETERS)](value, who),
            "userAgent": _AGENTS[(value >> 28) % len(_AGENTS)],
            "sourceIP": _address(value),
            "sourceIPCountryCode": _COUNTRIES[(value >> 33) % len(_COUNTRIES)],
            "clientType": "WIZ_PORTAL" if person else "UNKNOWN",
            "aiAgentType": None,
            "aiEngines": None,
            "performer": _performer(who, person),
            "user": who if person else None,
            "serviceAccount": None if person else who,
        }
        if odd == 0:
            del node["serviceAccount"]
        elif odd == 1:
            node |= {"actionParameters": {}, "requestId": None, "userAgent": None}
        elif odd == 2:
            del node["actionType"], node["clientType"]
        return node


def _performer(who: Record, person: bool) -> Record:
    kind, key = ("UserSnapshot", "user") if person else ("ServiceAccountSnapshot", "serviceAccount")
    return {"__typename": kind, "id": who["id"], "name": who["name"], key: who}


def _address(value: int) -> str | None:
    kind = (value >> 36) % 10
    if kind == 0:
        return None
    if kind == 1:
        return f"2001:db8::{value >> 48:x}"
    return f"203.0.113.{(value >> 41) % 256}" if kind < 6 else f"198.51.100.{(value >> 41) % 256}"


def _login(value: int, who: Record) -> Any:
    return {
        "clientID": f"{value:016x}",
        "groups": None if value & 2 else ["admins", "größe & co"],
        "name": who["name"],
        "products": ["*"] if value & 4 else [""],
        "role": "" if value & 8 else "GLOBAL_READER",
        "scopes": ["read:issues", "read:vulnerabilities", "update:reports"] if value & 16 else None,
        "userEmail": who.get("email", ""),
        "userID": who["id"],
        "userpoolID": "eu-central-1_Pool",
    }


def _query(value: int, who: Record) -> Any:  # noqa: ARG001
    return {
        "first": value % 500,
        "after": None,
        "filterBy": {"status": ["OPEN"], "createdAt": {"inLast": {"amount": 7}}},
    }


def _mixed(value: int, who: Record) -> Any:
    return {"selection": ["all", {"id": who["id"], "count": value % 90}, "", None], "input": {"id": f"{value:x}"}}


def _twice_named(value: int, who: Record) -> Any:
    return {
        "ID": f"{value:016x}",
        "id": who["id"],
        "input": {"id": f"{value:016x}", "patch": {"note": "erledigt ✓ \u2028"}},
    }


def _long(value: int, who: Record) -> Any:
    return {
        "input": {"name": who["name"], "query": "MATCH everything that is exposed. " * (value % 60), "a.b/c:d": True}
    }


_PARAMETERS: tuple[Callable[[int, Record], Any], ...] = (_login, _login, _query, _query, _mixed, _twice_named, _long)
