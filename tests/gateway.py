"""A running gateway over in-process sandboxes, and what it sent them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec
from starlette.applications import Starlette

from syncgraph import sandboxes
from syncgraph.app import create_app
from syncgraph.config import CacheSettings, ProviderSettings, Settings

NOW = datetime(2026, 11, 22, 9, 41, 7, tzinfo=UTC)


@dataclass
class Upstreams:
    """Connects to the sandboxes, remembers what was sent as ``kind METHOD /path``, and fails on command."""

    now: datetime = NOW
    sent: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    """Of ``sent``, what the sandbox has answered: as of ``now`` at that time."""
    broken: dict[str, Callable[[httpx2.Request], httpx2.Response]] = field(default_factory=dict)
    """By kind: what answers instead of the sandbox, or raises."""
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By kind: how much its sandbox has of what; else as by default."""
    sandboxes: dict[str, httpx2.ASGITransport] = field(default_factory=dict)
    """By kind: the sandbox itself, for what people do at the provider while the gateway looks on."""

    def connect(self, settings: ProviderSettings) -> httpx2.AsyncBaseTransport:
        kind = settings.kind
        make: Callable[..., Starlette] = sandboxes.SANDBOXES[kind].app
        app = make(clock=lambda: self.now, contract=settings.contract, **self.sizes.get(kind, {}))
        self.sandboxes[kind] = httpx2.ASGITransport(app)
        return _Spy(self, kind, self.sandboxes[kind])


class _Spy(httpx2.AsyncBaseTransport):
    def __init__(self, upstreams: Upstreams, kind: str, sandbox: httpx2.AsyncBaseTransport) -> None:
        self._upstreams = upstreams
        self._kind = kind
        self._sandbox = sandbox

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        call = f"{self._kind} {request.method} {request.url.raw_path.decode()}"
        self._upstreams.sent.append(call)
        broken = self._upstreams.broken.get(self._kind)
        if broken is not None:
            return broken(request)
        answer = await self._sandbox.handle_async_request(request)
        self._upstreams.answered.append(call)
        return answer


@dataclass
class Gateway:
    """A client of the gateway's own HTTP interface."""

    http: httpx2.AsyncClient
    upstreams: Upstreams

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The body of the answer to one operation, as a client with the current media type gets it."""
        answer = await self.http.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers={"accept": "application/graphql-response+json"},
        )
        body: dict[str, Any] = msgspec.json.decode(answer.content)
        return body

    async def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation that must have gone without any error."""
        body = await self.ask(query, **variables)
        assert body.get("errors") is None, body["errors"]
        data: dict[str, Any] = body["data"]
        return data


def nothing_kept(settings: Settings) -> Settings:
    """Every operation asks the providers anew."""
    return replace(
        settings, cache=CacheSettings(max_bytes=0, stale_while_revalidate_s=0.0, stale_if_error_s=0.0)
    )


@asynccontextmanager
async def running(
    contracts: Mapping[str, str] | None = None,
    *,
    upstreams: Upstreams | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[Gateway]:
    """The whole gateway, in this process: real HTTP semantics, no socket."""
    upstreams = upstreams or Upstreams()
    app = create_app(
        settings or nothing_kept(sandboxes.settings(contracts)),
        connect=upstreams.connect,
        clock=lambda: upstreams.now,
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gateway") as http,
    ):
        yield Gateway(http, upstreams)
