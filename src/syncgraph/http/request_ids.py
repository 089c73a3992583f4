"""One id per request: the caller's own where it is sane, sent back, and on every log line that the request causes."""

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

HEADER = "x-request-id"
SANE = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")


class RequestIds:
    """ASGI middleware; what runs inside finds the id in the scope, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = _of(Headers(scope=scope)) or uuid4().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def _of(headers: Headers) -> str | None:
    given = headers.get(HEADER, "")
    return given if SANE.fullmatch(given) else None
