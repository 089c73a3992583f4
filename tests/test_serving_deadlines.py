"""Clients that take their time with sending or reading are cut off; those that only have much to read are not. Over sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import chain, repeat

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from tests.gateway import NOW, Upstreams
from tests.replay import serving
from tests.test_cancel import PATIENCE_S, soon
from websockets.asyncio.client import connect

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import ServerSettings
from syncgraph.http import deadlines

HEAD = b"POST /graphql HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
DRIP_S = 0.02


@asynccontextmanager
async def gateway(**limits: float) -> AsyncIterator[tuple[str, int]]:
    upstreams = Upstreams()
    app = create_app(sandboxes.settings(), connect=upstreams.connect, clock=lambda: NOW)
    async with serving_with(app, **limits) as at:
        yield at


@asynccontextmanager
async def serving_with(app: Starlette, **limits: float) -> AsyncIterator[tuple[str, int]]:
    settings = ServerSettings.model_validate(limits)
    http = deadlines.protocol(settings)
    async with serving(app, http=http, ws="auto", timeout_keep_alive=settings.keep_alive_timeout_s) as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


async def said_to(at: tuple[str, int], pieces: Iterator[bytes]) -> bytes:
    """All that the server says until it closes, while ``pieces`` are sent, one each ``DRIP_S``."""
    reader, writer = await asyncio.open_connection(*at)
    answer = asyncio.create_task(_until_closed(reader))
    try:
        async with asyncio.timeout(PATIENCE_S):
            for piece in pieces:
                if answer.done():
                    break
                writer.write(piece)
                await asyncio.sleep(DRIP_S)
            return await answer
    finally:
        writer.transport.abort()


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    said = b""
    try:
        while piece := await reader.read(65536):
            said += piece
    except ConnectionError:
        return said
    return said


def forever(*pieces: bytes) -> Iterator[bytes]:
    """All but the last, which is sent again and again."""
    return chain(pieces[:-1], repeat(pieces[-1]))


SLOW: dict[str, Callable[[], Iterator[bytes]]] = {
    "half a head": lambda: iter([HEAD[:30]]),
    "a head that drips": lambda: forever(HEAD[:-4], b"\r\nx: y"),
    "a body withheld": lambda: iter([HEAD]),
    "a body that drips": lambda: forever(HEAD, b" "),
    "a body in chunks that drips": lambda: forever(
        HEAD.replace(b"content-length: 100", b"transfer-encoding: chunked"), b"1\r\n \r\n"
    ),
}


@pytest.mark.parametrize("name", SLOW)
async def test_a_request_that_does_not_arrive_in_time_gets_408_with_a_code_and_the_connection_ends(name: str):
    async with gateway(receive_timeout_s=0.3) as at:
        said = await said_to(at, SLOW[name]())

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in head
    assert json.loads(body)["errors"][0]["extensions"] == {"code": "REQUEST_TIMEOUT", "retryable": False}


SILENT: dict[str, Callable[[], Iterator[bytes]]] = {
    "nothing": lambda: iter([]),
    "blank lines": lambda: forever(b"\r\n"),
}


@pytest.mark.parametrize("name", SILENT)
async def test_a_connection_without_a_request_ends_without_a_word(name: str):
    async with gateway(receive_timeout_s=0.3) as at:
        assert await said_to(at, SILENT[name]()) == b""


async def test_a_request_that_is_answered_early_may_not_go_on_and_on():
    async with gateway(receive_timeout_s=0.5) as at:
        said = await said_to(at, forever(HEAD.replace(b"/graphql", b"/nowhere"), b" "))

    assert said.startswith(b"HTTP/1.1 404 ")
    assert said.count(b"HTTP/1.1") == 1


async def test_a_head_without_an_end_is_refused_by_its_size():
    async with gateway() as at:
        said = await said_to(at, forever(HEAD[:-2], b"x: " + 30_000 * b"y" + b"\r\n"))

    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"GRAPHQL_VALIDATION_FAILED" in said


async def test_between_requests_a_connection_has_a_time_of_its_own():
    get = b"GET /livez HTTP/1.1\r\nhost: gateway\r\n\r\n"
    async with gateway(keep_alive_timeout_s=1) as at:
        said = await said_to(at, iter([get, get]))

    assert said.count(b"HTTP/1.1 200 OK") == 2


async def test_idle_connections_turn_no_honest_client_away():
    async with gateway() as at:
        idle = [await asyncio.open_connection(*at) for _ in range(200)]
        async with httpx2.AsyncClient(base_url="http://%s:%d" % at, timeout=PATIENCE_S) as http:  # noqa: UP031
            answer = await http.post("/graphql", json={"query": "{ providers { name } }"})
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()

    assert answer.status_code == 200


# readers

SIZE = 32 * 1024 * 1024
"""More than the kernel takes for a client that does not read."""


class Large:
    """Sends all at once, and sees whether the client is cut off."""

    def __init__(self) -> None:
        self.was_cut = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]}
        )
        await send({"type": "http.response.body", "body": bytes(SIZE // 2), "more_body": True})
        await send({"type": "http.response.body", "body": bytes(SIZE // 2)})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.was_cut.set()


GET = b"GET / HTTP/1.1\r\nhost: gateway\r\n"


@pytest.mark.parametrize(
    "asked",
    [GET + b"\r\n", GET + b"connection: close\r\n\r\n", 3 * (GET + b"\r\n")],
    ids=["kept alive", "closing", "pipelined"],
)
async def test_a_client_that_does_not_read_its_answer_is_cut_off(asked: bytes):
    large = Large()
    async with serving_with(Starlette(routes=[Route("/", large)]), send_timeout_s=0.3) as at:
        reader, writer = await asyncio.open_connection(*at, limit=1024)
        writer.write(asked)
        await asyncio.wait_for(large.was_cut.wait(), PATIENCE_S)
        read = await asyncio.wait_for(_until_closed(reader), PATIENCE_S)
        writer.transport.abort()

    assert len(read) < SIZE


async def test_a_client_that_reads_slowly_gets_all_of_it():
    large = Large()
    async with serving_with(Starlette(routes=[Route("/", large)]), send_timeout_s=2) as at:
        reader, writer = await asyncio.open_connection(*at)
        writer.write(GET + b"connection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(32):
            await reader.readexactly(SIZE // 32)
            await asyncio.sleep(0.1)
        rest = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert rest == b""


async def test_a_stream_that_is_read_outlives_every_deadline():
    async def ticks() -> AsyncIterator[bytes]:
        for number in range(25):
            await asyncio.sleep(0.1)
            yield b"%d " % number

    async def stream(_: Request) -> Response:  # noqa: RUF029  # Starlette's shape
        return StreamingResponse(ticks())

    app = Starlette(routes=[Route("/", stream)])
    async with (
        serving_with(app, receive_timeout_s=1, send_timeout_s=1, keep_alive_timeout_s=1) as at,
        httpx2.AsyncClient(base_url="http://%s:%d" % at, timeout=PATIENCE_S) as http,  # noqa: UP031
    ):
        told = await http.get("/")

    assert told.text.split() == [str(number) for number in range(25)]


async def test_a_websocket_outlives_every_deadline():
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    app = Starlette(routes=[WebSocketRoute("/", echo), Route("/plain", PlainTextResponse("plain"))])
    limits = {"receive_timeout_s": 1.0, "send_timeout_s": 1.0, "keep_alive_timeout_s": 1.0}
    async with serving_with(app, **limits) as at, connect("ws://%s:%d" % at) as client:  # noqa: UP031
        await asyncio.sleep(2)
        await client.send("still here")
        told = await asyncio.wait_for(client.recv(), PATIENCE_S)

    assert told == "still here"


async def test_what_was_begun_for_a_client_that_is_cut_off_ends():
    before = len(asyncio.all_tasks())
    async with gateway(receive_timeout_s=0.3) as at:
        await said_to(at, SLOW["a body withheld"]())
    await soon(lambda: len(asyncio.all_tasks()) == before, or_say=asyncio.all_tasks)


async def test_a_client_that_pipelines_and_leaves_ends_what_is_answered_now():
    """Not only what it asked last."""
    begun, ended = asyncio.Event(), asyncio.Event()

    class Held:
        async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
            begun.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            ended.set()

    async with serving_with(Starlette(routes=[Route("/", Held())])) as at:
        _, writer = await asyncio.open_connection(*at)
        writer.write(2 * (GET + b"\r\n"))
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), PATIENCE_S)
