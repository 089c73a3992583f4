"""GraphQL over WebSocket: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md, read 2026-11-25."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from syncgraph.errors import GatewayError, InvalidRequestError, TooManySubscriptionsError
from syncgraph.graph.schema import Operation, Result, refused
from syncgraph.graph.streams import Stream
from syncgraph.http.body import BadRequest
from syncgraph.http.documents import Documents
from syncgraph.http.seats import Seats

PROTOCOL = "graphql-transport-ws"

MAX_BYTES = 64 * 1024
"""Of one message."""
MAX_REASON = 123
"""Bytes that a close frame has room for."""
TOO_BIG = 1009
INVALID, UNAUTHORIZED, NOT_ACCEPTABLE = 4400, 4401, 4406
INIT_TIMEOUT, DUPLICATE, TOO_MANY_INITS = 4408, 4409, 4429

Open = Callable[[Operation], Awaitable[Stream | Result]]


class _Init(msgspec.Struct, tag="connection_init"):
    payload: dict[str, Any] | None = None


class _Ping(msgspec.Struct, tag="ping", omit_defaults=True):
    payload: dict[str, Any] | None = None


class _Pong(msgspec.Struct, tag="pong", omit_defaults=True):
    payload: dict[str, Any] | None = None


class _Subscribe(msgspec.Struct, tag="subscribe"):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    payload: dict[str, Any]


class _Complete(msgspec.Struct, tag="complete"):
    id: str


_Heard = _Init | _Subscribe | _Complete
_Message = _Heard | _Ping | _Pong
_MESSAGE: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one socket.

    ``init_s``: until the client has to have said hello. ``send_s``: for a message to be taken; who takes none for so
    long is gone.
    """

    max_subscriptions: int
    init_s: float = 5.0
    send_s: float = 20.0


class SocketClosed(Exception):  # noqa: N818  # an end, not a failure
    """The socket is to be closed, with one of the protocol's codes; ``code`` None: it is closed."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Sockets:
    """The ASGI application for WebSocket handshakes at ``/graphql``."""

    def __init__(self, open_stream: Open, seats: Seats, documents: Documents, limits: Limits) -> None:
        self._open = open_stream
        self._seats = seats
        self._documents = documents
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # that there is a handshake to answer
        if not _is_from_here(Headers(scope=scope)):
            await _deny(scope, send, 403)
            return
        try:
            with self._seats.taken(scope):
                connection = _Connection(self._open, self._documents, receive, send, self._limits)
                await connection.serve(is_spoken=PROTOCOL in scope["subprotocols"])
        except TooManySubscriptionsError:
            await _deny(scope, send, 429)


def _is_from_here(headers: Headers) -> bool:
    """Whether a page of this very host opens it, or no page at all: browsers name the page, and nobody else has to."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


