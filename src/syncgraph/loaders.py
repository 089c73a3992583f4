"""Per-request batching and caching over the lookup ports; what a list brought is not fetched again.

Each provider is batched by itself: what waits for one must not wait for another.

A loader's cache never expires, so it must die with its request. Waiters of one key share one future, and cancelling
one would cancel all: every waiter is shielded, and nobody puts a timeout around ``load``.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from aiodataloader import DataLoader

from syncgraph.domain.model import (
    Connector,
    ConnectorKey,
    RunKey,
    Sync,
    SyncExtra,
    SyncKey,
    SyncRun,
    SyncStats,
)
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, or_error
from syncgraph.ports import Feed, Found, Provider, Scope


class Key(Hashable, Protocol):
    """What names a thing at a provider."""

    @property
    def provider(self) -> str: ...


K = TypeVar("K", bound=Key)
V = TypeVar("V")
P = TypeVar("P", ConnectorKey, SyncKey, RunKey)
Find = Callable[[Sequence[str]], Awaitable[Sequence[Found[V]]]]


class Loader(Generic[K, V]):
    """One batched question; ``load`` raises the :class:`UpstreamError` that is the answer for its key.

    ``batch``: is given keys of one provider.
    """

    def __init__(self, batch: Callable[[Sequence[K]], Awaitable[Sequence[V | UpstreamError]]]) -> None:
        self._batch = batch
        self._by_provider: dict[str, DataLoader[K, Any]] = {}

    async def load(self, key: K) -> V:
        found = self._of(key).load(key)
        if not found.done():
            found.add_done_callback(_heard)
        return await asyncio.shield(found)

    def prime(self, key: K, value: V) -> None:
        self._of(key).prime(key, value)

    def _of(self, key: K) -> DataLoader[K, Any]:
        if key.provider not in self._by_provider:
            self._by_provider[key.provider] = DataLoader(self._load_batch)
        return self._by_provider[key.provider]

    async def _load_batch(self, keys: list[K]) -> list[V | UpstreamError]:
        return list(await self._batch(keys))


def _heard(found: asyncio.Future[Any]) -> None:
    """Whoever waits for it may leave; that nobody is there to hear of a failure is not an event for the log."""
    if not found.cancelled():
        found.exception()


@dataclass(frozen=True, slots=True)
class HeadKey(Generic[V]):
    """The first page of one upstream list: which provider's, of what, and at least how many rows."""

    provider: str
    kind: str
    scope: Scope
    first: int


class Loaders:
    """Everything one request looks up, over ``providers`` bound for it."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self.connector: Loader[ConnectorKey, Connector | None] = Loader(self._find_connectors)
        self.sync: Loader[SyncKey, Sync | None] = Loader(self._find_syncs)
        self.run: Loader[RunKey, SyncRun | None] = Loader(self._find_runs)
        self.sync_extra: Loader[SyncKey, SyncExtra | None] = Loader(self._find_extras)
        self.stats: Loader[SyncKey, SyncStats | None] = Loader(self._find_stats)
        self.head: Loader[HeadKey[Any], Page[Any] | UpstreamError] = Loader(self._first_pages)

    def prime(self, rows: Sequence[Connector | Sync | SyncRun]) -> None:
        """Remember what a list brought."""
        for row in rows:
            match row:
                case Connector():
                    self.connector.prime(row.key, row)
                case Sync():
                    self.sync.prime(row.key, row)
                case SyncRun():
                    self.run.prime(row.key, row)

    async def _find_connectors(self, keys: Sequence[ConnectorKey]) -> Sequence[Found[Connector]]:
        return await self._find(
            keys, lambda p: p.connector_lookup.find_connectors if p.connector_lookup else None
        )

    async def _find_syncs(self, keys: Sequence[SyncKey]) -> Sequence[Found[Sync]]:
        return await self._find(keys, lambda p: p.sync_lookup.find_syncs if p.sync_lookup else None)

    async def _find_runs(self, keys: Sequence[RunKey]) -> Sequence[Found[SyncRun]]:
        return await self._find(keys, lambda p: p.run_lookup.find_runs if p.run_lookup else None)

    async def _find_extras(self, keys: Sequence[SyncKey]) -> Sequence[Found[SyncExtra]]:
        return await self._find(
            keys, lambda p: p.sync_extra_lookup.find_extras if p.sync_extra_lookup else None
        )

    async def _find_stats(self, keys: Sequence[SyncKey]) -> Sequence[Found[SyncStats]]:
        return await self._find(keys, lambda p: p.stats_lookup.find_stats if p.stats_lookup else None)

    async def _find(
        self, keys: Sequence[P], find_of: Callable[[Provider], Find[V] | None]
    ) -> Sequence[Found[V]]:
        """Ask one provider for all at once."""
        provider = self._providers.get(keys[0].provider)
        find = find_of(provider) if provider is not None else None
        if find is None:
            return [None] * len(keys)
        found = await or_error(find([key.id for key in keys]))
        return [found] * len(keys) if isinstance(found, UpstreamError) else found

    async def _first_pages(self, keys: Sequence[HeadKey[Any]]) -> Sequence[Page[Any] | UpstreamError]:
        """The heads of many lists of one provider; those of one kind are asked for together."""
        kinds: defaultdict[str, list[HeadKey[Any]]] = defaultdict(list)
        for key in keys:
            kinds[key.kind].append(key)
        batches = await asyncio.gather(*map(self._heads_of, kinds.values()))
        pages = {
            key: page
            for group, batch in zip(kinds.values(), batches, strict=True)
            for key, page in zip(group, batch, strict=True)
        }
        return [pages[key] for key in keys]

    async def _heads_of(self, keys: Sequence[HeadKey[Any]]) -> Sequence[Page[Any] | UpstreamError]:
        feed = feed_of(self._providers[keys[0].provider], keys[0].kind)
        assert feed is not None
        scopes = list(dict.fromkeys(key.scope for key in keys))
        pages = await or_error(feed.first_pages(scopes, first=max(key.first for key in keys)))
        if isinstance(pages, UpstreamError):
            return [pages] * len(keys)
        by_scope = dict(zip(scopes, pages, strict=True))
        return [by_scope[key.scope] for key in keys]


def feed_of(provider: Provider, kind: str) -> Feed[Any] | None:
    """The feed of ``connectors``, ``syncs`` or ``runs``; None where the provider has no such list."""
    feeds: Mapping[str, Feed[Any] | None] = {
        "connectors": provider.connector_feed,
        "syncs": provider.sync_feed,
        "runs": provider.run_feed,
    }
    return feeds[kind]
