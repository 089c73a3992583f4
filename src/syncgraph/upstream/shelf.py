"""What one credential was answered, kept for a while: never shown to another, and never once it may no longer be seen."""

import asyncio
import hmac
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec
from cachetools import LRUCache

from syncgraph.upstream.decoding import NotAsPromised, decoded

WEIGHT = 3
"""Bytes in memory per byte of JSON, rounded up: 1.5 was measured for a page of Den's events, whose text is kept along."""

GONE_REMEMBERED = 10_000
"""Answers of one account that must not come back from a shared store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One answer, decoded. ``at``: when it was read, on the event loop's clock; ``fetched_at``: the same for people.

    ``lives_s``: for how long it counts as fresh. ``left_out``: rows that were not what the contract promises.
    """

    value: Any
    size: int
    at: float
    fetched_at: datetime
    lives_s: float
    left_out: int = 0


class Memory:
    """The answers of all accounts within one bound of bytes; what was not asked for the longest goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._kept: LRUCache[Hashable, Kept] = LRUCache(max_bytes, getsizeof=lambda kept: kept.size * WEIGHT)

    def get(self, key: Hashable) -> Kept | None:
        return self._kept.get(key)

    def put(self, key: Hashable, kept: Kept) -> None:
        if kept.size * WEIGHT <= self._kept.maxsize:
            self._kept[key] = kept

    def drop(self, key: Hashable) -> None:
        self._kept.pop(key, None)


class Store(Protocol):
    """Bytes that several gateways share. Never raises: what cannot be had is not there."""

    async def get(self, key: str) -> bytes | None: ...
    async def put(self, key: str, value: bytes, ttl_s: float) -> None: ...
    async def drop(self, key: str) -> None: ...
    async def drop_all(self, beginning: str) -> None: ...
    async def aclose(self) -> None: ...


class _Stored(msgspec.Struct, frozen=True):
    """As a store holds it. ``key`` again, so that a store that mixes its values up is noticed."""

    key: str
    fetched_at: datetime
    lives_s: float
    body: bytes


_STORED = msgspec.msgpack.Decoder(_Stored)
_MAC_BYTES = 32


@dataclass(slots=True, kw_only=True)
class Shelf:
    """One account's answers. ``owner``: derived from its credential, and as secret.

    Names of answers are made with it and stored ones are signed by it, so that no key, however it comes about, leads to what
    another credential was answered.
    """

    owner: bytes
    memory: Memory
    clock: Callable[[], datetime]
    store: Store | None = None
    keep_s: float = 0.0
    """How long a store holds what is no longer fresh."""
    _generation: int = 0
    _nothing_before: datetime | None = None
    _gone: LRUCache[str, datetime] = field(default_factory=lambda: LRUCache(GONE_REMEMBERED))
    _writing: set[asyncio.Task[None]] = field(default_factory=set)

    def name(self, question: bytes) -> str:
        return f"{self._beginning}{hmac.digest(self.owner, question, 'sha256').hex()}"

    def at_hand(self, name: str) -> Kept | None:
        return self.memory.get((self._generation, name))

    async def find(self, name: str, decoder: msgspec.json.Decoder[Any]) -> Kept | None:
        """What is at hand, however old."""
        kept = self.at_hand(name)
        if kept is None and self.store is not None:
            kept = self._opened(name, await self.store.get(name), decoder)
            if kept is not None:
                self.memory.put((self._generation, name), kept)
        return kept

    def put(self, name: str, kept: Kept, body: bytes) -> None:
        self.memory.put((self._generation, name), kept)
        if self.store is not None:
            sealed = self._sealed(_Stored(name, kept.fetched_at, kept.lives_s, body))
            self._write(self.store.put(name, sealed, kept.lives_s + self.keep_s))

    def forget(self, name: str) -> None:
        """It is not there any more, or may not be seen."""
        self.memory.drop((self._generation, name))
        if self.store is not None:
            self._gone[name] = self.clock()
            self._write(self.store.drop(name))

    def forget_all(self) -> None:
        """The credential is refused."""
        self._generation += 1
        if self.store is not None:
            self._nothing_before = self.clock()
            self._write(self.store.drop_all(self._beginning))

    async def aclose(self) -> None:
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    @property
    def _beginning(self) -> str:
        return hmac.digest(self.owner, b"", "sha256").hex()[:16] + ":"

    def _write(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _sealed(self, stored: _Stored) -> bytes:
        text = msgspec.msgpack.encode(stored)
        return hmac.digest(self.owner, text, "sha256") + text

    def _opened(self, name: str, sealed: bytes | None, decoder: msgspec.json.Decoder[Any]) -> Kept | None:
        if sealed is None:
            return None
        mac, text = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, hmac.digest(self.owner, text, "sha256")):
            return None
        stored = _STORED.decode(text)
        if stored.key != name or self._must_not_come_back(stored):
            return None
        try:
            value, left_out = decoded(stored.body, decoder)
        except NotAsPromised:
            return None  # written by another version of this gateway
        now = self.clock()
        age_s = max(0.0, (now - stored.fetched_at).total_seconds())
        return Kept(
            value=value,
            size=len(stored.body),
            at=asyncio.get_running_loop().time() - age_s,
            fetched_at=min(stored.fetched_at, now),
            lives_s=stored.lives_s,
            left_out=left_out,
        )

    def _must_not_come_back(self, stored: _Stored) -> bool:
        bounds = (self._nothing_before, self._gone.get(stored.key))
        return any(bound is not None and stored.fetched_at <= bound for bound in bounds)
