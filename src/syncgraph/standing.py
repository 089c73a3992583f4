"""How syncs do, by the least reading: what their list tells, else the newest of their runs."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from syncgraph.domain.freshness import Freshness, sync_freshness
from syncgraph.domain.health import Health, connector_health, sync_health
from syncgraph.domain.metrics import SyncMetrics, in_window, last_ended, sync_metrics
from syncgraph.domain.model import Connector, ConnectorKey, Coverage, Sync, SyncKey, SyncRun, SyncState
from syncgraph.domain.overview import SyncStanding
from syncgraph.domain.page import Page
from syncgraph.errors import BudgetExceededError, UpstreamError, UpstreamNotFoundError, or_error
from syncgraph.loaders import HeadKey, Loader, Loaders
from syncgraph.ports import ALL, Feed, Provider, Scope

SEARCHED = 20
"""Newest runs looked through for an outcome where the very newest tell none."""

ROWS, MAX_PAGES = 100, 5
"""Of one list, read for metrics or an overview; what lies behind is not counted."""

JUDGED_DAYS = 7
"""Runs of this time are compared to call the newest one unusual."""

SYNCS_OF_CONNECTOR = 100


@dataclass(frozen=True, slots=True)
class Newest:
    """What is known of a sync's newest runs. ``runs``: None when they were not read; ``error``: when they could not be."""

    runs: Sequence[SyncRun] | None
    coverage: Coverage
    error: UpstreamError | None = None


NOT_READ = Newest(None, Coverage.NONE)


class Standings:
    """How the syncs of one request do; what one field read, the others use."""

    def __init__(self, providers: Mapping[str, Provider], loaders: Loaders, now: datetime) -> None:
        self._providers = providers
        self._loaders = loaders
        self._now = now
        self._newest: Loader[SyncKey, Newest] = Loader(self._find_newest)
        self._connectors: Loader[ConnectorKey, Connector | None] = Loader(self._find_connectors)
        self._known: dict[SyncKey, Newest] = {}
        self._links: dict[ConnectorKey, Connector] = {}
        self.told: dict[SyncKey, SyncStanding] = {}
        """How those do that were judged already, by somebody else."""
        self.troubles: dict[SyncKey, UpstreamError] = {}
        """What stood in the way of knowing how a sync does."""

    def remember(self, key: SyncKey, newest: Newest) -> None:
        """Whoever has read a sync's runs spares the others that."""
        self._known[key] = newest

    def remember_links(self, connectors: Sequence[Connector]) -> None:
        """Whoever has read connectors spares the others that."""
        self._links |= {connector.key: connector for connector in connectors}
        self._loaders.prime(connectors)

    def at_hand(self, sync: Sync) -> Newest | None:
        """What is known without a call; None when runs have to be read."""
        if sync.key in self._known:
            return self._known[sync.key]
        needs_runs = sync.last_outcome is None and sync.state is not SyncState.NEVER_RUN
        return None if needs_runs and self._feed(sync) is not None else NOT_READ

    async def newest(self, sync: Sync) -> Newest:
        return self.at_hand(sync) or await self._newest.load(sync.key)

    def judged(self, sync: Sync, newest: Newest) -> Freshness:
        return sync_freshness(
            sync,
            runs=newest.runs,
            coverage=newest.coverage,
            configured=self._providers[sync.key.provider].expectation(sync),
            now=self._now,
        )

    async def of(self, sync: Sync) -> SyncStanding:
        """Never raises for what a provider did: it cannot be reached then."""
        if sync.key in self.told:
            return self.told[sync.key]
        newest, connector = await asyncio.gather(self.newest(sync), self._connector(sync))
        freshness = self.judged(sync, newest)
        error = newest.error or (connector if isinstance(connector, UpstreamError) else None)
        health = sync_health(
            sync,
            freshness=freshness,
            connector=None if isinstance(connector, UpstreamError) else connector,
            runs=newest.runs,
            metrics=self._metrics(newest),
            provider_reachable=error is None or isinstance(error, BudgetExceededError),
            now=self._now,
        )
        if error is not None:
            self.troubles[sync.key] = error
        return SyncStanding(sync=sync, health=health, freshness=freshness)

    async def of_connector(self, connector: Connector) -> tuple[Health, Sequence[UpstreamError]]:
        """Over its newest ``SYNCS_OF_CONNECTOR`` syncs; and what stood in the way."""
        key = connector.key
        if self._providers[key.provider].sync_feed is None:
            return connector_health((), connector, provider_reachable=True), ()
        head: HeadKey[Sync] = HeadKey(key.provider, "syncs", Scope(connector_id=key.id), SYNCS_OF_CONNECTOR)
        page = await or_error(self._loaders.head.load(head))
        if isinstance(page, UpstreamError):
            is_reachable = isinstance(page, UpstreamNotFoundError | BudgetExceededError)
            return connector_health((), connector, provider_reachable=is_reachable), (page,)
        self._loaders.prime(page.items)
        self.remember_links([connector])
        found = await asyncio.gather(*map(self.of, page.items))
        troubles = [self.troubles[one.key] for one in page.items if one.key in self.troubles]
        return connector_health([one.health for one in found], connector, provider_reachable=True), troubles

    async def metrics(self, sync: Sync, *, window_days: int) -> SyncMetrics | None:
        """None where runs cannot be listed; raises what stood in the way."""
        in_window((), window_days=window_days, now=self._now)
        feed = self._feed(sync)
        if feed is None:
            return None
        since = self._now - timedelta(days=window_days)
        head: HeadKey[SyncRun] = HeadKey(sync.key.provider, "runs", Scope(sync_id=sync.key.id), ROWS)
        page = await self._loaders.head.load(head)
        if isinstance(page, UpstreamError):
            raise page
        listed, error = await read_on(feed, head.scope, page, since=since)
        if error is not None:
            raise error
        return sync_metrics(listed.items, window_days=window_days, coverage=listed.coverage, now=self._now)

    def _metrics(self, newest: Newest) -> SyncMetrics | None:
        if not newest.runs:
            return None
        return sync_metrics(newest.runs, window_days=JUDGED_DAYS, coverage=newest.coverage, now=self._now)

    def _feed(self, sync: Sync) -> Feed[SyncRun] | None:
        return self._providers[sync.key.provider].run_feed

    async def _connector(self, sync: Sync) -> Connector | UpstreamError | None:
        if sync.connector is None:
            return None
        if sync.connector in self._links:
            return self._links[sync.connector]
        found = await or_error(self._connectors.load(sync.connector))
        return None if isinstance(found, UpstreamNotFoundError) else found

    async def _find_connectors(
        self, keys: Sequence[ConnectorKey]
    ) -> Sequence[Connector | UpstreamError | None]:
        """One by itself; several out of their provider's list, as far as its first page shows them."""
        if len(keys) > 1:
            await self._list_links(keys[0].provider)
        return await asyncio.gather(*map(self._linked, keys))

    async def _list_links(self, provider: str) -> None:
        if self._providers[provider].connector_feed is not None:
            head: HeadKey[Connector] = HeadKey(provider, "connectors", ALL, ROWS)
            page = await or_error(self._loaders.head.load(head))
            self.remember_links([] if isinstance(page, UpstreamError) else page.items)

    async def _linked(self, key: ConnectorKey) -> Connector | UpstreamError | None:
        return self._links.get(key) or await or_error(self._loaders.connector.load(key))

    async def _find_newest(self, keys: Sequence[SyncKey]) -> Sequence[Newest]:
        found = await self._newest_of(keys)
        return [found[key] for key in keys]

    async def _newest_of(self, keys: Sequence[SyncKey]) -> Mapping[SyncKey, Newest]:
        """The heads of many lists are asked for as short as can be, as that may be one call; then the rest deeper."""
        found = await self._heads(keys, first=SEARCHED if len(keys) == 1 else 1)
        deeper = [key for key, page in found.items() if len(keys) > 1 and _tells_nothing(page)]
        if deeper:
            found |= await self._heads(deeper, first=SEARCHED)
        return {key: _newest(page) for key, page in found.items()}

    async def _heads(
        self, keys: Sequence[SyncKey], *, first: int
    ) -> dict[SyncKey, Page[SyncRun] | UpstreamError]:
        asked = [
            or_error(self._loaders.head.load(HeadKey(key.provider, "runs", Scope(sync_id=key.id), first)))
            for key in keys
        ]
        pages: list[Any] = await asyncio.gather(*asked)
        return dict(zip(keys, pages, strict=True))


