"""Server-sent events: how a stream of answers is written, for one operation on a connection of its own.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md ("distinct connections mode"), read 2026-11-25.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from syncgraph.errors import GatewayError, InvalidRequestError, TooManySubscriptionsError
from syncgraph.graph.schema import Operation, Result, refused
from syncgraph.graph.streams import Stream
from syncgraph.http.accept import PLAIN_JSON, RESPONSE_JSON, MediaType, quality_of
from syncgraph.http.answer import write
from syncgraph.http.body import content_of
from syncgraph.http.documents import Documents
from syncgraph.http.hangup import unless_gone
from syncgraph.http.seats import Seats

EVENTS = "text/event-stream"

ALIVE_S = 12.0
"""Between two signs of life, which show a dead connection and keep what stands between from closing a quiet one."""
SEND_S = 20.0
"""For an event to be taken; who takes none for so long is gone."""

Open = Callable[[Operation], Awaitable[Stream | Result]]


def accepts_events(accepted: Sequence[MediaType]) -> bool:
    """By its name: whoever takes anything may well not know how to read a stream."""
    return any(one.name == EVENTS and one.quality > 0 for one in accepted)


def prefers_events(accepted: Sequence[MediaType]) -> bool:
    return accepts_events(accepted) and all(
        quality_of(EVENTS, accepted) > quality_of(offer, accepted) for offer in (RESPONSE_JSON, PLAIN_JSON)
    )


def event(name: str, data: object | None = None) -> bytes:
    """Lines end with LF alone: not every client reads CRLF."""
    text = b"" if data is None else msgspec.json.encode(data)
    return b"event: %s\ndata: %s\n\n" % (name.encode(), text)


class Outlet:
    """The body of one event stream, written event by event; raises OSError when nobody takes it."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def open(self) -> None:
        headers = {
            "content-type": f"{EVENTS}; charset=utf-8",
            "cache-control": "no-store",
            "x-accel-buffering": "no",  # nginx would collect events
            "x-content-type-options": "nosniff",
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        await self.write(b":\n\n")

    async def write(self, chunk: bytes) -> None:
        async with asyncio.timeout(SEND_S):
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def close(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def stay_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_S)
            await self.write(b":\n\n")


class EventStream:
    """The response to one operation: as an ASGI application, an answer per event."""

    def __init__(self, found: Callable[[], Awaitable[Stream | Result]], seats: Seats) -> None:
        self._found = found
        self._seats = seats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._seats.taken(scope), suppress(OSError):
                await unless_gone(self._written(send), receive)
        except TooManySubscriptionsError as error:
            response = write(Request(scope), refused(error), PLAIN_JSON, 429)
            await response(scope, receive, send)

    async def _written(self, send: Send) -> None:
        outlet = Outlet(send)
        await outlet.open()
        alive = asyncio.create_task(outlet.stay_alive())
        try:
            await self._relay(outlet)
            await outlet.close()
        finally:
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)

    async def _relay(self, outlet: Outlet) -> None:
        await relay(await self._found(), lambda answer: outlet.write(event("next", answer)))
        await outlet.write(event("complete"))


async def relay(found: Stream | Result, tell: Callable[[object], Awaitable[None]]) -> None:
    """All answers to one operation, ready to be encoded; the last says what ended it, if it did not end by itself."""
    if isinstance(found, Result):
        await tell(found.body())
        return
    try:
        async for answer in found:
            await tell(msgspec.Raw(answer))
    except GatewayError as error:
        await tell(refused(error).body())
    finally:
        found.close()


class EventStreams:
    """Event streams, each on a connection of its own; by GET too, for browsers' EventSource."""

    def __init__(self, open_stream: Open, seats: Seats, documents: Documents) -> None:
        self.open = open_stream
        self.seats = seats
        self.documents = documents

    def of(self, operation: Operation) -> EventStream:
        return EventStream(lambda: self.open(operation), self.seats)

    async def to(self, request: Request) -> EventStream:
        """What is asked for, or why not; raises :class:`BadRequest`."""
        content = await content_of(request)
        try:
            return self.of(self.documents.operation_in(content))
        except InvalidRequestError as error:
            return EventStream(partial(_told, refused(error)), self.seats)


async def _told(result: Result) -> Result:  # noqa: RUF029  # as what is found by asking
    return result
