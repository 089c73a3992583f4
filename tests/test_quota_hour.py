"""An hour at an Airweave of ten requests a minute, with 22 connections and a hundred clients, in virtual time.

So in ``make test-deep``; else a quarter of an hour and fewer clients.
"""

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2
import msgspec
import structlog
from tests import virtual
from tests.gateway import NOW

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import Settings
from syncgraph.domain.model import SyncKey
from syncgraph.graph import ids
from syncgraph.providers.airweave import sandbox, sandbox_data
from syncgraph.providers.airweave.sandbox_data import Link

IS_DEEP = int(os.environ.get("SYNCGRAPH_EXAMPLES", "0")) > 200
CLIENTS, PERIOD_S = (100, 3600.0) if IS_DEEP else (50, 900.0)
CONNECTIONS, RUNNING = 22, 2
ONE_S, ALL_S = 30.0, 300.0
ROUND_S = 60.0 * (CONNECTIONS + 1) / 8
"""In which every list can be read once by eight requests a minute."""
LINKS = tuple(
    Link(
        name=f"Connection {n}",
        short_name=f"source_{n}",
        created_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=n),
        entity="Entity",
        period=timedelta(minutes=20) if n < RUNNING else timedelta(days=90),
        share=0.9 if n < RUNNING else 0.001,
        runs=10 if n < RUNNING else 2,
    )
    for n in range(CONNECTIONS)
)
QUERY = """
query ($first: Int!, $syncs: [ID!]) {
  syncRuns(first: $first, filter: {syncs: $syncs}) {
    nodes { externalId rawStatus }
    sources { status fetchedAt code }
  }
}
"""
STEPS = {"pending": 0, "running": 1}
"""A job's way; whatever else is its end."""


@dataclass
class Seen:
    """What the clients of an hour were told, and what the provider was asked."""

    asked: list[tuple[float, str, int]] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    oldest_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By connection: the oldest answer that anybody got after the first minutes."""
    failed_until_s: float = 0.0
    moved: set[str] = field(default_factory=set)


class Spied(httpx2.AsyncBaseTransport):
    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        app = sandbox.app(clock=virtual.now, contract="source-connections", limits=True, links=LINKS)
        self._inner = httpx2.ASGITransport(app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        self._seen.asked.append((asyncio.get_running_loop().time(), request.url.path, answer.status_code))
        return answer


def only_airweave() -> Settings:
    every = sandboxes.settings()
    return Settings(every.server, {"airweave": every.providers["airweave"]}, every.cache)


class Client:
    """Asks for one connection's runs, or for all of them, again and again."""

    def __init__(self, number: int, http: httpx2.AsyncClient, seen: Seen) -> None:
        self.http, self.seen = http, seen
        self.wants_all = number % 10 == 0
        self.links = LINKS if self.wants_all else (LINKS[number % CONNECTIONS],)
        self.period_s = ALL_S if self.wants_all else ONE_S
        self.phase_s = self.period_s * number / CLIENTS

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.phase_s)
        while loop.time() < PERIOD_S:
            await self.ask()
            await asyncio.sleep(self.period_s)

    async def ask(self) -> None:
        syncs = None if self.wants_all else [ids.encode(SyncKey("airweave", self.links[0].id))]
        answer = await self.http.post(
            "/graphql", json={"query": QUERY, "variables": {"first": 100, "syncs": syncs}}
        )
        page = msgspec.json.decode(answer.content)["data"]["syncRuns"]
        (source,) = page["sources"]
        self.seen.statuses[source["status"]] += 1
        if source["status"] in {"OK", "STALE"}:
            self.check(page["nodes"], datetime.fromisoformat(source["fetchedAt"]))
        else:
            self.seen.failed_until_s = asyncio.get_running_loop().time()

    def check(self, rows: list[dict[str, str]], fetched_at: datetime) -> None:
        """Every row is what the provider said at some instant since the one that the answer names."""
        now = virtual.now()
        shown = {row["externalId"]: row["rawStatus"] for row in rows}
        for link in self.links:
            before, since = jobs(link, fetched_at, 5), jobs(link, now, 10)
            for job, status in before.items():
                assert step(status) <= step(shown[job]) <= step(since[job])
                self.seen.moved |= {job} if shown[job] != since[job] else set()
            if (now - NOW).total_seconds() > ROUND_S and not self.wants_all:
                age_s = (now - fetched_at).total_seconds()
                self.seen.oldest_s[link.id] = max(self.seen.oldest_s[link.id], age_s)


def jobs(link: Link, at: datetime, count: int) -> dict[str, str]:
    assert link.runs is not None
    found = sandbox_data.jobs(link, at, count=min(count, link.runs))
    return {f"{link.id}/{job.id}": job.status for job in found}


def step(status: str) -> int:
    return STEPS.get(status, 2)


async def an_hour() -> Seen:
    seen = Seen()
    app = create_app(only_airweave(), connect=lambda _: Spied(seen), clock=virtual.now)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway") as http,
    ):
        await asyncio.gather(*(Client(number, http, seen).run() for number in range(CLIENTS)))
    return seen


def test_an_hour_within_ten_requests_a_minute():
    with structlog.testing.capture_logs():
        seen = virtual.run(an_hour())

    statuses = {status for *_, status in seen.asked}
    at = [at for at, *_ in seen.asked]
    assert statuses == {200}, "no request was one too many"
    assert all(last - first >= 60 for first, last in zip(at, at[8:], strict=False))
    assert seen.moved, "some answers were old, and showed it"
    assert len(seen.oldest_s) == CONNECTIONS
    assert max(seen.oldest_s.values()) <= ROUND_S + ONE_S, "every connection is read again in turn"
    assert seen.failed_until_s <= ROUND_S, "once everything was read, there is always an answer"
