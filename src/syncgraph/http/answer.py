"""A GraphQL response as HTTP has it: media type, status, headers, and what a client need not be sent again."""

import hashlib
from collections.abc import Mapping

import msgspec
import structlog
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response

from syncgraph.errors import INTERNAL, UntrustedDocumentError
from syncgraph.graph.schema import Result
from syncgraph.http.accept import PLAIN_JSON, RESPONSE_JSON, best_json, media_types
from syncgraph.http.caching import caching

log = structlog.get_logger(__name__)

PARTIAL_SUCCESS = 294
"""Of GraphQL over HTTP, for data beside errors: what stands between can count it, and clients look into ``errors``."""

DEFAULTS = {"cache-control": "no-store", "vary": "accept", "x-content-type-options": "nosniff"}


def status_of(result: Result, media_type: str) -> int:
    """Plain JSON says 200 to whatever was well formed: clients cannot tell its 400 from a proxy's."""
    if media_type != RESPONSE_JSON:
        return 200
    if not result.was_executed:
        return 403 if (result.errors[0].extensions or {}).get("code") == UntrustedDocumentError.code else 400
    return PARTIAL_SUCCESS if result.errors else 200


def write(
    request: Request, result: Result, media_type: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer; to a GET or a HEAD with an ``ETag``, and 304 without a body to one who holds the same bytes."""
    body = msgspec.json.encode(result.body())
    named = {**DEFAULTS, **caching(result), **(headers or {})}
    if request.method in {"GET", "HEAD"} and status in {200, PARTIAL_SUCCESS}:
        named["etag"] = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if _holds(request, named["etag"]):
            return Response(None, 304, named)
    if request.method == "HEAD":
        named["content-length"] = str(len(body))
        body = b""
    return Response(body, status, named, f"{media_type}; charset=utf-8")


def of_bug(request: Request, error: Exception) -> Response:
    """What no code of ours foresaw, outside of the operation itself; the traceback is the server's to log."""
    request_id = request.scope.get("request_id", "")
    log.error("request_failed", request_id=request_id, error=type(error).__name__)
    result = Result(
        None, [GraphQLError("Internal error.", extensions={"code": INTERNAL})], was_executed=False
    )
    media_type = best_json(media_types(request.headers.get("accept", ""))) or PLAIN_JSON
    return write(request, result, media_type, 500, {"x-request-id": request_id})


def _holds(request: Request, etag: str) -> bool:
    given = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    return "*" in given or etag in (one.removeprefix("W/") for one in given)
