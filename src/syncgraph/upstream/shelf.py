"""What one credential was answered, kept for a while: never shown to another, and never once it may no longer be seen."""

import asyncio
import hmac
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
from cachetools import LRUCache, TLRUCache

from syncgraph.upstream.decoding import NotAsPromised, decoded

WEIGHT = 3
"""Bytes in memory per byte of JSON, rounded up: 1.5 was measured for a page of Den's events, whose text is kept along."""

OVERHEAD = 1024
"""Bytes in memory of the smallest answer: its name, its instants, its place."""

AT_LEAST_S = 300.0
"""How long an answer is kept, so that no read under way loses one that it counts on."""

GONE_REMEMBERED = 10_000
"""Answers of one account that must not come back: from a shared store, or by a read that began before."""

MAX_WRITING = 100
"""Answers on their way to a store; while it is slower than providers, further ones are not sent there."""

AHEAD = timedelta(seconds=1)
"""A copy that another gateway says to have fetched later than that from now cannot be aged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One answer, decoded. ``at``: when it was asked for, on the event loop's clock; ``fetched_at``: the same for people.

    ``lives_s``: for how long it counts as fresh. ``left_out``: rows that were not what the contract promises.
    """

    value: Any
    size: int
    at: float
    fetched_at: datetime
    lives_s: float
    left_out: int = 0


class Memory:
    """The answers of all accounts within one bound of bytes; what was not asked for the longest goes first.

    What nobody may be shown any more goes by itself. ``keep_s``: for how long an answer that is no longer fresh is of use.
    """

    def __init__(self, max_bytes: int, keep_s: float = 0.0) -> None:
        self.max_bytes, self.keep_s = max_bytes, keep_s
        self._kept: TLRUCache[str, Kept] = TLRUCache(
            max_bytes,
            ttu=lambda _, kept, __: kept.at + max(kept.lives_s + keep_s, AT_LEAST_S),
            timer=_now,
            getsizeof=_weight,
        )

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, name: str) -> Kept | None:
        return self._kept.get(name)

    def put(self, name: str, kept: Kept) -> None:
        """What is too large is not kept, nor what it would have replaced."""
        self.drop(name)
        if _weight(kept) <= self.max_bytes:
            self._kept[name] = kept

    def drop(self, name: str) -> None:
        self._kept.pop(name, None)


def _weight(kept: Kept) -> int:
    return OVERHEAD + WEIGHT * kept.size


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
    _nothing_before: float = -math.inf
    _gone: LRUCache[str, float] = field(default_factory=lambda: LRUCache(GONE_REMEMBERED))
    _writing: set[asyncio.Task[None]] = field(default_factory=set)
    _emptying: asyncio.Task[None] | None = None

    def name(self, question: bytes) -> str:
        return f"{self._beginning}{hmac.digest(self.owner, question, 'sha256').hex()}"

    def at_hand(self, name: str) -> Kept | None:
        kept = self.memory.get(name)
        return None if kept is None or self._is_gone(name, kept) else kept

    async def find(self, name: str, decoder: msgspec.json.Decoder[Any]) -> Kept | None:
        """What is at hand, however old."""
        kept = self.at_hand(name)
        if kept is None and self.store is not None:
            kept = self._opened(name, await self.store.get(name), decoder)
            if kept is not None:
                self.memory.put(name, kept)
        return kept

    def put(self, name: str, kept: Kept, body: bytes) -> None:
        """Unless it was asked for before that came which makes it be forgotten."""
        if self._is_gone(name, kept):
            return
        self.memory.put(name, kept)
        if self.store is not None and len(self._writing) < MAX_WRITING:
            sealed = self._sealed(_Stored(name, kept.fetched_at, kept.lives_s, body))
            self._write(self.store.put(name, sealed, kept.lives_s + self.memory.keep_s))

    def forget(self, name: str) -> None:
        """It is not there any more, or may not be seen."""
        self.memory.drop(name)
        self._gone[name] = _now()
        if self.store is not None:
            self._write(self.store.drop(name))

    def forget_all(self) -> None:
        """The credential is refused."""
        self._nothing_before = _now()
        if self.store is not None and (self._emptying is None or self._emptying.done()):
            self._emptying = self._write(self.store.drop_all(self._beginning))

    async def aclose(self) -> None:
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    @property
    def _beginning(self) -> str:
        return hmac.digest(self.owner, b"", "sha256").hex()[:16] + ":"

    def _write(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    def _sealed(self, stored: _Stored) -> bytes:
        text = msgspec.msgpack.encode(stored)
        return hmac.digest(self.owner, text, "sha256") + text

    def _opened(self, name: str, sealed: bytes | None, decoder: msgspec.json.Decoder[Any]) -> Kept | None:
        if sealed is None:
            return None
        mac, text = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, hmac.digest(self.owner, text, "sha256")):
            return None
        try:
            stored = _STORED.decode(text)
            value, left_out = decoded(stored.body, decoder)
        except (msgspec.MsgspecError, NotAsPromised):
            return None  # written by another version of this gateway
        now = self.clock()
        age = now - stored.fetched_at
        kept = Kept(
            value=value,
            size=len(stored.body),
            at=_now() - max(0.0, age.total_seconds()),
            fetched_at=min(stored.fetched_at, now),
            lives_s=stored.lives_s,
            left_out=left_out,
        )
        is_its_own = stored.key == name and age >= -AHEAD
        return kept if is_its_own and not self._is_gone(name, kept) else None

    def nothing_before(self, name: str) -> float:
        """What was asked for until then is not to be shown any more."""
        return max(self._nothing_before, self._gone.get(name, -math.inf))

    def _is_gone(self, name: str, kept: Kept) -> bool:
        return kept.at <= self.nothing_before(name)


def _now() -> float:
    return asyncio.get_running_loop().time()
