"""Error codes as clients see them: the upstream part of the error tree as an enum, and how an error is presented."""

import re
from collections.abc import Iterator
from enum import StrEnum

import structlog
from graphql import GraphQLError
from graphql.pyutils import Path

from syncgraph.errors import (
    INTERNAL,
    DocumentError,
    GatewayError,
    UpstreamError,
)

log = structlog.get_logger(__name__)
_VARIABLE = re.compile(r"Variable '\$\w+'")


def _codes(error: type[GatewayError]) -> Iterator[str]:
    yield error.code
    for narrower in error.__subclasses__():
        yield from _codes(narrower)


UpstreamErrorCode = StrEnum(  # type: ignore[misc]  # the members are the error tree's, so that it stays the only list
    "UpstreamErrorCode", {code: code for code in _codes(UpstreamError)}
)


def present(error: GraphQLError) -> GraphQLError:
    """``error`` as the client gets it; logs what is ours to fix."""
    cause = error.original_error
    if isinstance(cause, GatewayError):
        return _with(error, str(cause), {"code": cause.code, **_facts(cause)})
    if cause is None or isinstance(cause, GraphQLError):
        return of_document(error)
    log.error("unexpected_error", path=error.path, exc_info=cause)
    return _with(error, "Internal error.", {"code": INTERNAL})


def of_document(error: GraphQLError) -> GraphQLError:
    """GraphQL's own: syntax, validation, coercion. Its texts speak of the document, but print Python's values."""
    cause, variable = error.original_error, _VARIABLE.match(error.message)
    if variable is not None:
        message = f"{variable[0]}: the value does not fit its type."
    elif cause is not None and not isinstance(cause, GraphQLError):
        message = "A value in the document does not fit its type."
    else:
        message = error.message
    return _with(error, message, {"code": DocumentError.code})


def trouble(error: UpstreamError, path: Path) -> GraphQLError:
    """An entry in ``errors`` for what a provider did without costing a field its value."""
    return GraphQLError(str(error), path=path.as_list(), extensions={"code": error.code, **_facts(error)})


def of_request(error: GatewayError) -> GraphQLError:
    """An entry in ``errors`` for a request that never came to be executed, or was ended."""
    return GraphQLError(str(error), extensions={"code": error.code, **_facts(error)})


def _facts(error: GatewayError) -> dict[str, object]:
    if not isinstance(error, UpstreamError):
        return {}
    after = error.retry_after
    return {
        "provider": error.provider,
        "retryable": error.retryable,
        **({"httpStatus": error.http_status} if error.http_status is not None else {}),
        **({"retryAfter": after.isoformat().replace("+00:00", "Z")} if after is not None else {}),
        **({"requestId": error.request_id} if error.request_id is not None else {}),
    }


def _with(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