async def read_on(
    feed: Feed[Any], scope: Scope, head: Page[Any], *, since: datetime | None
) -> tuple[Page[Any], UpstreamError | None]:
    """``head`` and at most ``MAX_PAGES - 1`` after it, to ``since`` or the end, and what stood in the way.

    Each row once; ``next`` stays where reading stopped before the end, and the coverage is WINDOW then.
    """
    rows = {row.key: row for row in head.items}
    last, error = head, None
    for _ in range(MAX_PAGES - 1):
        if last.next is None or reaches(rows.values(), since):
            break
        page = await or_error(feed.page(scope, first=ROWS, after=last.next))
        if isinstance(page, UpstreamError):
            error = page
            break
        rows |= {row.key: row for row in page.items if row.key not in rows}
        last = page
    coverage = last.coverage if last.next is None else Coverage.WINDOW
    return Page(list(rows.values()), last.next, coverage), error


def reaches(rows: Iterable[Any], since: datetime | None) -> bool:
    """Whether something older than ``since`` was read."""
    return since is not None and any(row.ordered_at is not None and row.ordered_at < since for row in rows)


def _tells_nothing(page: Page[SyncRun] | UpstreamError) -> bool:
    """No outcome among its rows, and more of them may follow."""
    return isinstance(page, Page) and page.next is not None and last_ended(page.items) is None


def _newest(page: Page[SyncRun] | UpstreamError) -> Newest:
    if isinstance(page, UpstreamNotFoundError):
        return NOT_READ
    if isinstance(page, UpstreamError):
        return Newest(None, Coverage.NONE, page)
    return Newest(page.items, page.coverage if page.next is None else Coverage.WINDOW)
