"""The ASGI application. The only file that knows everything; tests replace its one seam, ``connect``."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, WebSocketRoute

from syncgraph.accounts import Accounts, Budget, Open, Opened, Priority, Terms
from syncgraph.config import CacheSettings, ProviderSettings, Settings
from syncgraph.graph.context import Context
from syncgraph.graph.cursors import Cursors
from syncgraph.graph.incremental import Payloads
from syncgraph.graph.schema import Operation, Result, run, run_in_parts
from syncgraph.graph.streams import Streams
from syncgraph.http import answer, probes
from syncgraph.http.admission import Admission
from syncgraph.http.documents import Documents
from syncgraph.http.drain import Drain, Drained
from syncgraph.http.endpoint import Endpoint
from syncgraph.http.graphiql import Assets
from syncgraph.http.request_ids import RequestIds
from syncgraph.http.reserved import ReservedStreams
from syncgraph.http.seats import Seats
from syncgraph.http.sse import EventStreams
from syncgraph.http.ws import Limits, Sockets
from syncgraph.providers import PROVIDERS
from syncgraph.upstream import transport
from syncgraph.upstream.account import Account, Patience
from syncgraph.upstream.client import Upstream
from syncgraph.upstream.ledger import Ledger
from syncgraph.upstream.redaction import redactor
from syncgraph.upstream.shelf import Memory
from syncgraph.upstream.slice import SHARE, Slice
from syncgraph.upstream.store import RedisStore, redis_store
from syncgraph.watch import Pace, Watches

Clock = Callable[[], datetime]
Connect = Callable[[ProviderSettings], httpx2.AsyncBaseTransport]


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    *,
    connect: Connect = transport.connect,
    clock: Clock = utc_now,
    drain: Drain | None = None,
) -> Starlette:
    """The whole gateway as an ASGI application; its lifespan closes the connections.

    ``drain``: how a server tells it that the process is asked to stop. Raises :class:`ConfigError` for
    what is wrong in a manifest of trusted documents.
    """
    gateway = Gateway(settings, connect=connect, clock=clock)
    drain = drain or Drain()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with gateway:
            yield

    live = settings.live
    seats = Seats(live.max_connections)
    documents = Documents(settings.server)
    events = EventStreams(gateway.streams.open, seats, documents)
    asked = Endpoint(
        gateway.execute, gateway.execute_in_parts, events, with_graphiql=settings.server.graphiql
    )
    endpoint = Admission(asked, settings.server)
    reserved = ReservedStreams(events, max_subscriptions=live.max_subscriptions)
    limits = Limits(max_subscriptions=live.max_subscriptions)
    sockets = Sockets(gateway.streams.open, seats, documents, limits)
    return Starlette(
        routes=[
            Mount("/graphql/assets", Assets()),
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", sockets),
            Route("/graphql/stream", reserved),
            Route("/", RedirectResponse("/graphql")),
            *probes.routes(drain, endpoint),
        ],
        middleware=[Middleware(RequestIds), Middleware(Drained, drain)],
        exception_handlers={Exception: answer.of_bug},
        lifespan=lifespan,
    )


class Gateway:
    """Executes operations, each over accounts opened for it alone; leaving it as a context closes the connections."""

    def __init__(self, settings: Settings, *, connect: Connect, clock: Clock) -> None:
        self._store = _store(settings)
        self._accounts = _accounts(settings, connect, clock, self._store)
        self._openers = Accounts({name: _opener(*one) for name, one in self._accounts.items()})
        self._timeout_s = settings.server.operation_timeout_s
        self._max_calls = settings.server.max_upstream_calls
        self._max_representations = settings.server.max_representations
        self._cursors = Cursors(cursor_secret(settings))
        self._clock = clock
        pace = Pace(settings.live.poll_running_s, settings.live.poll_idle_s)
        self._watches = Watches(self._accounts, self._open_one, pace)
        self.streams = Streams(
            self.execute,
            lambda: self._context_over({}, clock()),
            lambda: self._context(priority=Priority.BACKGROUND),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._watches.close()
        await self.streams.close()
        for account, _settings in self._accounts.values():
            await account.aclose()
        if self._store is not None:
            await self._store.aclose()

    @asynccontextmanager
    async def open(
        self, *, max_age_s: float | None = None, priority: Priority = Priority.INTERACTIVE
    ) -> AsyncIterator[tuple[Mapping[str, Opened], datetime]]:
        """The providers for one operation, and its ``now``."""
        terms = self._terms(max_age_s=max_age_s, priority=priority)
        async with self._openers.open(terms) as opened:
            yield opened, terms.now

    async def execute(self, operation: Operation) -> Result:
        """Never raises for what a client or a provider did."""
        async with self._context(max_age_s=operation.max_age_s) as context:
            return await run(operation, context)

    @asynccontextmanager
    async def execute_in_parts(self, operation: Operation) -> AsyncIterator[Result | Payloads]:
        """As ``execute``; its deadline is that of the last part, and leaving ends what is still under way."""
        async with self._context(max_age_s=operation.max_age_s) as context:
            answer = await run_in_parts(operation, context)
            if isinstance(answer, Result):
                yield answer
            else:
                async with aclosing(answer):
                    yield answer

    @asynccontextmanager
    async def _context(
        self, *, max_age_s: float | None = None, priority: Priority = Priority.INTERACTIVE
    ) -> AsyncIterator[Context]:
        async with self.open(max_age_s=max_age_s, priority=priority) as (opened, now):
            yield self._context_over(opened, now)

    def _context_over(self, opened: Mapping[str, Opened], now: datetime) -> Context:
        return Context(
            opened=opened,
            cursors=self._cursors,
            now=now,
            max_calls=self._max_calls,
            max_representations=self._max_representations,
            watches=self._watches,
        )

    @asynccontextmanager
    async def _open_one(self, name: str) -> AsyncIterator[tuple[Opened, datetime]]:
        """One provider for one poll, which yields to those who wait for an answer."""
        terms = self._terms(max_age_s=0.0, priority=Priority.BACKGROUND)
        only = Accounts({name: self._openers.by_name[name]})
        async with only.open(terms) as opened:
            yield opened[name], terms.now

    def _terms(self, *, max_age_s: float | None, priority: Priority) -> Terms:
        began = asyncio.get_running_loop().time()
        return Terms(
            began=began,
            deadline=began + self._timeout_s,
            now=self._clock(),
            budget=Budget(self._max_calls),
            priority=priority,
            max_age_s=max_age_s,
        )


def _store(settings: Settings) -> RedisStore | None:
    address = settings.cache.redis
    return None if address is None else redis_store(address.get_secret_value())


def _accounts(
    settings: Settings, connect: Connect, clock: Clock, store: RedisStore | None
) -> Mapping[str, tuple[Account, ProviderSettings]]:
    """What lives as long as the process, by provider."""
    redact = redactor(its.credential.get_secret_value() for its in settings.providers.values())
    cache = settings.cache
    memory = Memory(cache.max_bytes, keep_s=max(cache.stale_while_revalidate_s, cache.stale_if_error_s))

    def account(name: str, its: ProviderSettings) -> Account:
        return Account(
            name=name,
            base_url=its.base_url,
            transport=connect(its),
            dialect=PROVIDERS[its.kind].dialect(its),
            patience=_patience(its, cache),
            redact=redact,
            clock=clock,
            ledger=Ledger(configured=its.requests_per_minute, replicas=settings.server.replicas),
            memory=memory,
            store=store,
        )

    return {name: (account(name, its), its) for name, its in settings.providers.items()}


def _patience(its: ProviderSettings, cache: CacheSettings) -> Patience:
    return Patience(
        attempt_s=its.attempt_timeout_s,
        retry_timeouts=its.retry_timeouts,
        concurrency=its.concurrency,
        stale_while_revalidate_s=cache.stale_while_revalidate_s,
        stale_if_error_s=cache.stale_if_error_s,
    )


def _opener(account: Account, settings: ProviderSettings) -> Open:
    adapter = PROVIDERS[settings.kind]

    def open_account(terms: Terms) -> Opened:
        slice_s = settings.timeout_s or SHARE * (terms.deadline - terms.began)
        upstream = Upstream(
            account,
            time=Slice(slice_s, terms.deadline),
            now=terms.now,
            spend=terms.budget.spend,
            max_age_s=terms.max_age_s,
            is_background=terms.priority is Priority.BACKGROUND,
        )
        provider = adapter.bind(upstream, settings, terms.now)
        seen = replace(provider, health=upstream.health, expectation=settings.freshness.policy_of)
        return Opened(seen, upstream)

    return open_account


def cursor_secret(settings: Settings) -> bytes:
    """The same for all workers of one configuration, and across restarts; secret as the credentials are."""
    digest = hashlib.sha256(b"syncgraph cursor")
    for name, its in sorted(settings.providers.items()):
        digest.update(f"\0{name}\0{its.base_url}\0{its.credential.get_secret_value()}".encode())
    return digest.digest()
