"""An answer in parts as multipart/mixed, in the format that the client reads."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.types import Send

from syncgraph.graph.incremental import Payloads
from syncgraph.http.accept import MediaType
from syncgraph.http.answer import DEFAULTS

MULTIPART = "multipart/mixed"
BOUNDARY = "-"
CURRENT, OLDER = "incrementalspec=v0.2", "deferspec=20220824"
"""https://specs.apollo.dev/incremental/v0.2/, as graphql-core speaks it, and what clients of the year 2022 read."""

Payload = Mapping[str, Any]
Convert = Callable[[Payload], Payload]


def format_for(accepted: Sequence[MediaType], least: float) -> str | None:
    """Which of the two the client names, at this quality at least; None: it wants the whole answer at once.

    Whoever takes anything does not ask for parts, and whoever names no format reads the current one.
    """
    named = [
        (one.quality, one.parameters)
        for one in accepted
        if one.name == MULTIPART and one.quality >= least and one.quality > 0
    ]
    if not named:
        return None
    _, parameters = max(named, key=lambda one: one[0])
    return OLDER if "deferspec" in parameters and "incrementalspec" not in parameters else CURRENT


async def send_parts(send: Send, payloads: Payloads, spec: str) -> None:
    """Each as it is done. A client reads a part when the next boundary is there, so that is sent along."""
    content_type = f'{MULTIPART}; boundary="{BOUNDARY}"; {_NAMES[spec]}'
    headers = {**DEFAULTS, "content-type": content_type}
    start = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": start})
    convert: Convert = _Older() if spec == OLDER else _as_it_is
    opening = f"\r\n--{BOUNDARY}".encode()
    async for payload in payloads:
        json = msgspec.json.encode(convert(payload))
        body = opening + b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n" + json
        body += f"\r\n--{BOUNDARY}{'' if payload['hasNext'] else '--'}".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        opening = b""
    await send({"type": "http.response.body", "body": b"\r\n", "more_body": False})


_NAMES = {CURRENT: "incrementalSpec=v0.2", OLDER: "deferSpec=20220824"}


_OF_ANSWER = frozenset({"data", "errors", "extensions", "hasNext"})
"""Of a payload or a part, what both formats have."""


def _as_it_is(payload: Payload) -> Payload:
    return payload


class _Older:
    """In the older format, each part says by itself where it belongs."""

    def __init__(self) -> None:
        self._pending: dict[str, Mapping[str, Any]] = {}

    def __call__(self, payload: Payload) -> Payload:
        self._pending |= {one["id"]: one for one in payload.get("pending", ())}
        parts = [self._part(one) for one in payload.get("incremental", ())]
        parts += [self._failed(one) for one in payload.get("completed", ()) if "errors" in one]
        rest = {name: its for name, its in payload.items() if name in _OF_ANSWER}
        return {**rest, **({"incremental": parts} if parts else {})}

    def _part(self, one: Mapping[str, Any]) -> Payload:
        its = {name: value for name, value in one.items() if name in _OF_ANSWER}
        return {**its, **self._place(one)}

    def _failed(self, one: Mapping[str, Any]) -> Payload:
        return {"data": None, **self._place(one), "errors": one["errors"]}

    def _place(self, one: Mapping[str, Any]) -> Payload:
        pending = self._pending[one["id"]]
        label = {"label": pending["label"]} if "label" in pending else {}
        return {"path": [*pending["path"], *one.get("subPath", ())], **label}
