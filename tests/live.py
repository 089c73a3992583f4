"""A gateway on a real socket whose providers are asked often, and a client of its subscriptions by WebSocket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from tests.gateway import Upstreams
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import LiveSettings, Settings
from syncgraph.http.ws import PROTOCOL
from syncgraph.serving import WEBSOCKETS

PATIENCE_S = 60
"""For what happens at once, on a busy machine."""

OFTEN = LiveSettings(poll_running_s=0.02, poll_idle_s=0.02)
RUNS = "subscription { syncRunChanged { kind previousStatus observedAt run { id providerName externalId status } } }"


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """``host:port`` of ``app`` on a socket, with the server's own way to speak WebSocket."""
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, **WEBSOCKETS)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@dataclass
class Live:
    """A gateway with subscriptions; its time stands still but for ``passing``."""

    address: str
    upstreams: Upstreams

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Half a minute every now and then, so that runs begin and end."""

        async def pass_on() -> None:
            while True:
                self.upstreams.now += timedelta(seconds=30)
                await asyncio.sleep(0.05)

        task = asyncio.create_task(pass_on())
        try:
            yield
        finally:
            task.cancel()

    async def at_rest(self) -> None:
        """Until nobody is asked any more, as nobody subscribes."""

        async def rests() -> bool:
            before = len(self.upstreams.sent)
            await asyncio.sleep(20 * OFTEN.poll_idle_s)
            return len(self.upstreams.sent) == before

        await until(rests)

    @asynccontextmanager
    async def client(self, **kwargs: Any) -> AsyncIterator["Client"]:
        """One that has said hello."""
        async with self.socket(**kwargs) as socket:
            await socket.send('{"type": "connection_init"}')
            assert await heard(socket) == {"type": "connection_ack"}
            yield Client(socket)

    def socket(self, path: str = "/graphql", **kwargs: Any) -> connect:
        options = {"subprotocols": [Subprotocol(PROTOCOL)], "compression": None, **kwargs}
        return connect(f"ws://{self.address}{path}", **options)


@asynccontextmanager
async def live(
    settings: Settings | None = None, *, live: LiveSettings = OFTEN, upstreams: Upstreams | None = None
) -> AsyncIterator[Live]:
    upstreams = upstreams or Upstreams()
    its = replace(settings or sandboxes.settings(), live=live)
    app = create_app(its, connect=upstreams.connect, clock=lambda: upstreams.now)
    async with listening(app) as address:
        yield Live(address, upstreams)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110  # servers notice an end without an event that one could wait for
            await asyncio.sleep(0.01)


async def heard(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        found: dict[str, Any] = json.loads(await socket.recv())
    return found


@dataclass
class Client:
    """Speaks graphql-transport-ws, as little as a test needs."""

    socket: ClientConnection
    kept: list[dict[str, Any]] = field(default_factory=list)

    async def subscribe(self, query: str = RUNS, id: str = "1", **variables: object) -> None:
        payload = {"query": query, "variables": variables}
        await self.send({"id": id, "type": "subscribe", "payload": payload})

    async def joined(self) -> None:
        """Until the server has taken all that was sent: messages are taken in turn, and a ping is answered at once."""
        await self.send({"type": "ping"})
        await self.wait_for(lambda message: message["type"] == "pong")

    async def send(self, message: object) -> None:
        await self.socket.send(json.dumps(message))

    async def next(self, id: str = "1") -> dict[str, Any]:
        """The next answer of one operation; those of the others are kept for later."""
        return await self.wait_for(lambda message: message.get("id") == id)

    async def wait_for(self, fits: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        for place, message in enumerate(self.kept):
            if fits(message):
                return self.kept.pop(place)
        while not fits(message := await heard(self.socket)):
            self.kept.append(message)
        return message
