"""A request that is refused before anything of it is executed: bytes made ready once, so that a no costs nothing."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from syncgraph.errors import GatewayError
from syncgraph.http.accept import PLAIN_JSON, MediaType, best_json, media_types
from syncgraph.http.answer import DEFAULTS


class Refusal:
    """An ASGI application that always answers with the same coded error, in the media type that the client knows."""

    def __init__(self, status: HTTPStatus, error: GatewayError, headers: Mapping[str, str]) -> None:
        entry = {"message": str(error), "extensions": {"code": error.code, "retryable": error.retryable}}
        self._status = status
        self._body = msgspec.json.encode({"errors": [entry]})
        fixed = {**DEFAULTS, **headers, "content-length": str(len(self._body))}
        self._headers = [(name.encode(), value.encode()) for name, value in fixed.items()]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [
            *self._headers,
            (b"content-type", _content_type(best_json(_accepted(scope)) or PLAIN_JSON)),
        ]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})

    def on_the_wire(self) -> bytes:
        """For a request that no application will ever see; the connection ends with it."""
        headers = [*self._headers, (b"content-type", _content_type(PLAIN_JSON)), (b"connection", b"close")]
        head = f"HTTP/1.1 {self._status.value} {self._status.phrase}\r\n".encode()
        return b"".join([head, *(b"%b: %b\r\n" % header for header in headers), b"\r\n", self._body])


def _accepted(scope: Scope) -> Sequence[MediaType]:
    return media_types(Headers(scope=scope).get("accept", ""))


def _content_type(media_type: str) -> bytes:
    return f"{media_type}; charset=utf-8".encode()
