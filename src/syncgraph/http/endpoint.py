"""GraphQL over HTTP: one request in, one response out; https://graphql.github.io/graphql-over-http/draft/."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from syncgraph.errors import DocumentError
from syncgraph.graph.schema import Operation, Result, refused
from syncgraph.http import graphiql
from syncgraph.http.body import BadRequest, operation_of

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"

Execute = Callable[[Operation], Awaitable[Result]]


class Endpoint:
    """The ASGI application at ``/graphql``. A client that hangs up stops what was begun for it."""

    def __init__(self, execute: Execute, *, with_graphiql: bool) -> None:
        self._execute = execute
        self._with_graphiql = with_graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._respond(request, receive)
        if response is not None:
            await response(scope, receive, send)

    async def _respond(self, request: Request, receive: Receive) -> Response | None:
        if request.method not in {"GET", "HEAD", "POST"}:
            return _write(
                request,
                refused(DocumentError("Send a query by GET or POST.")),
                405,
                {"allow": "GET, HEAD, POST"},
            )
        if self._with_graphiql and _wants_page(request):
            return graphiql.page()
        try:
            operation = await operation_of(request)
        except BadRequest as error:
            return _write(request, refused(DocumentError(error.message)), error.status)
        result = await _unless_gone(self._execute(operation), receive)
        return None if result is None else _write(request, result, _status(request, result))


def _wants_page(request: Request) -> bool:
    return (
        request.method != "POST" and "query" not in request.query_params and "text/html" in _accept(request)
    )


def _accept(request: Request) -> str:
    return request.headers.get("accept", "")


def _media_type(request: Request) -> str:
    """The newer type where the client names it; clients that name none predate it."""
    return RESPONSE_JSON if RESPONSE_JSON in _accept(request) else PLAIN_JSON


def _status(request: Request, result: Result) -> int:
    """400 for what was not executed, where the media type lets a client tell GraphQL's answer from a proxy's."""
    return 400 if not result.was_executed and _media_type(request) == RESPONSE_JSON else 200


def _write(request: Request, result: Result, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(result.body()),
        status_code=status,
        media_type=f"{_media_type(request)}; charset=utf-8",
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff", **(headers or {})},
    )


async def _unless_gone(work: Awaitable[Result], receive: Receive) -> Result | None:
    """The result, or None when the client hung up first; then the work has been cancelled and is over."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, gone):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(working, gone, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
