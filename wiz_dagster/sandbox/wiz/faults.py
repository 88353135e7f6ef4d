"""Faults that the emulator can be told to commit, each for the next so many matching requests or every k-th of them.

A fault is a plain record, so that the command line and the control endpoint can set the same ones as a test. What a
fault does to an answer is the business of `service` (page and GraphQL faults) and `server` (HTTP faults).
"""

import threading
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from wiz_dagster.errors import SettingsError

KINDS = {
    "latency": "waits `seconds` before the answer",
    "status": "HTTP `status` with an HTML body, with Retry-After when `retry_after` is given",
    "cut": "sends part of the body, then closes the connection",
    "drip": "sends the body in small pieces, `seconds` apart",
    "not_json": "HTTP 200 with a body that isn't JSON",
    "error": "GraphQL error `code` in HTTP 200, no data; `retry_after` goes into its extensions when given",
    "expire_tokens": "all tokens handed out so far expire before this request",
    "errors_beside_data": "a whole page, and GraphQL error `code` beside it",
    "empty_page": "no nodes although more is to come; the walk loses nothing",
    "repeated_cursor": "endCursor is the cursor that was sent (matches requests with a cursor only)",
    "empty_cursor": "hasNextPage is true, endCursor is empty",
    "no_page_info": "pageInfo is missing",
    "null_page": "nodes is null",
    "null_nodes": "`count` null nodes among the others",
    "wrong_total": "totalCount is `count`, whatever there is",
}
"""Every kind of fault and what it does."""


@dataclass(frozen=True)
class Fault:
    """One fault. `root` is a root field, "token", or None for GraphQL requests of any root."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: str
    root: str | None = None
    times: int | None = 1
    """How often it strikes before it is over; None: for ever."""
    every: int = 1
    """It strikes at every k-th matching request."""
    skip: int = 0
    """So many matching requests are left alone first."""
    status: int = 503
    code: str = "INTERNAL"
    message: str = "The emulator was told to fail"
    retry_after: str | None = None
    seconds: float = 0.0
    count: int = 1

    def __post_init__(self) -> None:
        """SettingsError for a kind that doesn't exist or figures without meaning."""
        if self.kind not in KINDS:
            raise SettingsError(f"There is no fault {self.kind!r}. Known: {', '.join(KINDS)}.")
        if self.every < 1 or self.skip < 0 or (self.times is not None and self.times < 1):
            raise SettingsError(f"The fault {self.kind} needs times and every of at least 1, skip of at least 0.")


_FAULTS = TypeAdapter(list[Fault])


@dataclass
class _Armed:
    fault: Fault
    matched: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        self.matched += 1
        fault = self.fault
        if fault.times is not None and self.struck >= fault.times:
            return False
        place = self.matched - fault.skip
        if place < 1 or place % fault.every:
            return False
        self.struck += 1
        return True


@dataclass
class Faults:
    """The faults in force; safe to change while requests run."""

    _armed: list[_Armed] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        """Put faults in force, beside those that are."""
        with self._lock:
            self._armed.extend(_Armed(fault) for fault in faults)

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self._armed.clear()

    def strike(self, root: str | None, *, has_cursor: bool = False) -> list[Fault]:
        """The faults that this request gets; counts it as one that matched."""
        with self._lock:
            return [one.fault for one in self._armed if _matches(one.fault, root, has_cursor) and one.strikes()]

    def listing(self) -> list[dict[str, Any]]:
        """The faults in force and how often each struck."""
        with self._lock:
            return [asdict(one.fault) | {"struck": one.struck} for one in self._armed]


def _matches(fault: Fault, root: str | None, has_cursor: bool) -> bool:
    if fault.kind == "repeated_cursor" and not has_cursor:
        return False
    return root != "token" if fault.root is None else fault.root == root


def read_faults(records: Any) -> list[Fault]:
    """Faults from a plain record or a list of them; SettingsError says what is wrong with one."""
    try:
        return _FAULTS.validate_python(records if isinstance(records, list) else [records])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"][1:])) or "fault"
        raise SettingsError(
            f"{where}: {first['msg']}. A fault has {', '.join(one.name for one in fields(Fault))}."
        ) from error
