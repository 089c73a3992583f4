"""One operation with 500 runs of 15 fields each, over remembered answers of the sandboxes: where does the time go?

Prints a Markdown table for docs/architecture.md. Run it on a machine that does nothing else.
"""

# ruff: noqa: T201, INP001  # a script

import asyncio
import cProfile
import json
import pstats
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx2

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import ProviderSettings

NOW = datetime(2026, 11, 22, 9, 41, 7, tzinfo=UTC)
RUNS, PAGE, BEST_OF, PROFILED = 500, 100, 15, 10
FIELDS = (
    "id externalId providerName status rawStatus trigger orderedAt createdAt startedAt finishedAt durationSeconds "
    "queueSeconds attempt nextAttemptAt webUrl"
)
FIND = "{ connectors(first: 100) { nodes { id runs(first: 100) { nodes { id } } } } }"

Function = tuple[str, int, str]
GROUPS: tuple[tuple[str, str], ...] = (
    ("encoding the answer", r"msgspec\._core\.encode|endpoint\.py:\d+:_write|function encode>"),
    ("mapping to the domain", r"syncgraph/providers/\w+/(mapping|ids|typeid|order)\.py|syncgraph/domain/(model|details|failure|instant)\.py"),
    ("merging pages", r"syncgraph/(domain/(merge|page)|lists|graph/types/pages|graph/cursors)\.py"),
    ("HTTP and JSON of the upstreams", r"syncgraph/(upstream|providers)/|msgspec\.json\.Decoder|site-packages/(stamina|httpx2|httpcore2)/"),
    ("graphql-core and resolvers", r"site-packages/(graphql|strawberry|aiodataloader|graphql_core)|syncgraph/(graph|loaders)"),
    ("everything else", r"asyncio/|selectors\.py|starlette|bench/|select\.epoll"),
)  # fmt: skip
"""What a function belongs to, by the first pattern that its file and name match; else it belongs to its callers."""


class Remembering(httpx2.AsyncBaseTransport):
    """A sandbox that works out every answer once, so that its own work is not measured."""

    def __init__(self, sandbox: httpx2.AsyncBaseTransport) -> None:
        self._sandbox = sandbox
        self._answers: dict[bytes, tuple[int, list[tuple[bytes, bytes]], bytes]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        key = request.url.raw_path
        if key not in self._answers:
            answer = await self._sandbox.handle_async_request(request)
            self._answers[key] = answer.status_code, answer.headers.raw, await answer.aread()
        status, headers, body = self._answers[key]
        return httpx2.Response(status, headers=headers, content=body)


def remembered(settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
    return Remembering(sandboxes.connect(lambda: NOW)(settings))


async def ask(http: httpx2.AsyncClient, query: str) -> bytes:
    answer = await http.post("/graphql", json={"query": query})
    return answer.content


async def the_query(http: httpx2.AsyncClient) -> str:
    """Five connectors' first hundred runs, as aliases of one operation."""
    nodes = json.loads(await ask(http, FIND))["data"]["connectors"]["nodes"]
    full = [one["id"] for one in nodes if one["runs"] and len(one["runs"]["nodes"]) == PAGE][: RUNS // PAGE]
    page = f"... on Connector {{ runs(first: {PAGE}) {{ nodes {{ {FIELDS} }} }} }}"
    return "{" + " ".join(f'c{n}: node(id: "{one}") {{ {page} }}' for n, one in enumerate(full)) + "}"


def check(answer: bytes) -> None:
    body = json.loads(answer)
    runs = [run for one in body["data"].values() for run in one["runs"]["nodes"]]
    if body.get("errors") or len(runs) != RUNS or {len(run) for run in runs} != {15}:
        raise SystemExit(f"not {RUNS} runs with 15 fields: {len(runs)}, {body.get('errors')}")


async def measure() -> tuple[float, pstats.Stats, int]:
    """The best time in milliseconds, the profile, and how large the answer is."""
    app = create_app(sandboxes.settings(), connect=remembered, clock=lambda: NOW)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http,
    ):
        query = await the_query(http)
        answer = await ask(http, query)
        check(answer)
        times = []
        for _ in range(BEST_OF):
            begun = time.perf_counter()
            await ask(http, query)
            times.append(time.perf_counter() - begun)
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(PROFILED):
            await ask(http, query)
        profile.disable()
    return min(times) * 1000, pstats.Stats(profile), len(answer)


def shares(stats: pstats.Stats) -> Mapping[str, float]:
    """The own time of all functions, by group, as a part of 1."""
    # `stats.stats` is what pstats keeps: by function, its own time and, by caller, the part of it spent for that one.
    table: Mapping[Function, tuple[int, int, float, float, Mapping[Function, tuple[int, int, float, float]]]]
    table = stats.stats  # type: ignore[attr-defined]
    totals: defaultdict[str, float] = defaultdict(float)

    def give(function: Function, seconds: float, seen: frozenset[Function]) -> None:
        group = group_of(function)
        callers = {one: its for one, its in table[function][4].items() if one not in seen and one in table}
        weight = sum(its[3] for its in callers.values())
        if group is not None or not callers or not weight:
            totals[group or GROUPS[-1][0]] += seconds
            return
        for caller, its in callers.items():
            give(caller, seconds * its[3] / weight, seen | {function})

    for function, (_, _, own, _, _) in table.items():
        if own:
            give(function, own, frozenset({function}))
    whole = sum(totals.values())
    return {group: totals[group] / whole for group, _ in GROUPS}


def group_of(function: Function) -> str | None:
    file, line, name = function
    place = f"{file}:{line}:{name}"
    return next((group for group, pattern in GROUPS if re.search(pattern, place)), None)


def main() -> None:
    total_ms, stats, size = asyncio.run(measure())
    print(f"{RUNS} runs x 15 fields, {size / 1024:.0f} KiB: {total_ms:.1f} ms (best of {BEST_OF})\n")
    print("| part | share | ms |\n|---|---:|---:|")
    for group, part in sorted(shares(stats).items(), key=lambda one: -one[1]):
        print(f"| {group} | {part:.0%} | {part * total_ms:.1f} |")


if __name__ == "__main__":
    main()
