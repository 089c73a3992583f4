"""GraphQL over HTTP: one request in, one response out; https://graphql.github.io/graphql-over-http/draft/."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from syncgraph.errors import DocumentError, InvalidRequestError
from syncgraph.graph.incremental import Payloads
from syncgraph.graph.schema import Operation, Result, document_of, kind_of, refused
from syncgraph.http import graphiql
from syncgraph.http.accept import PLAIN_JSON, RESPONSE_JSON, MediaType, best_json, media_types, quality_of
from syncgraph.http.answer import status_of, write
from syncgraph.http.body import PARAMETERS, BadRequest, content_of
from syncgraph.http.caching import max_age_s
from syncgraph.http.hangup import unless_gone
from syncgraph.http.multipart import format_for, send_parts
from syncgraph.http.sse import EventStream, EventStreams, accepts_events, prefers_events

Execute = Callable[[Operation], Awaitable[Result]]
ExecuteInParts = Callable[[Operation], AbstractAsyncContextManager[Result | Payloads]]


class Endpoint:
    """The ASGI application at ``/graphql``. A client that hangs up stops what was begun for it."""

    def __init__(
        self, execute: Execute, execute_in_parts: ExecuteInParts, events: EventStreams, *, with_graphiql: bool
    ) -> None:
        self._execute = execute
        self._execute_in_parts = execute_in_parts
        self._events = events
        self._documents = events.documents
        self._with_graphiql = with_graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request, receive, send)
        except ClientDisconnect:
            return  # before the request had arrived whole
        if response is not None:
            await response(scope, receive, send)

    async def _respond(self, request: Request, receive: Receive, send: Send) -> Response | EventStream | None:
        """None: the client is gone, or was answered in parts."""
        accepted = media_types(request.headers.get("accept", ""))
        media_type = best_json(accepted)
        if self._with_graphiql and _wants_page(request, accepted):
            return graphiql.page()
        try:
            if request.method in {"GET", "POST"} and prefers_events(accepted):
                return await self._events.to(request)
            _check_head(request, media_type)
            operation = self._documents.operation_in(await content_of(request))
            if accepts_events(accepted) and kind_of(operation) is OperationType.SUBSCRIPTION:
                return self._events.of(operation)
            _check_safety(request, operation)
        except BadRequest as error:
            answer = refused(DocumentError(error.message))
            return write(request, answer, media_type or PLAIN_JSON, error.status, error.headers)
        except InvalidRequestError as error:
            answer, media_type = refused(error), media_type or PLAIN_JSON
            return write(request, answer, media_type, status_of(answer, media_type))
        assert media_type is not None
        operation = replace(operation, max_age_s=max_age_s(request.headers.get("cache-control", "")))
        spec = _wants_parts(request, operation, accepted, media_type)
        work = self._execute(operation) if spec is None else self._deliver(operation, spec, send)
        result = await unless_gone(work, receive)
        return None if result is None else write(request, result, media_type, status_of(result, media_type))

    async def _deliver(self, operation: Operation, spec: str, send: Send) -> Result | None:
        """The whole result where nothing came to be deferred, else None when all its parts are sent."""
        async with self._execute_in_parts(operation) as answer:
            if isinstance(answer, Result):
                return answer
            await send_parts(send, answer, spec)
        return None


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


def _wants_parts(
    request: Request, operation: Operation, accepted: Sequence[MediaType], media_type: str
) -> str | None:
    """The format, where there is something to defer and the client likes parts no less than the whole."""
    if request.method == "HEAD" or document_of(operation).deferring is None:
        return None
    return format_for(accepted, least=quality_of(media_type, accepted))


def _wants_page(request: Request, accepted: Sequence[MediaType]) -> bool:
    """A browser at the bare address: it names HTML, and likes it no less than JSON."""
    names_html = any(one.name == "text/html" for one in accepted)
    return (
        request.method in {"GET", "HEAD"}
        and names_html
        and quality_of("text/html", accepted) >= quality_of(PLAIN_JSON, accepted)
        and not PARAMETERS & request.query_params.keys()
    )
