"""The end of the process, as its clients see it: what is under way is answered, and what cannot be gets a coded 503."""

import asyncio
from enum import Enum, auto
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncgraph.errors import ShuttingDownError
from syncgraph.http.refusal import Refusal

EVENTS = b"text/event-stream"

REFUSAL = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    ShuttingDownError("This gateway is shutting down; ask again."),
    {"retry-after": "1", "connection": "close"},
)


class Drain:
    """Whether the process was asked to stop, and the requests that are under way meanwhile."""

    def __init__(self) -> None:
        self.has_begun = False
        self._under_way: set[_Request] = set()

    def begin(self) -> None:
        """From now on this process wants no new requests; those that come all the same are answered."""
        self.has_begun = True

    def end_events(self) -> None:
        """End the event streams, which have no end of their own; their clients subscribe again elsewhere."""
        for request in self._under_way:
            if request.is_of_events:
                request.cut()

    def cut(self) -> None:
        """End what is under way now."""
        for request in self._under_way:
            request.cut()

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        request = _Request(self, send)
        self._under_way.add(request)
        try:
            await app(scope, receive, request.send)
        except asyncio.CancelledError:
            if not request.is_cut:
                raise
            await request.end(scope, receive)
        finally:
            self._under_way.discard(request)


class Drained:
    """``app``, whose requests ``drain`` can cut off."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._drain.answer(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Answer(Enum):
    NOT_BEGUN = auto()
    OF_KNOWN_LENGTH = auto()
    STREAM = auto()


class _Request:
    """One that is under way, in the task that it was made in."""

    def __init__(self, drain: Drain, send: Send) -> None:
        self._drain = drain
        self._send = send
        self._task = asyncio.current_task()
        self._answer = _Answer.NOT_BEGUN
        self.is_of_events = False
        self.is_cut = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            known = {name.lower(): value for name, value in headers}
            self._answer = _Answer.OF_KNOWN_LENGTH if b"content-length" in known else _Answer.STREAM
            self.is_of_events = known.get(b"content-type", b"").startswith(EVENTS)
            if self._drain.has_begun:
                # So that no client sends its next request into a connection that is about to be closed.
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
        await self._send(message)

    def cut(self) -> None:
        assert self._task is not None
        self.is_cut = True
        self._task.cancel()

    async def end(self, scope: Scope, receive: Receive) -> None:
        """After the cut: a client that has seen nothing yet is told, a stream is ended, half an answer is left so."""
        assert self._task is not None
        self._task.uncancel()
        if self._answer is _Answer.NOT_BEGUN:
            await REFUSAL(scope, receive, self._send)
        elif self._answer is _Answer.STREAM:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
