"""Per-request batching and caching over the lookup ports; what a list brought is not fetched again.

A loader's cache never expires, so it must die with its request. Waiters of one key share one future, and cancelling
one would cancel all: every waiter is shielded, and nobody puts a timeout around ``load``.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
P = TypeVar("P", ConnectorKey, SyncKey, RunKey)
Find = Callable[[Sequence[str]], Awaitable[Sequence[Found[V]]]]


class Loader(Generic[K, V]):
    """One batched question; ``load`` raises the :class:`UpstreamError` that is the answer for its key."""

    def __init__(self, batch: Callable[[Sequence[K]], Awaitable[Sequence[V | UpstreamError]]]) -> None:
        async def load_batch(keys: list[K]) -> list[V | UpstreamError]:
            return list(await batch(keys))

        self._loader: DataLoader[K, Any] = DataLoader(load_batch)

    async def load(self, key: K) -> V:
        return await asyncio.shield(self._loader.load(key))

    def prime(self, key: K, value: V) -> None:
        self._loader.prime(key, value)


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
        return await self._grouped(
            keys, lambda p: p.connector_lookup.find_connectors if p.connector_lookup else None
        )

    async def _find_syncs(self, keys: Sequence[SyncKey]) -> Sequence[Found[Sync]]:
        return await self._grouped(keys, lambda p: p.sync_lookup.find_syncs if p.sync_lookup else None)

    async def _find_runs(self, keys: Sequence[RunKey]) -> Sequence[Found[SyncRun]]:
        return await self._grouped(keys, lambda p: p.run_lookup.find_runs if p.run_lookup else None)

    async def _find_extras(self, keys: Sequence[SyncKey]) -> Sequence[Found[SyncExtra]]:
        return await self._grouped(
            keys, lambda p: p.sync_extra_lookup.find_extras if p.sync_extra_lookup else None
        )

    async def _find_stats(self, keys: Sequence[SyncKey]) -> Sequence[Found[SyncStats]]:
        return await self._grouped(keys, lambda p: p.stats_lookup.find_stats if p.stats_lookup else None)

    async def _grouped(
        self, keys: Sequence[P], find_of: Callable[[Provider], Find[V] | None]
    ) -> Sequence[Found[V]]:
        """Group the keys by provider, ask all side by side, and put the answers back in key order."""
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for key in keys:
            ids[key.provider].append(key.id)
        batches = await asyncio.gather(
            *(self._find_in(name, wanted, find_of) for name, wanted in ids.items())
        )
        found = {
            (name, one): answer
            for (name, wanted), batch in zip(ids.items(), batches, strict=True)
            for one, answer in zip(wanted, batch, strict=True)
        }
        return [found[key.provider, key.id] for key in keys]

    async def _find_in(
        self, name: str, ids: Sequence[str], find_of: Callable[[Provider], Find[V] | None]
    ) -> Sequence[Found[V]]:
        provider = self._providers.get(name)
        find = find_of(provider) if provider is not None else None
        if find is None:
            return [None] * len(ids)
        found = await or_error(find(ids))
        return [found] * len(ids) if isinstance(found, UpstreamError) else found

    async def _first_pages(self, keys: Sequence[HeadKey[Any]]) -> Sequence[Page[Any] | UpstreamError]:
        """The heads of many lists; those of one kind at one provider are asked for together."""
        groups: defaultdict[tuple[str, str], list[HeadKey[Any]]] = defaultdict(list)
        for key in keys:
            groups[key.provider, key.kind].append(key)
        batches = await asyncio.gather(*(self._heads_of(group) for group in groups.values()))
        pages = {
            key: page
            for group, batch in zip(groups.values(), batches, strict=True)
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
