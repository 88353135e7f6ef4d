"""The kinds of faults: what each does to the world, for a bounded time, and how it is healed.

A kind's function injects, lasts as long as it is told, heals, and tells whether the fault truly struck: a run that
wasn't there can't be killed. `heal` puts right whatever any of them may have left. Faults of one target never overlap.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import psutil
import requests
from elastic_transport import TransportError
from elasticsearch import ApiError

from wiz_dagster.errors import TransientError, WizDagsterError
from wiz_dagster.sandbox.chaos.member import Member, NodeMember, signal_all
from wiz_dagster.sandbox.chaos.proxy import Mode, Proxy
from wiz_dagster.sandbox.chaos.world import NAMESPACE, World

Inject = Callable[[World, float, Random], bool]
"""World, seconds that it lasts, chances of its own; whether it struck."""

STREAMS = f"logs-wiz.*-{NAMESPACE}"
INDICES = [STREAMS, "security_solution-wiz.*", "wiz.issue_latest*"]
BLOCK = "index.blocks.read_only_allow_delete"
"""What Elasticsearch itself sets on indices when its disk is nearly full."""
FIND_SECONDS = 15.0
"""How long a run to kill is waited for."""
HEAL_TRIES = 60


@dataclass(frozen=True)
class Kind:
    """A kind of fault. `often` is how many of it come in a round of all kinds."""

    name: str
    target: str
    least: float
    most: float
    inject: Inject
    often: int = 1


def heal(world: World) -> None:
    """Everything runs, everything can be reached, nothing is blocked. Raises TransientError when it can't be had."""
    for proxy in (world.elasticsearch_proxy, world.wiz_proxy, world.webhook_proxy):
        proxy.set(Mode())
    world.disk.empty()
    signal_all([process.pid for process in world.dagster_processes()], signal.SIGCONT)
    signal_all([*world.node.pids, *world.receiver_process.pids], signal.SIGCONT)
    world.node.start()
    world.receiver_process.start()
    requests.delete(f"{world.wiz_url}/control/faults", timeout=30)
    world.wiz_control("clock", {"ahead": 0})
    _unblock(world)
    world.await_ready()
    world.start_dagster()


