"""What lives as long as the process for one provider: connections, bulkhead, circuit, quota, answers, what it last said."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
import structlog

from syncgraph.errors import UpstreamError
from syncgraph.ports import RateLimit
from syncgraph.upstream.answer import Answer, Dialect
from syncgraph.upstream.breaker import Breaker
from syncgraph.upstream.budget import RetryBudget
from syncgraph.upstream.flights import Flights
from syncgraph.upstream.ledger import Ledger
from syncgraph.upstream.seen import Seen
from syncgraph.upstream.shelf import Kept, Memory, Shelf, Store
from syncgraph.upstream.turns import Turns

log = structlog.get_logger(__name__)

MAX_REFRESHES = 1000
"""Answers of one account that wait to be read anew; the others are asked for again when somebody wants them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often one provider is asked, and how old its answers may get. Seconds, bytes, calls."""

    attempt_s: float = 2.0
    attempts: int = 2
    retry_timeouts: bool = False
    concurrency: int = 32
    max_bytes: int = 2 * 1024 * 1024
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0


@dataclass(slots=True)
class Refresh:
    """An answer that is to be read anew. ``wanted_at``: when somebody last met it old, on the event loop's clock."""

    wanted_at: float
    task: asyncio.Task[None] = field(init=False)


@dataclass(slots=True)
class Account:
    """One configured account at one base URL, with one credential.

    ``accepted_at``: when the credential last was, on the event loop's clock. ``doubted_until``: it was then refused in
    words that may only mean "too often"; a refusal of a call that began after this is meant. ``told``: of its limit, by
    the newest answer.
    """

    name: str
    base_url: str
    transport: httpx2.AsyncBaseTransport
    dialect: Dialect
    patience: Patience
    redact: Callable[[bytes], bytes]
    clock: Callable[[], datetime]
    ledger: Ledger = field(default_factory=Ledger)
    memory: Memory = field(default_factory=lambda: Memory(0))
    store: Store | None = None
    accepted_at: float | None = None
    doubted_until: float | None = None
    last_headers: Mapping[str, str] = field(default_factory=dict)
    told: RateLimit | None = None
    seen: Seen = field(default_factory=Seen)
    breaker: Breaker = field(default_factory=Breaker)
    retries: RetryBudget = field(default_factory=RetryBudget)
    flights: Flights[Kept] = field(default_factory=Flights)
    slots: asyncio.Semaphore = field(init=False)
    turns: Turns = field(init=False)
    shelf: Shelf = field(init=False)
    _refreshes: dict[str, Refresh] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.patience.concurrency)
        self.turns = Turns(self.ledger)
        self.shelf = Shelf(owner=self._owner(), memory=self.memory, clock=self.clock, store=self.store)

    def refresh(self, name: str, work: Callable[[Refresh], Coroutine[Any, Any, None]]) -> None:
        """Read the answer ``name`` anew when its turn comes, whoever wants it; once at a time."""
        wanted_at = asyncio.get_running_loop().time()
        under_way = self._refreshes.get(name)
        if under_way is not None:
            under_way.wanted_at = wanted_at
        elif self.memory.max_bytes and len(self._refreshes) < MAX_REFRESHES:
            refresh = self._refreshes[name] = Refresh(wanted_at)
            refresh.task = asyncio.create_task(work(refresh))
            refresh.task.add_done_callback(lambda _: self._refreshes.pop(name, None))

    def failure(
        self,
        kind: type[UpstreamError],
        message: str,
        *,
        answer: Answer | None = None,
        retryable: bool | None = None,
    ) -> UpstreamError:
        """The error to raise for what the provider did, in words of our own; logged. ``answer``: what it said, if it did."""
        log.warning("upstream_failed", provider=self.name, code=kind.code)
        status = answer.status if answer else None
        return kind(message, provider=self.name, http_status=status, retryable=retryable)

    async def aclose(self) -> None:
        refreshes = [refresh.task for refresh in self._refreshes.values()]
        for task in refreshes:
            task.cancel()
        await asyncio.gather(*refreshes, return_exceptions=True)
        await self.flights.close()
        await self.shelf.aclose()
        await self.transport.aclose()

    def _owner(self) -> bytes:
        """A secret that only this account's credential leads to."""
        digest = hashlib.sha256(b"syncgraph answers")
        for part in (
            self.name,
            self.base_url,
            *(f"{k}:{v}" for k, v in sorted(self.dialect.headers.items())),
        ):
            digest.update(len(part.encode()).to_bytes(4) + part.encode())
        return digest.digest()
