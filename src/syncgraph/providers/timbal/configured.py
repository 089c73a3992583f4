"""The ports over contract ``sync-detail``: one sync can be read, nothing can be listed.

Lists hold what the configuration names; lookups read any sync of the organisation.
"""

import asyncio
from collections.abc import Sequence

from syncgraph.domain.model import Connector, Coverage, Sync, SyncRun
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, or_error
from syncgraph.ports import ALL, Found, Scope, heads
from syncgraph.providers.timbal import mapping, wire
from syncgraph.providers.timbal.api import Api
from syncgraph.providers.timbal.client import find_recent, find_sync, recent_page
from syncgraph.providers.timbal.ids import SyncId, run_id
from syncgraph.providers.timbal.listing import snapshot


class ConfiguredConnectors:
    """``ConnectorLookup`` and ``Feed`` of the configured syncs' connectors: one call for each such sync."""

    def __init__(self, api: Api, syncs: Sequence[SyncId]) -> None:
        self._api = api
        self._syncs = syncs

    async def find_connectors(self, ids: Sequence[str]) -> Sequence[Found[Connector]]:
        return await asyncio.gather(*(or_error(self._find(its)) for its in ids))

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Connector]:  # noqa: ARG002
        ids = dict.fromkeys(sync.connector for sync in self._syncs if _is_of(scope, sync))
        found = await asyncio.gather(*map(self._find, ids))
        return snapshot((row for row in found if row is not None), Coverage.CONFIGURED)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Connector] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def _find(self, its: str) -> Connector | None:
        syncs = await details(self._api, [sync for sync in self._syncs if sync.connector == its])
        if not syncs:
            return None
        return mapping.derived_connector(self._api.provider, its, (detail.sync for detail in syncs))


class ConfiguredSyncs:
    """``SyncLookup`` and ``Feed``: one call for each sync."""

    def __init__(self, api: Api, syncs: Sequence[SyncId]) -> None:
        self._api = api
        self._syncs = syncs

    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        return await asyncio.gather(*(or_error(find_sync(self._api, its)) for its in ids))

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Sync]:  # noqa: ARG002
        found = await details(self._api, [sync for sync in self._syncs if _is_of(scope, sync)])
        rows = (mapping.sync(self._api.provider, detail.sync) for detail in found)
        return snapshot(rows, Coverage.CONFIGURED)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Sync] | UpstreamError]:
        return await heads(self, scopes, first=first)


class ConfiguredRuns:
    """``RunLookup`` and ``Feed`` over the newest runs that a sync's detail holds: one call for each sync."""

    def __init__(self, api: Api, syncs: Sequence[SyncId]) -> None:
        self._api = api
        self._syncs = syncs

    async def find_runs(self, ids: Sequence[str]) -> Sequence[Found[SyncRun]]:
        return await asyncio.gather(*(or_error(self._find(its)) for its in ids))

    async def scopes(self) -> Sequence[Scope]:
        return [Scope(sync_id=str(sync)) for sync in self._syncs]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[SyncRun]:  # noqa: ARG002
        if scope.sync_id is not None:
            return await recent_page(self._api, scope.sync_id)
        of = [str(sync) for sync in self._syncs if _is_of(scope, sync)]
        pages = await asyncio.gather(*(recent_page(self._api, its) for its in of))
        return snapshot((run for page in pages for run in page.items), Coverage.WINDOW)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[SyncRun] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def _find(self, its: str) -> SyncRun | None:
        of = run_id(its)
        return None if of is None else await find_recent(self._api, of)


def _is_of(scope: Scope, sync: SyncId) -> bool:
    return scope.connector_id in {None, sync.connector} and scope.sync_id in {None, str(sync)}


async def details(api: Api, syncs: Sequence[SyncId]) -> Sequence[wire.SyncDetail]:
    """Those of ``syncs`` that are there."""
    found = await asyncio.gather(*map(api.find_detail, syncs))
    return [detail for detail in found if detail is not None]
