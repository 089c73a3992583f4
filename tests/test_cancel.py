"""Clients that hang up: what was begun for them ends, nobody else is harmed, and nothing is left over. Over sockets."""

import asyncio
import gc
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from tests.gateway import NOW, nothing_kept
from tests.replay import serving

from syncgraph import sandboxes
from syncgraph.accounts import Accounts, Budget, Open, Opened, Terms, Used
from syncgraph.app import create_app
from syncgraph.config import Settings

PATIENCE_S = 60
"""For what happens at once unless something is broken."""

CANCELLED = 0.3
SIDE_BY_SIDE = 25


async def soon(condition: Callable[[], bool], *, or_say: Callable[[], object]) -> None:
    """Until ``condition`` holds, checked at every turn of the event loop's clock."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  # sockets and tasks end without an event that one could wait for
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"still: {or_say()}")


def open_sockets() -> int:
    """Sockets of this process."""
    links = []
    for one in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(one.readlink()))
        except FileNotFoundError:
            continue  # the directory's own
    return sum(link.startswith("socket:") for link in links)


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="counts sockets as Linux shows them"
)


def settings_of(addresses: dict[str, str], **changes: object) -> Settings:
    """The sandboxes' settings, reached at ``addresses``; without a provider that has none."""
    configured = nothing_kept(sandboxes.settings())
    providers = {
        name: its.model_copy(update={"base_url": addresses[name], **changes})
        for name, its in configured.providers.items()
        if name in addresses
    }
    return replace(configured, providers=providers)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[str, int]]:
    """Host and port of the gateway."""
    async with serving(create_app(settings, clock=lambda: NOW)) as base_url:
        host, port = base_url.removeprefix("http://").split(":")
        yield host, int(port)


