"""A GraphQL request out of an HTTP one: sizes, types and shapes, before anything is executed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from syncgraph.graph.schema import Operation
from syncgraph.http.accept import PLAIN_JSON, media_types

MAX_BYTES = 256 * 1024
"""Of a request's body."""
MAX_ADDRESS = 32 * 1024
"""Of what an address asks; much that stands between takes less."""
PARAMETERS = frozenset({"query", "operationName", "variables", "extensions"})
"""What an address may ask with; others are left to their owners."""
MAX_PARAMETERS = 100


@dataclass(frozen=True)
class BadRequest(Exception):  # noqa: N818  # it is a kind of request, not of failure
    """A request that is refused before it is executed, with the HTTP status and headers to say so."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


async def operation_of(request: Request) -> Operation:
    """Raises :class:`BadRequest`."""
    return operation_in(await content_of(request))


async def content_of(request: Request) -> Any:
    """What it asks, decoded; raises :class:`BadRequest`."""
    if request.method != "POST":
        return _from_query(request.scope["query_string"])
    content = media_types(request.headers.get("content-type", ""))
    if len(content) != 1 or content[0].name != PLAIN_JSON or not content[0].is_utf8:
        raise BadRequest(415, "Send the request as application/json, in UTF-8.", {"accept": PLAIN_JSON})
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadRequest(415, "Send the body without a content-encoding.", {"accept-encoding": "identity"})
    return _decoded(await _read(request))


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


def _from_query(query: bytes) -> Mapping[str, Any]:
    if len(query) > MAX_ADDRESS:
        raise BadRequest(414, f"The address asks more than {MAX_ADDRESS} bytes; send it as a body.")
    try:
        pairs = parse_qsl(
            query.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except ValueError as error:  # not UTF-8 is one, too
        raise BadRequest(400, "The address has too many parameters, or is not UTF-8.") from error
    known = [(name, value) for name, value in pairs if name in PARAMETERS]
    given = dict(known)
    if len(given) < len(known):
        raise BadRequest(400, "The address has one parameter twice.")
    return {
        name: _decoded(value) if name in {"variables", "extensions"} else value
        for name, value in given.items()
    }


def operation_in(body: Any) -> Operation:
    """Of a decoded request; raises :class:`BadRequest`."""
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
