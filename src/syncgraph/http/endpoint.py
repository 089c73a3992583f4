"""GraphQL over HTTP: one request in, one response out; https://graphql.github.io/graphql-over-http/draft/."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from syncgraph.errors import DocumentError
from syncgraph.graph.schema import Operation, Result, kind_of, refused
from syncgraph.http import graphiql
from syncgraph.http.accept import PLAIN_JSON, RESPONSE_JSON, MediaType, best_json, media_types, quality_of
from syncgraph.http.answer import status_of, write
from syncgraph.http.body import PARAMETERS, BadRequest, operation_of
from syncgraph.http.caching import max_age_s
from syncgraph.http.hangup import unless_gone
from syncgraph.http.sse import EventStream, EventStreams, accepts_events, prefers_events

Execute = Callable[[Operation], Awaitable[Result]]


class Endpoint:
    """The ASGI application at ``/graphql``. A client that hangs up stops what was begun for it."""

    def __init__(self, execute: Execute, events: EventStreams, *, with_graphiql: bool) -> None:
        self._execute = execute
        self._events = events
        self._with_graphiql = with_graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request, receive)
        except ClientDisconnect:
            return  # before the request had arrived whole
        if response is not None:
            await response(scope, receive, send)

    async def _respond(self, request: Request, receive: Receive) -> Response | EventStream | None:
        accepted = media_types(request.headers.get("accept", ""))
        media_type = best_json(accepted)
        if self._with_graphiql and _wants_page(request, accepted):
            return graphiql.page()
        try:
            if request.method in {"GET", "POST"} and prefers_events(accepted):
                return await self._events.to(request)
            _check_head(request, media_type)
            operation = await operation_of(request)
            if accepts_events(accepted) and kind_of(operation) is OperationType.SUBSCRIPTION:
                return self._events.of(operation)
            _check_safety(request, operation)
        except BadRequest as error:
            answer = refused(DocumentError(error.message))
            return write(request, answer, media_type or PLAIN_JSON, error.status, error.headers)
        assert media_type is not None
        operation = replace(operation, max_age_s=max_age_s(request.headers.get("cache-control", "")))
        result = await unless_gone(self._execute(operation), receive)
        return None if result is None else write(request, result, media_type, status_of(result, media_type))


def _check_head(request: Request, media_type: str | None) -> None:
    if request.method not in {"GET", "HEAD", "POST"}:
        raise BadRequest(405, "Send a query by GET or POST.", {"allow": "GET, HEAD, POST"})
    if media_type is None:
        raise BadRequest(406, f"Accept {RESPONSE_JSON} or {PLAIN_JSON}.")


def _check_safety(request: Request, operation: Operation) -> None:
    """A link must not change anything, however it came to be followed."""
    if request.method != "POST" and kind_of(operation) in {
        OperationType.MUTATION,
        OperationType.SUBSCRIPTION,
    }:
        raise BadRequest(405, "By GET, send queries only.", {"allow": "POST"})


def _wants_page(request: Request, accepted: Sequence[MediaType]) -> bool:
    """A browser at the bare address: it names HTML, and likes it no less than JSON."""
    names_html = any(one.name == "text/html" for one in accepted)
    return (
        request.method in {"GET", "HEAD"}
        and names_html
        and quality_of("text/html", accepted) >= quality_of(PLAIN_JSON, accepted)
        and not PARAMETERS & request.query_params.keys()
    )
