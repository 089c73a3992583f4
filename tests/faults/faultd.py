"""An upstream that commits faults: raw TCP, healthy answers out of the project's own sandbox, each fault on command."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2
from starlette.types import ASGIApp
from tests.faults.listening import listening

CANARY = "CANARY"
"""In every credential, address, header and body, in fields that nobody reads: it must come out nowhere."""
CANARY_HEADERS = {
    "x-canary": f"{CANARY}-header",
    "set-cookie": f"session={CANARY}-cookie",
    "server": f"{CANARY}-server",
    "www-authenticate": f'Bearer realm="{CANARY}-realm"',
}
JSON = "application/json"


class HangUp(Exception):  # noqa: N818 - an order, not an error
    """Raised by a fault: the connection ends here, without another byte."""


@dataclass(frozen=True)
class Answer:
    """What a healthy provider would say, or a changed copy of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kept(self) -> Mapping[str, str]:
        """The provider's own headers, as ``reply`` takes them."""
        its = {"content-type", "content-length"}
        return {name.replace("-", "_"): value for name, value in self.headers.items() if name not in its}


@dataclass
class Exchange:
    """One request that came in, and the connection it came on. ``number``: of this server's exchanges, from 1."""

    number: int
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sandbox: Callable[[str], Awaitable[Answer]]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    async def healthy(self, target: str | None = None) -> Answer:
        """What the sandbox says, to this request or to the same with another ``target``."""
        return await self.sandbox(self.target if target is None else target)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(
        self, body: bytes | object, status: int = 200, *, media: str | None = JSON, **headers: str
    ) -> None:
        """A whole and well-formed HTTP answer. ``headers``: with ``_`` for ``-``."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.send(head(status, media, content_length=str(len(content)), **headers) + content)

    async def until_left(self) -> None:
        """Say nothing until the other side closes the connection."""
        while await self.reader.read(65536):
            pass
        raise HangUp

    def reset(self) -> None:
        """End the connection with a RST, after all that was sent."""
        at_once = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.writer.transport.abort()
        raise HangUp


def head(status: int = 200, media: str | None = JSON, **headers: str) -> bytes:
    """Status line and headers, canaries among them."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = {**CANARY_HEADERS, **({} if media is None else {"content-type": media}), **named}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{text}\r\n".encode("latin-1")


Fault = Callable[[Exchange], Awaitable[None]]
"""Answers one request, badly. Whatever it leaves unsaid is left unsaid."""
OnAccept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def nothing_wrong(exchange: Exchange) -> None:
    """What the sandbox says."""
    answer = await exchange.healthy()
    await exchange.reply(answer.body, answer.status, media=answer.headers.get("content-type"), **answer.kept)


@dataclass
class Faultd:
    """One provider. ``secrets``: what the gateway sends, by what the sandbox takes for it."""

    sandbox: ASGIApp
    prefix: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    fault: Fault = nothing_wrong
    on_accept: OnAccept | None = None
    asked: list[str] = field(default_factory=list)
    accepted: int = 0
    open: int = 0
    port: int = 0

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Faultd"]:
        async with listening(self._serve, tls) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        try:
            if self.on_accept is not None:
                await self.on_accept(reader, writer)
            while True:
                await self._exchange(reader, writer)
        except (HangUp, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        target = target.removeprefix(self.prefix)
        self.asked.append(f"{method} {target}")
        exchange = Exchange(
            number=len(self.asked),
            method=method,
            target=target,
            headers=headers,
            body=body,
            reader=reader,
            writer=writer,
            sandbox=lambda wanted: self._healthy(method, wanted, headers, body),
        )
        await self.fault(exchange)

    async def _healthy(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        told = {
            name: self._told(value)
            for name, value in headers.items()
            if name not in {"host", "content-length"}
        }
        request = httpx2.Request(method, f"http://sandbox{target}", headers=told, content=body)
        response = await httpx2.ASGITransport(self.sandbox).handle_async_request(request)
        content = await response.aread()
        return Answer(response.status_code, dict(response.headers), _with_canary(content))

    def _told(self, header: str) -> str:
        for sent, taken in self.secrets.items():
            header = header.replace(sent, taken)
        return header


def _with_canary(content: bytes) -> bytes:
    """With a field that no contract has, in the answer and in each of its rows."""
    body = json.loads(content)
    lists = [body, *(body.values() if isinstance(body, dict) else ())]
    rows = [row for one in lists if isinstance(one, list) for row in one]
    for one in (body, *rows):
        if isinstance(one, dict):
            one["canary"] = f"{CANARY}-body"
    return json.dumps(body).encode()
