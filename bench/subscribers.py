"""What subscribers cost: upstream calls, memory, and the time until all are told. Prints tables for docs/live.md.

The gateway runs as a process of its own, as `syncgraph serve` does, over sandboxes whose time stands still until told.
"""

# ruff: noqa: T201, INP001  # a script

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import LiveSettings, ProviderSettings
from syncgraph.http.ws import PROTOCOL
from syncgraph.serving import WEBSOCKETS

NOW = datetime(2026, 11, 22, 9, 41, 7, tzinfo=UTC)
SUBSCRIBERS = 1000
LATER = timedelta(minutes=20)
EVENTS = 11
"""What happens at the sandboxes in that time, as one poll sees it."""
RUNS = "subscription { syncRunChanged { kind observedAt run { id status sync { name } } } }"
PROD = "subscription { providerHealthChanged { id } }"
KIB = 1024


def serve() -> None:
    """The gateway, with one more route: its upstream calls, its memory, and its time."""
    state = {"now": NOW, "calls": 0}

    class Counting(httpx2.AsyncBaseTransport):
        def __init__(self, settings: ProviderSettings) -> None:
            self._sandbox = sandboxes.connect(lambda: state["now"])(settings)

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            state["calls"] += 1
            return await self._sandbox.handle_async_request(request)

    def measure(request: Request) -> JSONResponse:
        if "later" in request.query_params:
            state["now"] += LATER
        return JSONResponse({"calls": state["calls"], "rss": resident()})

    live = LiveSettings(
        poll_running_s=3600,
        poll_idle_s=3600,
        max_connections=2 * SUBSCRIBERS,
        max_subscriptions=2 * SUBSCRIBERS,
    )
    app = create_app(replace(sandboxes.settings(), live=live), connect=Counting, clock=lambda: state["now"])
    app.router.routes.append(Route("/measure", measure))
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(app, access_log=False, log_level="warning", **WEBSOCKETS)
        uvicorn.Server(config).run(sockets=[listener])


def resident() -> int:
    """Bytes of this process in memory."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * KIB


class Gateway:
    """The process, seen from outside."""

    def __init__(self, port: int, http: httpx2.AsyncClient) -> None:
        self._port = port
        self._http = http

    async def measure(self, **params: str) -> dict[str, int]:
        found: dict[str, int] = (await self._http.get("/measure", params=params)).json()
        return found

    async def settled(self) -> dict[str, int]:
        """Once no more calls are made."""
        before = await self.measure()
        while True:
            await asyncio.sleep(1)
            after = await self.measure()
            if after["calls"] == before["calls"]:
                return after
            before = after

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ClientConnection]:
        address = f"ws://127.0.0.1:{self._port}/graphql"
        async with connect(
            address, subprotocols=[Subprotocol(PROTOCOL)], compression=None, max_queue=None
        ) as one:
            await one.send('{"type": "connection_init"}')
            await one.recv()
            yield one


@asynccontextmanager
async def gateway() -> AsyncIterator[Gateway]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "serve", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield Gateway(port, http)
    finally:
        process.kill()
        await process.wait()


async def subscribe(client: ClientConnection, name: str, query: str = RUNS) -> None:
    await client.send(json.dumps({"id": name, "type": "subscribe", "payload": {"query": query}}))


async def told(client: ClientConnection, number: int) -> None:
    for _ in range(number):
        assert json.loads(await client.recv())["type"] == "next"


async def measured(subscribers: int, sockets: int) -> tuple[int, float, float]:
    """Upstream calls of two polls and the answers; KiB per subscriber; seconds from the second poll until all are told."""
    async with gateway() as its, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(its.client()) for _ in range(1)]
        await subscribe(clients[0], "warm")
        await its.settled()
        before = await its.measure()
        clients += [await stack.enter_async_context(its.client()) for _ in range(sockets)]
        for number in range(subscribers):
            await subscribe(clients[1 + number % sockets], f"{number}")
        after = await its.settled()
        await its.measure(later="1")
        began = time.perf_counter()
        await subscribe(clients[0], "prod", PROD)
        each = subscribers // sockets
        await asyncio.gather(told(clients[0], EVENTS), *(told(one, each * EVENTS) for one in clients[1:]))
        took = time.perf_counter() - began
        calls = (await its.settled())["calls"]
    return calls, (after["rss"] - before["rss"]) / KIB / subscribers, took


async def main() -> None:
    print("| subscribers | sockets | upstream calls | KiB each | until all are told, s |")
    print("|---:|---:|---:|---:|---:|")
    for subscribers, sockets in ((1, 1), (SUBSCRIBERS, 1), (SUBSCRIBERS, SUBSCRIBERS)):
        calls, kib, took = await measured(subscribers, sockets)
        memory = f"{kib:.1f}" if subscribers > 1 else "-"
        print(f"| {subscribers:,} | {sockets:,} | {calls} | {memory} | {took:.2f} |", flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else asyncio.run(main())
