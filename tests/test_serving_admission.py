"""More than the process keeps up with is refused at once, by name; a burst is waited out. Over sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.gateway import NOW, Upstreams
from tests.gateway import running as gateway_running
from tests.replay import serving
from tests.test_cancel import CONNECTORS, PATIENCE_S, Slow, settings_of, soon
from tests.test_cli import started, url_in

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import ServerSettings
from syncgraph.http.accept import RESPONSE_JSON
from syncgraph.http.admission import Admission, Line
from syncgraph.http.drain import Drain
from syncgraph.http.pace import BEAT_S, Pace, Shedding

# pace


def limit_after(pace: Pace, steps: int, *, busy: float = 0.0, late_s: float = 0.0, is_short: bool = True):
    """The limit once ``pace`` has seen ``steps`` windows of the same."""
    now, worked = 0.0, 0.0
    pace.begin(now, worked)
    for _ in range(steps * Pace.BEATS):
        now, worked = now + BEAT_S, worked + busy * BEAT_S
        pace.beat(now, worked, due_s=now - late_s, is_short=is_short)
    return pace.limit


def test_where_the_processor_has_time_the_limit_rises_to_what_is_allowed():
    assert limit_after(Pace(100), 20, busy=0.5) == 100


def test_where_those_under_way_only_wait_the_limit_rises_at_every_look():
    assert limit_after(Pace(1000), 2, busy=0.2) == 1000
    assert limit_after(Pace(1000), 2, busy=0.7) == int(Pace.FIRST * Pace.UP**2)


@pytest.mark.parametrize(("busy", "late_s"), [(1.0, 0.0), (0.0, 0.02)], ids=["busy", "late"])
def test_where_the_processor_is_short_the_limit_falls_to_one(busy: float, late_s: float):
    assert limit_after(Pace(100), 20, busy=busy, late_s=late_s) == 1


def test_the_limit_does_not_rise_while_nobody_waits_for_it():
    assert limit_after(Pace(100), 20, is_short=False) == Pace.FIRST


def test_the_limit_comes_back():
    pace = Pace(100)
    limit_after(pace, 20, busy=1.0)

    assert limit_after(pace, 20, busy=0.2) == 100


@pytest.mark.parametrize(
    ("refused", "of", "is_much"), [(4, 4, False), (5, 50, True), (5, 51, False), (0, 9, False)]
)
def test_much_is_a_tenth_and_more_than_a_few(refused: int, of: int, is_much: bool):  # noqa: FBT001
    shedding = Shedding()
    for number in range(of):
        shedding.count(refused=number < refused)

    assert shedding.is_much is is_much


# line


async def test_nobody_is_put_in_line_who_would_not_be_let_in_in_time():
    line, took_s = Line(max_waiting=2), 0.05
    places = [asyncio.create_task(line.wait(PATIENCE_S, or_leave=_nothing))]
    await soon(lambda: len(line) == 1, or_say=lambda: line)
    assert line.is_worth_it(0.0), "how fast it moves is not known yet"
    await asyncio.sleep(took_s)
    assert line.let_in()
    assert line.is_worth_it(0.0), "nobody is ahead"
    places.append(asyncio.create_task(line.wait(PATIENCE_S, or_leave=_nothing)))
    await soon(lambda: len(line) == 1, or_say=lambda: line)

    assert line.is_worth_it(PATIENCE_S)
    assert not line.is_worth_it(took_s)
    places.append(asyncio.create_task(line.wait(PATIENCE_S, or_leave=_nothing)))
    await soon(lambda: len(line) == 2, or_say=lambda: line)
    assert not line.is_worth_it(PATIENCE_S), "it is full"
    assert [line.let_in(), line.let_in(), line.let_in()] == [True, True, False]
    assert await asyncio.gather(*places) == [True, True, True]


def _nothing() -> None:
    return


# over sockets


@dataclass
class Crowd:
    """A gateway whose one upstream holds every answer back, and requests to it."""

    slow: Slow
    drain: Drain
    http: httpx2.AsyncClient
    asked: list[asyncio.Task[httpx2.Response]] = field(default_factory=list)

    def ask(self, **headers: str) -> asyncio.Task[httpx2.Response]:
        request = self.http.post("/graphql", json={"query": CONNECTORS}, headers=headers)
        self.asked.append(asyncio.create_task(request))
        return self.asked[-1]

    async def ask_held(self) -> asyncio.Task[httpx2.Response]:
        """One that has got through to the upstream."""
        before = self.slow.asked
        request = self.ask()
        await soon(lambda: self.slow.asked > before, or_say=lambda: self.slow)
        return request

    async def ask_two(self) -> tuple[httpx2.Response, asyncio.Task[httpx2.Response]]:
        """Where there is room for one: the answer to that which is refused, and the one in line."""
        done, waiting = await asyncio.wait(
            {self.ask(), self.ask()}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        return done.pop().result(), waiting.pop()

    async def ready(self) -> httpx2.Response:
        return await self.http.get("/readyz")


@asynccontextmanager
async def crowd(**limits: float) -> AsyncIterator[Crowd]:
    slow, drain = Slow(), Drain()
    async with serving(slow.app()) as upstream:
        settings = settings_of({"outlit": upstream}, attempt_timeout_s=PATIENCE_S)
        server = ServerSettings.model_validate({"operation_timeout_s": 300, "max_wait_s": 60, **limits})
        app = create_app(replace(settings, server=server), clock=lambda: NOW, drain=drain)
        async with serving(app) as url, httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
            its = Crowd(slow, drain, http)
            yield its
            slow.release.set()
            await asyncio.gather(*its.asked)


async def test_beyond_the_limit_one_waits_in_line_and_the_next_is_refused_at_once_with_a_code():
    async with crowd(max_operations=1, max_waiting=1) as its:
        inside = await its.ask_held()
        refused, in_line = await its.ask_two()
        its.slow.release.set()
        answers = [await inside, await in_line]

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["cache-control"] == "no-store"
    assert refused.json()["errors"][0]["extensions"] == {"code": "OVERLOADED", "retryable": True}
    assert [one.status_code for one in answers] == [200, 200]


async def test_who_has_waited_long_enough_is_refused_and_the_place_in_line_is_free_again():
    async with crowd(max_operations=1, max_waiting=1, max_wait_s=0.05) as its:
        await its.ask_held()
        for _ in range(3):
            refused = await its.ask()
            assert refused.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
        its.slow.release.set()
        assert (await its.asked[0]).status_code == 200
        assert (await its.ask()).status_code == 200


@pytest.mark.parametrize("media_type", [RESPONSE_JSON, "application/json"])
async def test_a_refusal_speaks_the_client_s_media_type(media_type: str):
    async with crowd(max_operations=1, max_waiting=1, max_wait_s=0.05) as its:
        await its.ask_held()

        refused = await its.ask(accept=media_type)

        assert refused.headers["content-type"] == f"{media_type}; charset=utf-8"


async def test_ready_says_overloaded_while_much_is_refused_and_recovers_though_still_full():
    async with crowd(max_operations=1, max_waiting=1, max_wait_s=0.01) as its:
        await its.ask_held()
        assert (await its.ready()).json() == {"status": "ready", "reasons": []}
        for _ in range(6):
            await its.ask()
        told = await its.ready()
        alive = await its.http.get("/livez")
        async with asyncio.timeout(PATIENCE_S):
            while (await its.ready()).status_code != 200:  # noqa: ASYNC110  # only asking tells
                await asyncio.sleep(0.1)

    assert told.status_code == 503
    assert told.json() == {"status": "not ready", "reasons": ["overloaded"]}
    assert told.headers["cache-control"] == "no-store"
    assert alive.status_code == 200


async def test_what_waits_in_line_and_what_is_under_way_is_told_when_the_process_ends():
    async with crowd(max_operations=1, max_waiting=1) as its:
        inside = await its.ask_held()
        refused, in_line = await its.ask_two()
        its.drain.begin()
        draining = await its.ready()
        its.drain.cut()
        answers = [await inside, await in_line]
        await soon(lambda: its.slow.left == 1, or_say=lambda: its.slow)

    assert refused.status_code == 503
    assert draining.json()["reasons"] == ["draining"]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["connection"] == "close"
        assert answer.json()["errors"][0]["extensions"] == {"code": "SHUTTING_DOWN", "retryable": True}


async def test_no_provider_counts_for_readiness():
    down = Upstreams(broken=dict.fromkeys(sandboxes.SANDBOXES, _down))
    async with gateway_running(upstreams=down) as gateway:
        told = await gateway.ask(CONNECTORS)
        ready = await gateway.http.get("/readyz")

    assert {one["status"] for one in told["data"]["connectors"]["sources"]} == {"FAILED"}
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": []})


def _down(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


async def test_an_answer_that_goes_on_and_on_holds_no_place():
    begun, end = asyncio.Queue[int](), asyncio.Event()

    async def streaming(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.put_nowait(1)
        await end.wait()

    async def receive() -> Message:
        return await asyncio.Future()

    async def send(_message: Message) -> None:  # noqa: RUF029  # ASGI's shape
        return

    admission = Admission(streaming, ServerSettings(max_operations=1))
    scope: Scope = {"type": "http", "headers": []}
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as streams:
        for _ in range(3):
            streams.create_task(admission(scope, receive, send))
        for _ in range(3):
            await begun.get()
        end.set()


async def test_idle_connections_may_be_more_than_the_descriptors_that_a_process_has_at_first():
    few_at_first, idle = ("sh", "-c", 'ulimit -Sn 64 && exec "$@"', "sh"), 200
    with started("serve", "--port", "0", through=few_at_first) as (_, said):
        url = httpx2.URL(url_in(said))
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as http, AsyncExitStack() as connections:
            for _ in range(idle):
                _, writer = await asyncio.open_connection(url.host, url.port)
                connections.callback(writer.close)
            told = (await http.post(url, json={"query": CONNECTORS})).json()

    assert "errors" not in told
    assert {one["status"] for one in told["data"]["connectors"]["sources"]} == {"OK"}
