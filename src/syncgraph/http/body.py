"""A GraphQL request out of an HTTP one: sizes, types and shapes, before anything is executed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request

from syncgraph.graph.schema import Operation

MAX_BYTES = 256 * 1024
"""Of a request's body."""


@dataclass(frozen=True)
class BadRequest(Exception):  # noqa: N818  # it is a kind of request, not of failure
    """A request that is refused before it is executed, with the HTTP status to say so."""

    status: int
    message: str


async def operation_of(request: Request) -> Operation:
    """Raises :class:`BadRequest`."""
    if request.method != "POST":
        return _operation(_from_query(request.query_params))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadRequest(415, "Send the request as application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest(415, "Send the body without a content-encoding.")
    return _operation(_decoded(await _read(request)))


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise BadRequest(413, f"The body is larger than {MAX_BYTES} bytes.")
    return bytes(body)


def _decoded(text: bytes | str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(400, "The request is not JSON.") from error


def _from_query(params: Mapping[str, str]) -> Mapping[str, Any]:
    return {
        name: _decoded(value) if name in {"variables", "extensions"} else value
        for name, value in params.items()
    }


def _operation(body: Any) -> Operation:
    if not isinstance(body, Mapping):
        raise BadRequest(400, "Send one JSON object with a query; batches are not served.")
    query, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise BadRequest(400, "query: write a GraphQL document as text.")
    if not isinstance(variables, Mapping | None):
        raise BadRequest(400, "variables: write an object.")
    if not isinstance(name, str | None):
        raise BadRequest(400, "operationName: write text.")
    if not isinstance(body.get("extensions"), Mapping | None):
        raise BadRequest(400, "extensions: write an object.")
    return Operation(query=query, variables=variables, name=name or None)