@dataclass
class Client:
    """One connection to the gateway, which can be broken off at any byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connect(cls, at: tuple[str, int]) -> "Client":
        return cls(*await asyncio.open_connection(*at))

    async def send(self, query: str) -> None:
        body = json.dumps({"query": query}).encode()
        head = f"POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def receive(self) -> tuple[int, Any]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
        body = await self.reader.readexactly(int(headers[b"content-length"]))
        return int(head.split()[1]), json.loads(body)

    async def ask(self, query: str) -> tuple[int, Any]:
        await self.send(query)
        return await self.receive()

    async def hang_up(self, *, rudely: bool = False) -> None:
        """``rudely``: with a reset."""
        if rudely:
            self.writer.transport.abort()
        else:
            self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return


async def ask(at: tuple[str, int], query: str) -> tuple[int, Any]:
    client = await Client.connect(at)
    try:
        return await client.ask(query)
    finally:
        await client.hang_up()


# a slow upstream


@dataclass
class Slow:
    """An Outlit that holds every answer back, and sees who waits and who leaves."""

    release: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    left: int = 0
    answered: int = 0

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> "_Held":
        self.asked += 1
        return _Held(self)


class _Held(Response):
    def __init__(self, slow: Slow) -> None:
        super().__init__()
        self._slow = slow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        released = asyncio.ensure_future(self._slow.release.wait())
        left = asyncio.ensure_future(_has_left(receive))
        await asyncio.wait({released, left}, return_when=asyncio.FIRST_COMPLETED)
        for task in (released, left):
            task.cancel()
        await asyncio.gather(released, left, return_exceptions=True)
        if self._slow.release.is_set():
            self._slow.answered += 1
            await JSONResponse({"items": []})(scope, receive, send)
        else:
            self._slow.left += 1


async def _has_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


CONNECTORS = "{ connectors { nodes { name } sources { status code } } }"


@asynccontextmanager
async def gateway_over_slow(**changes: object) -> AsyncIterator[tuple[Slow, tuple[str, int]]]:
    slow = Slow()
    async with serving(slow.app()) as upstream:
        # A deadline that no run of this test reaches: only the client's leaving can end a call.
        settings = settings_of({"outlit": upstream}, attempt_timeout_s=PATIENCE_S * 5, **changes)
        server = settings.server.model_copy(update={"operation_timeout_s": PATIENCE_S * 10})
        async with served(replace(settings, server=server)) as at:
            yield slow, at
            slow.release.set()


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
async def test_a_client_that_hangs_up_ends_the_upstream_call_that_was_made_for_it(*, rudely: bool):
    async with gateway_over_slow() as (slow, at):
        client = await Client.connect(at)
        await client.send(CONNECTORS)
        await soon(lambda: slow.asked == 1, or_say=lambda: slow)

        await client.hang_up(rudely=rudely)

        await soon(lambda: slow.left == 1, or_say=lambda: slow)
        assert (slow.asked, slow.answered) == (1, 0)


def sync_of(integration: str) -> str:
    """A query of its own upstream call."""
    return f'{{ sync(provider: "outlit", externalId: "{integration}/Model") {{ name }} }}'


async def test_a_call_that_two_requests_share_goes_on_when_the_one_that_began_it_leaves():
    async with gateway_over_slow() as (slow, at):
        beginning, joining = await Client.connect(at), await Client.connect(at)
        await beginning.send(CONNECTORS)
        await soon(lambda: slow.asked == 1, or_say=lambda: slow)
        await joining.send(CONNECTORS)
        other = await Client.connect(at)
        await other.send(sync_of("slack"))
        await soon(lambda: slow.asked == 2, or_say=lambda: slow)  # by now the joining one waits, too

        await beginning.hang_up()
        slow.release.set()
        async with asyncio.timeout(PATIENCE_S):
            assert (await joining.receive())[0] == 200
        for client in (joining, other):
            await client.hang_up()

    assert (slow.asked, slow.left) == (2, 0)


async def test_of_two_requests_side_by_side_one_is_cancelled_and_the_other_unharmed():
    async with gateway_over_slow() as (slow, at):
        leaving, staying = await Client.connect(at), await Client.connect(at)
        await leaving.send(sync_of("slack"))
        await staying.send(sync_of("stripe"))
        await soon(lambda: slow.asked == 2, or_say=lambda: slow)

        await leaving.hang_up()
        await soon(lambda: slow.left == 1, or_say=lambda: slow)
        slow.release.set()
        async with asyncio.timeout(PATIENCE_S):
            status, _ = await staying.receive()
        await staying.hang_up()

        assert status == 200
        assert (slow.left, slow.answered) == (1, 1)


async def test_a_cancelled_request_gives_its_place_at_the_provider_back():
    async with gateway_over_slow(concurrency=1) as (slow, at):
        waiting = [await Client.connect(at) for _ in range(4)]
        for client, integration in zip(waiting, ("slack", "stripe", "hubspot", "attio"), strict=True):
            await client.send(sync_of(integration))
        await soon(lambda: slow.asked == 1, or_say=lambda: slow)
        for number, client in enumerate(waiting, start=1):
            await client.hang_up()
            await soon(lambda left=number: slow.left >= min(left, slow.asked), or_say=lambda: slow)  # type: ignore[misc]
        slow.release.set()

        async with asyncio.timeout(PATIENCE_S):
            status, _ = await ask(at, CONNECTORS)

        assert status == 200
        assert slow.answered >= 1


@dataclass
class SlowMeter:
    """What one request has under way at one provider, and takes its time to end."""

    may_end: asyncio.Event
    calls: int = 0
    used: Used = field(default_factory=Used)
    has_begun: bool = False
    has_ended: bool = False

    async def close(self) -> None:
        self.has_begun = True
        await self.may_end.wait()
        self.has_ended = True


async def test_who_leaves_while_the_calls_are_being_ended_leaves_none_of_them():
    may_end = asyncio.Event()
    meters = [SlowMeter(may_end), SlowMeter(may_end)]
    nobody: Any = None

    def opens(meter: SlowMeter) -> Open:
        return lambda _: Opened(nobody, meter)

    accounts = Accounts({name: opens(meter) for name, meter in zip("ab", meters, strict=True)})

    async def request() -> None:
        async with accounts.open(Terms(began=0, deadline=0, now=NOW, budget=Budget(0))):
            pass

    leaving = asyncio.create_task(request())
    await soon(lambda: meters[0].has_begun, or_say=lambda: meters)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    may_end.set()

    await soon(lambda: all(meter.has_ended for meter in meters), or_say=lambda: meters)


async def test_within_one_operation_a_field_that_fails_leaves_the_others_calls_running():
    """An operation is one request: what one field does must not cancel the exchange that another waits for."""
    async with gateway_over_slow() as (slow, at):
        client = await Client.connect(at)
        await client.send(
            "{ bad: connectors(first: 0) { nodes { id } } good: connectors { nodes { id } sources { status } } }"
        )
        await soon(lambda: slow.asked == 1, or_say=lambda: slow)
        slow.release.set()
        async with asyncio.timeout(PATIENCE_S):
            status, body = await client.receive()
        await client.hang_up()

    assert status == 200
    assert body["data"]["bad"] is None
    assert body["data"]["good"]["sources"]
    assert slow.left == 0


async def test_a_gateway_that_stops_while_a_client_waits_leaves_nothing():
    before = len(asyncio.all_tasks())
    async with gateway_over_slow() as (slow, at):
        client = await Client.connect(at)
        await client.send(CONNECTORS)
        await soon(lambda: slow.asked == 1, or_say=lambda: slow)
        await client.hang_up()
    await soon(lambda: len(asyncio.all_tasks()) == before, or_say=asyncio.all_tasks)


# many


QUERIES = [
    '{ provider(name: "outlit") { connectors(first: 2) { nodes { id name } } } }',
    '{ provider(name: "timbal") { connectors(first: 1) { nodes { id syncs(first: 1) { nodes { name } } } } } }',
    '{ provider(name: "airweave") { connectors(first: 1) { nodes { name } } } }',
    "{ connectors(first: 1) { nodes { id } } }",
]  # fmt: skip

DELAY_S = 0.005
"""Of every upstream answer, so that cancels strike while one is waited for."""


class Remembering:
    """A sandbox that works out each answer once: two thousand requests are about the gateway."""

    def __init__(self, name: str) -> None:
        its = sandboxes.SANDBOXES[name]
        self._app = its.app(clock=lambda: NOW, contract=sandboxes.default_contract(name), runs=5)
        self._answers: dict[bytes, list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        key = scope["raw_path"] + b"?" + scope["query_string"]
        if key not in self._answers:
            answer: list[Message] = []

            async def remember(message: Message) -> None:  # noqa: RUF029  # ASGI's shape
                answer.append(message)

            await self._app(scope, receive, remember)
            self._answers[key] = answer
        await asyncio.sleep(DELAY_S)
        for message in self._answers[key]:
            await send(message)


async def one_of_many(at: tuple[str, int], query: str, cancel_after: float | None) -> int | None:
    """The status; None for a request that was cancelled, ``cancel_after`` seconds after it was begun."""
    asking = asyncio.create_task(ask(at, query))
    if cancel_after is not None:
        await asyncio.sleep(cancel_after)
        asking.cancel()
    try:
        status, body = await asking
    except asyncio.CancelledError:
        return None
    assert body.get("errors") is None, body["errors"]
    return status


async def side_by_side(jobs: list[Callable[[], Awaitable[int | None]]]) -> list[int | None]:
    """The results, at most ``SIDE_BY_SIDE`` under way at once."""
    free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(job: Callable[[], Awaitable[int | None]]) -> int | None:
        async with free:
            return await job()

    return await asyncio.gather(*map(run, jobs))


@dataclass(frozen=True)
class Held:
    """What a gateway at rest holds. ``places``: left in each semaphore that there is; ``locks``: taken."""

    tasks: int
    sockets: int
    places: dict[asyncio.Semaphore, int]
    locks: int

    @classmethod
    def now(cls, semaphores: Iterable[asyncio.Semaphore] | None = None) -> "Held":
        """``semaphores``: only these, so that others may come and go."""
        objects = gc.get_objects()
        counted = semaphores or [one for one in objects if isinstance(one, asyncio.Semaphore)]
        return cls(
            len(asyncio.all_tasks()),
            open_sockets(),
            {one: one._value for one in counted},
            sum(isinstance(one, asyncio.Lock) and one.locked() for one in objects),
        )

    async def until_again(self) -> None:
        """Until there is no more than this. Idle connections to upstreams are kept, but for four seconds only."""
        await soon(lambda: open_sockets() <= self.sockets, or_say=lambda: (open_sockets(), self.sockets))
        await soon(lambda: len(asyncio.all_tasks()) <= self.tasks, or_say=asyncio.all_tasks)
        now = Held.now(self.places)
        assert (now.places, now.locks) == (self.places, self.locks)


@asynccontextmanager
async def remembering() -> AsyncIterator[Settings]:
    """All four providers; deadlines and admission are not what is tested here, and this machine may be busy."""
    async with (
        serving(Remembering("den")) as den,
        serving(Remembering("timbal")) as timbal,
        serving(Remembering("outlit")) as outlit,
        serving(Remembering("airweave")) as airweave,
    ):
        addresses = {"den": den, "timbal": timbal, "outlit": outlit, "airweave": airweave}
        settings = settings_of(addresses, attempt_timeout_s=PATIENCE_S, connect_timeout_s=PATIENCE_S)
        patient = {"operation_timeout_s": PATIENCE_S * 2.0, "max_wait_s": PATIENCE_S * 1.0}
        yield replace(settings, server=settings.server.model_copy(update=patient))


async def storm(requests: int, *, seed: int) -> str:
    """So many requests, some broken off at random, and a hundred more; checks that all is then as it was before."""
    chance = random.Random(seed)
    async with remembering() as settings:
        async with served(settings) as at:  # by now all four run
            assert await one_of_many(at, QUERIES[-1], None) == 200
        without_gateway = len(asyncio.all_tasks())
        async with served(settings) as at:
            for query in QUERIES:
                assert await one_of_many(at, query, None) == 200
            before = Held.now()

            plan = [
                (
                    chance.choice(QUERIES),
                    chance.expovariate(1 / 0.02) if chance.random() < CANCELLED else None,
                )
                for _ in range(requests)
            ]
            ended = await side_by_side([lambda job=job: one_of_many(at, *job) for job in plan])  # type: ignore[misc]
            after = await side_by_side([lambda: one_of_many(at, QUERIES[-1], None)] * 100)

            cancelled = ended.count(None)
            assert [one for one in ended if one is not None] == [200] * (requests - cancelled)
            assert cancelled > requests * CANCELLED / 4, "too few were cancelled to mean anything"
            assert after == [200] * 100
            await before.until_again()
        await soon(lambda: len(asyncio.all_tasks()) <= without_gateway, or_say=asyncio.all_tasks)
        gc.collect()
    return f"{requests:,} requests, {cancelled:,} broken off, then 100 of 100 succeed; nothing is left over"


storms = pytest.mark.filterwarnings(
    # graphql-core drops what it was about to await when it is cancelled; ``storm`` collects it at its end.
    "ignore:coroutine .* was never awaited:RuntimeWarning"
)


@needs_proc
@storms
async def test_after_two_thousand_requests_with_random_cancels_all_is_as_before():
    await storm(2000, seed=20261122)