def _run_killed(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    process = _some_run(world, chance)
    return process is not None and signal_all([process.pid], signal.SIGKILL) > 0


def _run_frozen(world: World, seconds: float, chance: Random) -> bool:
    process = _some_run(world, chance)
    return process is not None and _frozen([process.pid], seconds)


def _some_run(world: World, chance: Random) -> psutil.Process | None:
    deadline = time.monotonic() + FIND_SECONDS
    while time.monotonic() < deadline:
        if found := world.run_processes():
            return chance.choice(found)
        time.sleep(0.5)
    return None


def _daemon_killed(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    """The daemon alone; code server and runs live on until they notice."""
    struck = world.daemon.kill()
    time.sleep(seconds)
    world.start_dagster()
    return struck


def _dagster_killed(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    """The daemon with all that it started, as when the machine is gone."""
    pids = [process.pid for process in world.dagster_processes()]
    struck = world.daemon.kill()
    signal_all(pids, signal.SIGKILL)
    world.stop_orphans()
    time.sleep(seconds)
    world.start_dagster()
    return struck


def _code_server_killed(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    struck = signal_all([process.pid for process in world.code_servers()], signal.SIGKILL) > 0
    time.sleep(seconds)
    if not world.code_servers():
        world.daemon.kill()
        world.start_dagster()
    return struck


def _daemon_frozen(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    process = world.daemon.process
    return process is not None and world.daemon.runs and _frozen([process.pid], seconds)


def _killed(member: Callable[[World], Member | NodeMember]) -> Inject:
    def inject(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
        struck = member(world).kill()
        time.sleep(seconds)
        member(world).start()
        return struck

    return inject


def _member_frozen(member: Callable[[World], Member | NodeMember]) -> Inject:
    return lambda world, seconds, chance: _frozen(member(world).pids, seconds)  # noqa: ARG005


def _frozen(pids: list[int], seconds: float) -> bool:
    try:
        return signal_all(pids, signal.SIGSTOP) > 0
    finally:
        time.sleep(seconds)
        signal_all(pids, signal.SIGCONT)


def _connections(proxy: Callable[[World], Proxy], mode: Callable[[Random], Mode]) -> Inject:
    def inject(world: World, seconds: float, chance: Random) -> bool:
        between = proxy(world)
        before = between.struck
        between.set(mode(chance))
        time.sleep(seconds)
        between.set(Mode())
        return between.struck > before

    return inject


def _reset(proxy: Callable[[World], Proxy]) -> Inject:
    """Open connections are reset, until some were or the time is over."""

    def inject(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
        return _eventually(seconds, lambda: proxy(world).reset() > 0)

    return inject


def _eventually(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether it holds before the time is over."""
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return held


def _answers(status: str, kind: str, body: str, *headers: str) -> Mode:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    return Mode(answer="\r\n".join([*lines, *headers, "", body]).encode())


REJECTION = '{"error":{"type":"es_rejected_execution_exception","reason":"queue is full"},"status":429}'
GATEWAY = "<html><body><h1>502 Bad Gateway</h1></body></html>"


def _with_connections_closed(inject: Inject, proxy: Callable[[World], Proxy]) -> Inject:
    """Kept connections are closed first, since only a new one gets somebody else's answer."""

    def closed(world: World, seconds: float, chance: Random) -> bool:
        proxy(world).reset()
        return inject(world, seconds, chance)

    return closed


def _elasticsearch_read_only(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    try:
        _set_block(world, blocked=True)
    except (ApiError, TransportError):
        return False
    time.sleep(seconds)
    _unblock(world)
    return True


def _unblock(world: World) -> None:
    for _ in range(HEAL_TRIES):
        with contextlib.suppress(ApiError, TransportError):
            _set_block(world, blocked=False)
            return
        time.sleep(1)
    raise TransientError("The block on Elasticsearch's indices could not be taken away.")


def _set_block(world: World, *, blocked: bool) -> None:
    value = True if blocked else None
    world.elasticsearch.indices.put_settings(
        index=INDICES, settings={BLOCK: value}, expand_wildcards="all", allow_no_indices=True, ignore_unavailable=True
    )


def _rollover(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    try:
        streams = world.elasticsearch.indices.resolve_index(name=STREAMS)["data_streams"]
        if not streams:
            return False
        name = chance.choice(sorted(stream["name"] for stream in streams))
        return bool(world.elasticsearch.indices.rollover(alias=name)["rolled_over"])
    except (ApiError, TransportError):
        return False


def _disk_full(world: World, seconds: float, chance: Random) -> bool:  # noqa: ARG001
    if not world.disk.fill():
        return False
    time.sleep(seconds)
    world.disk.empty()
    return True


def _clock(direction: int) -> Inject:
    def inject(world: World, seconds: float, chance: Random) -> bool:
        world.wiz_control("clock", {"ahead": direction * chance.randint(20, 120)})
        time.sleep(seconds)
        world.wiz_control("clock", {"ahead": 0})
        return True

    return inject


def _wiz(make: Callable[[Random], list[dict[str, Any]]]) -> Inject:
    """The emulator is told to commit some faults with its next answers; `seconds` is how long a request is awaited."""

    def inject(world: World, seconds: float, chance: Random) -> bool:
        mark = f"campaign {chance.getrandbits(48):012x}"
        world.wiz_control("faults", [{"message": mark, **one} for one in make(chance)])
        return _eventually(
            seconds, lambda: any(one["struck"] for one in world.wiz_control("faults") if one["message"] == mark)
        )

    return inject


def _some(kind: str, **fields: Any) -> Inject:
    """A few answers of one kind, some of them one after the other."""
    return _wiz(lambda chance: [{"kind": kind, "times": chance.randint(2, 6), "every": chance.randint(1, 3), **fields}])


def _unavailable(chance: Random) -> list[dict[str, Any]]:
    return [{"kind": "status", "status": chance.choice((500, 502, 503, 504)), "times": chance.randint(2, 6)}]


def _broken_page(chance: Random) -> list[dict[str, Any]]:
    return [{"kind": chance.choice(("no_page_info", "null_page", "empty_cursor", "repeated_cursor")), "times": 2}]


def _no_token(chance: Random) -> list[dict[str, Any]]:
    refused = {"kind": "status", "root": "token", "status": 503, "times": chance.randint(1, 3)}
    return [refused, {"kind": "expire_tokens", "times": 1}]


def _elasticsearch(world: World) -> Proxy:
    return world.elasticsearch_proxy


def _api(world: World) -> Proxy:
    return world.wiz_proxy


def _webhook(world: World) -> Proxy:
    return world.webhook_proxy


def _node(world: World) -> NodeMember:
    return world.node


def _receiver(world: World) -> Member:
    return world.receiver_process


def _after(least: int, most: int) -> Callable[[Random], Mode]:
    return lambda chance: Mode(cut_after=chance.randint(least, most))


def _refuse(_: Random) -> Mode:
    return Mode(refuse=True)


def _stall(_: Random) -> Mode:
    return Mode(stall=True)


def _busy(_: Random) -> Mode:
    return _answers("429 Too Many Requests", "application/json", REJECTION)


def _bad_gateway(_: Random) -> Mode:
    return _answers("502 Bad Gateway", "text/html", GATEWAY)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("run killed", "run", 0, 0, _run_killed, often=4),
        Kind("run frozen", "run", 5, 20, _run_frozen),
        Kind("daemon killed", "dagster", 1, 5, _daemon_killed),
        Kind("daemon frozen", "dagster", 5, 20, _daemon_frozen),
        Kind("code server killed", "dagster", 5, 10, _code_server_killed),
        Kind("Dagster killed with all its runs", "dagster", 1, 5, _dagster_killed),
        Kind("Elasticsearch killed", "node", 1, 5, _killed(_node)),
        Kind("Elasticsearch frozen", "node", 5, 20, _member_frozen(_node)),
        Kind("Elasticsearch: connections reset", "elasticsearch", 5, 5, _reset(_elasticsearch), often=2),
        Kind("Elasticsearch: unreachable", "elasticsearch", 3, 8, _connections(_elasticsearch, _refuse)),
        Kind("Elasticsearch: connections stall", "elasticsearch", 3, 10, _connections(_elasticsearch, _stall)),
        Kind(
            "Elasticsearch: answers cut", "elasticsearch", 2, 5, _connections(_elasticsearch, _after(0, 4000)), often=2
        ),
        Kind(
            "Elasticsearch: 429",
            "elasticsearch",
            2,
            6,
            _with_connections_closed(_connections(_elasticsearch, _busy), _elasticsearch),
        ),
        Kind(
            "Elasticsearch: 502 of a gateway",
            "elasticsearch",
            2,
            6,
            _with_connections_closed(_connections(_elasticsearch, _bad_gateway), _elasticsearch),
        ),
        Kind("Elasticsearch: read only, as on a full disk", "indices", 3, 8, _elasticsearch_read_only),
        Kind("rollover", "indices", 0, 0, _rollover, often=2),
        Kind("receiver killed", "receiver", 0.5, 4, _killed(_receiver), often=2),
        Kind("receiver frozen", "receiver", 3, 10, _member_frozen(_receiver)),
        Kind("webhook: connections reset", "webhook", 5, 5, _reset(_webhook)),
        Kind("webhook: TLS cut", "webhook", 3, 8, _connections(_webhook, _after(0, 6000))),
        Kind("webhook: connections stall", "webhook", 3, 8, _connections(_webhook, _stall)),
        Kind("Wiz: connections reset", "api", 15, 15, _reset(_api)),
        Kind("Wiz: unreachable", "api", 3, 8, _connections(_api, _refuse)),
        Kind("Wiz: connections stall", "api", 3, 10, _connections(_api, _stall)),
        Kind("Wiz: 429", "wiz", 20, 30, _some("status", status=429, retry_after="2")),
        Kind("Wiz: throttled in the body", "wiz", 20, 30, _some("error", code="RATE_LIMIT_EXCEEDED", retry_after="1")),
        Kind("Wiz: 5xx", "wiz", 20, 30, _wiz(_unavailable)),
        Kind("Wiz: a page of HTML", "wiz", 20, 30, _some("not_json")),
        Kind("Wiz: answers cut", "wiz", 20, 30, _some("cut")),
        Kind("Wiz: slow", "wiz", 20, 30, _some("latency", seconds=4.0)),
        Kind("Wiz: answers drip", "wiz", 20, 30, _some("drip", seconds=0.2)),
        Kind("Wiz: tokens expire", "wiz", 20, 30, _some("expire_tokens")),
        Kind("Wiz: no token to be had", "wiz", 20, 30, _wiz(_no_token)),
        Kind("Wiz: internal error", "wiz", 20, 30, _some("error", code="INTERNAL")),
        Kind("Wiz: errors beside data", "wiz", 20, 30, _some("errors_beside_data")),
        Kind("Wiz: broken pages", "wiz", 20, 30, _wiz(_broken_page)),
        Kind("Wiz: empty pages", "wiz", 20, 30, _some("empty_page")),
        Kind("Wiz: null nodes", "wiz", 20, 30, _some("null_nodes", count=3)),
        Kind("disk full", "disk", 2, 6, _disk_full, often=2),
        Kind("the tenant's clock ahead", "clock", 5, 15, _clock(1)),
        Kind("the tenant's clock behind", "clock", 5, 15, _clock(-1)),
    )
}
"""Every kind by its name."""

FAILURES = (WizDagsterError, requests.RequestException, psutil.Error, OSError)
"""What an injection may end with where the world is just being broken by another one; the fault then doesn't count."""
