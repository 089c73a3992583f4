"""Redis or Valkey as a shared store of answers. Its loss costs calls to providers, never a request."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from syncgraph.upstream.breaker import Breaker, Outcome

T = TypeVar("T")
log = structlog.get_logger(__name__)

PREFIX = "syncgraph:answer:"
PATIENCE_S = 0.05
"""Of one command: a store that is slower than this is slower than many a provider."""
PATIENCE_FOR_ALL_S = 5.0
"""Of looking through all keys."""
CONNECTIONS = 32
"""Commands beyond that wait for one, as long as a command may take."""
MAX_VALUE = 256 * 1024
"""Bytes of one value; a larger answer stays in the memory of the gateway that read it."""


@dataclass(slots=True)
class RedisStore:
    """``Store`` over one Redis. After five failures in a row it is left alone for some seconds."""

    client: Redis
    _breaker: Breaker = field(default_factory=Breaker)

    async def get(self, key: str) -> bytes | None:
        found = await self._try(lambda: self.client.get(PREFIX + key))
        return found if isinstance(found, bytes) else None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        if len(value) <= MAX_VALUE:
            await self._try(lambda: self.client.set(PREFIX + key, value, px=max(1, int(ttl_s * 1000))))

    async def drop(self, key: str) -> None:
        await self._try(lambda: self.client.delete(PREFIX + key))

    async def drop_all(self, beginning: str) -> None:
        await self._try(lambda: self._drop_all(beginning), patience_s=PATIENCE_FOR_ALL_S)

    async def aclose(self) -> None:
        await self.client.aclose()

    async def _drop_all(self, beginning: str) -> None:
        async for key in self.client.scan_iter(match=f"{PREFIX}{beginning}*", count=1000):
            await self.client.delete(key)

    async def _try(self, command: Callable[[], Awaitable[T]], patience_s: float = PATIENCE_S) -> T | None:
        now = asyncio.get_running_loop().time
        permit = self._breaker.admit(now())
        if permit is None:
            return None
        outcome = Outcome.CANCELLED
        try:
            async with asyncio.timeout(patience_s):
                answer = await command()
            outcome = Outcome.WELL
        except (RedisError, OSError, TimeoutError) as error:
            outcome = Outcome.BADLY
            log.warning("store_failed", kind=type(error).__name__)
            return None
        finally:
            self._breaker.settle(permit, outcome, now())
        return answer


def redis_store(url: str) -> RedisStore:
    """Connects when it is first asked."""
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
        socket_connect_timeout=PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=CONNECTIONS,
        protocol=2,
    )
    return RedisStore(Redis.from_pool(pool))
