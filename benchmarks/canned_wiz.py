"""A Wiz that answers from canned pages, fast enough not to be what is measured: issues of one day.

The pages hold generated issues as the query selects them; a page is one text whose ids and times are filled in when it
is asked for, so that a million different issues cost the memory of a few thousand. Run as a program, it prints its
address and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wiz_dagster.datasets import dataset_named
from wiz_dagster.sandbox.wiz.server import WizEmulator
from wiz_dagster.sandbox.wiz.tenant import Tenant
from wiz_dagster.wiz.windows import format_time, parse_time

PAGE = 500
TEMPLATES = 8
PAGE_MARK = b"@@PAGE@@"
TIME_MARK = b"@@TIME@@"
DAY = timedelta(days=1)


def page_templates(day: datetime) -> list[bytes]:
    """Pages of generated issues, their ids and times marked for filling in; Wiz's own shapes otherwise."""
    now = day + 3 * DAY
    tenant = Tenant(now=now, seed=11, days=12, volumes={"audit": 1, "issue": PAGE})
    with WizEmulator(tenant) as emulator:
        login = {
            "grant_type": "client_credentials",
            "client_id": emulator.client_id,
            "client_secret": emulator.client_secret,
            "audience": emulator.audience,
        }
        token = requests.post(emulator.token_url, data=login, timeout=30).json()["access_token"]
        nodes = _nodes(emulator.api_url, token, PAGE * TEMPLATES, day)
    return [_template(nodes[start : start + PAGE]) for start in range(0, PAGE * TEMPLATES, PAGE)]


def _nodes(url: str, token: str, wanted: int, day: datetime) -> list[dict[str, Any]]:
    query, after = dataset_named("issue").query(), None
    bounds = {"after": format_time(day - 8 * DAY), "before": format_time(day + 3 * DAY)}
    nodes: list[dict[str, Any]] = []
    while len(nodes) < wanted:
        variables = {"first": PAGE, "after": after, "filterBy": {"createdAt": bounds}, "withCount": False}
        answer = requests.post(
            url,
            json={"query": query, "variables": variables},
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        ).json()["data"]["issuesV2"]
        nodes += [node for node in answer["nodes"] if node]
        after = answer["pageInfo"]["endCursor"]
    return nodes[:wanted]


def _template(nodes: list[dict[str, Any]]) -> bytes:
    for number, node in enumerate(nodes):
        node["id"] = f"{PAGE_MARK.decode()}-0000-4000-8000-{number:012d}"
        node["statusChangedAt"] = node["updatedAt"] = TIME_MARK.decode()
    return orjson.dumps(nodes)


class CannedWiz:
    """`count` issues whose status changed on `day`, evenly over its pages."""

    def __init__(self, day: datetime, count: int) -> None:
        self.templates = page_templates(day)
        self.day = day
        self.count = count
        self.pages = -(-count // PAGE)

    def time_of(self, page: int) -> datetime:
        """When all issues of a page changed."""
        return self.day + DAY * page / self.pages

    def answer(self, variables: dict[str, Any]) -> bytes:
        """One page of what the variables ask for."""
        bounds = variables["filterBy"].get("statusChangedAt")
        total = self.count if bounds else 0
        last = -1
        if bounds:
            after, before = parse_time(bounds["after"]), parse_time(bounds["before"])
            assert after is not None and before is not None
            first = 0 if variables["after"] is None else int(variables["after"])
            while first < self.pages and self.time_of(first) <= after:
                first += 1
            last = self.pages - 1
            while last >= 0 and self.time_of(last) >= before:
                last -= 1
        if last < 0 or first > last:
            nodes, info = b"[]", {"hasNextPage": False, "endCursor": None}
        else:
            template = self.templates[first % TEMPLATES]
            nodes = template.replace(PAGE_MARK, b"%08x" % first)
            nodes = nodes.replace(TIME_MARK, format_time(self.time_of(first)).encode())
            info = {"hasNextPage": first < last, "endCursor": str(first + 1)}
        return b'{"data":{"issuesV2":{"totalCount":%d,"pageInfo":%b,"nodes":%b}}}' % (total, orjson.dumps(info), nodes)


def application(wiz: CannedWiz) -> Starlette:
    """The two addresses of a Wiz."""

    async def token(_: Request) -> Response:
        return Response(orjson.dumps({"access_token": "canned", "token_type": "Bearer", "expires_in": 86400}))

    async def graphql(request: Request) -> Response:
        body = orjson.loads(await request.body())
        return Response(wiz.answer(body["variables"]), media_type="application/json")

    return Starlette(
        routes=[Route("/oauth/token", token, methods=["POST"]), Route("/graphql", graphql, methods=["POST"])]
    )


def main() -> None:
    """Serve on a free port of the loopback interface; the first line of output is the address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--day", required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    wiz = CannedWiz(datetime.fromisoformat(options.day).replace(tzinfo=UTC), options.count)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(application(wiz), log_level="critical", access_log=False, lifespan="off")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