async def _deny(scope: Scope, send: Send, status: int) -> None:
    """Without the extension a server answers 403."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})


class _Connection:
    """One socket: its operations run side by side until it closes."""

    def __init__(
        self, open_stream: Open, documents: Documents, receive: Receive, send: Send, limits: Limits
    ) -> None:
        self._open = open_stream
        self._documents = documents
        self._receive = receive
        self._raw_send = send
        self._limits = limits
        self._tasks = asyncio.TaskGroup()
        self._operations: dict[str, asyncio.Task[None]] = {}

    async def serve(self, *, is_spoken: bool) -> None:
        """Whatever ends the socket stops its operations; a client that is gone, or takes nothing, ends it."""
        try:
            subprotocol = PROTOCOL if is_spoken else None
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
            async with self._tasks:
                await self._converse(is_spoken=is_spoken)
        except* SocketClosed as ends:
            await self._close(ends.exceptions[0])
        except* OSError:
            pass

    async def _converse(self, *, is_spoken: bool) -> None:
        if not is_spoken:
            raise SocketClosed(NOT_ACCEPTABLE, f"Speak {PROTOCOL}.")
        await self._initialise()
        while True:
            await self._take(await self._heard())

    async def _initialise(self) -> None:
        try:
            async with asyncio.timeout(self._limits.init_s):
                heard = await self._heard()
        except TimeoutError:
            raise SocketClosed(INIT_TIMEOUT, "Connection initialisation timeout") from None
        if not isinstance(heard, _Init):
            raise SocketClosed(UNAUTHORIZED, "Unauthorized")
        await self._send_text({"type": "connection_ack"})

    async def _heard(self) -> _Heard:
        """The next message that is not only about whether the other side is still there."""
        while True:
            received = await self._receive()
            if received["type"] == "websocket.disconnect":
                raise SocketClosed
            match _decoded(received):
                case _Ping(payload):
                    await self._send_text(_Pong(payload))
                case _Pong():
                    pass
                case heard:
                    return heard

    async def _take(self, heard: _Heard) -> None:
        match heard:
            case _Init():
                raise SocketClosed(TOO_MANY_INITS, "Too many initialisation requests")
            case _Complete(id):
                task = self._operations.pop(id, None)
                if task is not None:
                    task.cancel()
            case _Subscribe(id, payload):
                await self._subscribe(id, payload)

    async def _subscribe(self, id: str, payload: dict[str, Any]) -> None:
        if id in self._operations:
            raise SocketClosed(DUPLICATE, f"Subscriber for {id} already exists")
        most = self._limits.max_subscriptions
        if len(self._operations) >= most:
            error = TooManySubscriptionsError(f"At most {most} operations on one socket.")
            await self._refuse(id, refused(error))
            return
        try:
            operation = self._documents.operation_in(payload)
        except BadRequest as error:
            raise SocketClosed(INVALID, error.message) from error
        except InvalidRequestError as error:
            await self._refuse(id, refused(error))
            return
        self._operations[id] = self._tasks.create_task(self._run(id, operation))

    async def _run(self, id: str, operation: Operation) -> None:
        try:
            found = await self._open(operation)
            if isinstance(found, Stream):
                await self._relay(id, found)
            elif found.was_executed:
                await self._next(id, found.body())
                await self._send_text(_Complete(id))
            else:
                await self._refuse(id, found)
        finally:
            if self._operations.get(id) is asyncio.current_task():
                del self._operations[id]

    async def _relay(self, id: str, stream: Stream) -> None:
        try:
            async for answer in stream:
                await self._next(id, msgspec.Raw(answer))
            await self._send_text(_Complete(id))
        except GatewayError as error:
            await self._refuse(id, refused(error))
        finally:
            stream.close()

    async def _next(self, id: str, payload: object) -> None:
        await self._send_text({"id": id, "type": "next", "payload": payload})

    async def _refuse(self, id: str, result: Result) -> None:
        await self._send_text({"id": id, "type": "error", "payload": result.body()["errors"]})

    async def _send_text(self, message: object) -> None:
        await self._send({"type": "websocket.send", "text": msgspec.json.encode(message).decode()})

    async def _send(self, message: Message) -> None:
        async with asyncio.timeout(self._limits.send_s):
            await self._raw_send(message)

    async def _close(self, end: BaseException) -> None:
        if isinstance(end, SocketClosed) and end.code is not None:
            reason = end.reason.encode()[:MAX_REASON].decode(errors="ignore")
            await self._send({"type": "websocket.close", "code": end.code, "reason": reason})


def _decoded(received: Message) -> _Message:
    """Raises :class:`SocketClosed` for what is no message of the protocol."""
    text = received.get("text")
    if text is None:
        raise SocketClosed(INVALID, "Send text, not bytes.")
    if len(text) > MAX_BYTES:
        raise SocketClosed(TOO_BIG, f"A message has at most {MAX_BYTES} bytes.")
    try:
        return _MESSAGE.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise SocketClosed(INVALID, f"This is no message of {PROTOCOL}.") from None
