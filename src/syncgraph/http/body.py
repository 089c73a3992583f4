"""A GraphQL request out of an HTTP one: sizes, types and shapes, before anything is executed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from syncgraph.http.accept import PLAIN_JSON, media_types

MAX_BYTES = 256 * 1024
"""Of a request's body."""
MAX_ADDRESS = 32 * 1024
"""Of what an address asks; much that stands between takes less."""
PARAMETERS = frozenset({"query", "documentId", "operationName", "variables", "extensions"})
"""What an address may ask with; others are left to their owners."""
MAX_PARAMETERS = 100


@dataclass(frozen=True)
class BadRequest(Exception):  # noqa: N818  # it is a kind of request, not of failure
    """A request that is refused before it is executed, with the HTTP status and headers to say so."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that is well formed, before anybody knows its document. ``version``: of the protocol that ``hash`` is of."""

    query: str | None
    document_id: str | None
    hash: str | None
    version: int | None
    variables: Mapping[str, Any] | None
    name: str | None


def asked_in(body: Any) -> Asked:
    """What an object of JSON asks for, from whatever transport it came. Raises :class:`BadRequest`."""
    if not isinstance(body, Mapping):
        raise BadRequest(400, "Send one JSON object with a query; batches are not served.")
    query, document_id = _text(body, "query"), _text(body, "documentId")
    extensions = _object(body, "extensions") or {}
    persisted = _object(extensions, "persistedQuery", "extensions.") or {}
    sha256 = _text(persisted, "sha256Hash", "extensions.persistedQuery.")
    if persisted and sha256 is None:
        raise BadRequest(400, "extensions.persistedQuery.sha256Hash: write the hash as text.")
    if query is None and document_id is None and sha256 is None:
        raise BadRequest(400, "query: write a GraphQL document as text, or its documentId.")
    if document_id is not None and (query is not None or sha256 is not None):
        raise BadRequest(400, "documentId: send it alone, without a query or a hash.")
    return Asked(
        query=query,
        document_id=document_id,
        hash=sha256,
        version=persisted.get("version"),
        variables=_object(body, "variables"),
        name=_text(body, "operationName"),
    )


def _text(body: Mapping[str, Any], name: str, within: str = "") -> str | None:
    """None for a text that is blank, too."""
    value = body.get(name)
    if not isinstance(value, str | None):
        raise BadRequest(400, f"{within}{name}: write text.")
    return value if value and not value.isspace() else None


def _object(body: Mapping[str, Any], name: str, within: str = "") -> Mapping[str, Any] | None:
    value = body.get(name)
    if not isinstance(value, Mapping | None):
        raise BadRequest(400, f"{within}{name}: write an object.")
    return value
