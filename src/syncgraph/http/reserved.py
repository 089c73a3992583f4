"""Server-sent events of many operations on one connection, which is reserved first.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md ("single connection mode"), read 2026-11-25.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from syncgraph.errors import DocumentError, InvalidRequestError, TooManySubscriptionsError
from syncgraph.graph.schema import Result, refused
from syncgraph.graph.streams import Stream
from syncgraph.http.accept import PLAIN_JSON, best_json, media_types
from syncgraph.http.answer import status_of, write
from syncgraph.http.body import BadRequest, content_of
from syncgraph.http.hangup import unless_gone
from syncgraph.http.sse import EventStreams, Outlet, event, relay

TOKEN = "x-graphql-event-stream-token"  # noqa: S105  # a header's name
RESERVED_S = 30.0
"""From the reservation to the connection."""


class ReservedStreams:
    """The ASGI application at ``/graphql/stream``; without a token, every operation has a connection of its own."""

    def __init__(
        self, events: EventStreams, *, max_subscriptions: int, reserved_s: float = RESERVED_S
    ) -> None:
        self._events = events
        self._max_subscriptions = max_subscriptions
        self._reserved_s = reserved_s
        self._reserved: dict[str, _Reserved] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except BadRequest as error:
            response = _answer(request, refused(DocumentError(error.message)), error.status, error.headers)
        except InvalidRequestError as error:
            response = _answer(request, refused(error))
        except TooManySubscriptionsError as error:
            response = _answer(request, refused(error), 429)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> ASGIApp:
        if request.method == "PUT":
            return self._reserve(request)
        if request.method not in {"GET", "POST", "DELETE"}:
            raise BadRequest(
                405, "Reserve by PUT, listen by GET, ask by POST.", {"allow": "DELETE, GET, POST, PUT"}
            )
        token = request.headers.get(TOKEN) or request.query_params.get("token")
        if token is None and request.method != "DELETE":
            return await self._events.to(request)
        reserved = self._reserved.get(token or "")
        if reserved is None:
            raise BadRequest(404, "Nothing is reserved by this token.")
        if request.method == "GET":
            return reserved.claimed()
        if request.method == "DELETE":
            return reserved.stop(request.query_params.get("operationId", ""))
        return await self._begin(request, reserved)

    def _reserve(self, request: Request) -> Response:
        token = secrets.token_urlsafe(32)
        address = self._events.seats.take(request.scope)

        def leave() -> None:
            del self._reserved[token]
            self._events.seats.give_back(address)

        self._reserved[token] = _Reserved(leave, self._reserved_s)
        return PlainTextResponse(token, 201, {"cache-control": "no-store"})

    async def _begin(self, request: Request, reserved: "_Reserved") -> Response:
        content = await content_of(request)
        operation = self._events.documents.operation_in(content)
        name = reserved.free_name(content.get("extensions"), self._max_subscriptions)
        found = await self._events.open(operation)
        if isinstance(found, Result) and not found.was_executed:
            return _answer(request, found)
        reserved.begin(name, found)
        return Response(None, 202)


class _Reserved:
    """One connection, or the promise of one, and the operations that it tells of; they end with it."""

    def __init__(self, leave: Callable[[], None], reserved_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._leave = leave
        self._expiry = loop.call_later(reserved_s, self._close)
        self._outlet: asyncio.Future[Outlet] = loop.create_future()
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._is_claimed = self._is_closed = False

    def claimed(self) -> ASGIApp:
        """Raises :class:`BadRequest` when somebody else has it."""
        if self._is_claimed:
            raise BadRequest(409, "Somebody listens to this stream already.")
        self._is_claimed = True
        self._expiry.cancel()
        return self._listen

    def free_name(self, extensions: Mapping[str, Any] | None, most: int) -> str:
        """What the operation is known by; raises when it is not given, is in use, or when there are ``most``."""
        name = (extensions or {}).get("operationId")
        if not isinstance(name, str) or not name:
            raise BadRequest(400, "extensions.operationId: write what to know the operation by.")
        if name in self._operations:
            raise BadRequest(409, "extensions.operationId: an operation is known by it already.")
        if len(self._operations) >= most:
            raise TooManySubscriptionsError(f"At most {most} operations on one stream.")
        return name

    def begin(self, name: str, found: Stream | Result) -> None:
        task = asyncio.create_task(self._tell(name, found))
        self._operations[name] = task
        if isinstance(found, Stream):
            task.add_done_callback(lambda _: found.close())
        if self._is_closed:  # meanwhile
            task.cancel()

    def stop(self, name: str) -> Response:
        task = self._operations.pop(name, None)
        if task is not None:
            task.cancel()
        return Response(None, 200)

    async def _listen(self, _scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(OSError):
                await unless_gone(self._stay(Outlet(send)), receive)
        finally:
            self._close()

    async def _stay(self, outlet: Outlet) -> None:
        await outlet.open()
        self._outlet.set_result(outlet)
        await outlet.stay_alive()

    async def _tell(self, name: str, found: Stream | Result) -> None:
        try:
            outlet = await asyncio.shield(self._outlet)
            await relay(found, lambda answer: outlet.write(event("next", {"id": name, "payload": answer})))
            await outlet.write(event("complete", {"id": name}))
        except OSError:
            self._close()
        finally:
            if self._operations.get(name) is asyncio.current_task():
                del self._operations[name]

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for task in self._operations.values():
            task.cancel()
        self._leave()


def _answer(
    request: Request, result: Result, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    media_type = best_json(media_types(request.headers.get("accept", ""))) or PLAIN_JSON
    return write(request, result, media_type, status or status_of(result, media_type), headers)
