"""The ports over contract ``connectors``: everything there is can be listed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from syncgraph.domain.model import Connector, Coverage, Sync, SyncRun, SyncStats
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, UpstreamNotFoundError, or_error
from syncgraph.ports import ALL, Found, Scope, heads
from syncgraph.providers.timbal import mapping, wire
from syncgraph.providers.timbal.api import Api
from syncgraph.providers.timbal.ids import RunId, SyncId, is_id, run_id, sync_id
from syncgraph.providers.timbal.listing import Listed, find_each, snapshot


class TimbalConnectors:
    """``ConnectorLookup`` and ``Feed``: one call, whatever is asked."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def find_connectors(self, ids: Sequence[str]) -> Sequence[Found[Connector]]:
        wanted = [its for its in dict.fromkeys(ids) if is_id(its)]
        found = await find_each(wanted, self._find, self._listed)
        return [found.get(its) for its in ids]

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Connector]:  # noqa: ARG002
        listed = await self._listed()
        rows = (row for row in listed.rows if scope.connector_id in {None, row.key.id})
        return snapshot(rows, listed.coverage)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Connector] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def _find(self, its: str) -> Connector | None:
        view = await self._api.find_connector(its)
        return None if view is None else mapping.connector(self._api.provider, view)

    async def _listed(self) -> Listed[Connector]:
        listed = await self._api.connectors()
        return Listed([mapping.connector(self._api.provider, view) for view in listed.rows], listed.whole)


class TimbalSyncs:
    """``SyncLookup`` and ``Feed``: one call, whatever is asked, since one list holds the syncs of all connectors."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        wanted = [its for its in dict.fromkeys(ids) if sync_id(its)]
        found = await find_each(wanted, self._find, self._listed)
        return [found.get(its) for its in ids]

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Sync]:  # noqa: ARG002
        return await self._page(scope, alone=True)

    async def first_pages(
        self,
        scopes: Sequence[Scope],
        *,
        first: int,  # noqa: ARG002
    ) -> Sequence[Page[Sync] | UpstreamError]:
        heads = (self._page(scope, alone=len(scopes) == 1) for scope in scopes)
        return await asyncio.gather(*map(or_error, heads))

    async def _page(self, scope: Scope, *, alone: bool) -> Page[Sync]:
        listed = await self._api.syncs(scope.connector_id if alone else None)
        its = (view for view in listed.rows if _is_of(scope, view))
        return snapshot((mapping.sync(self._api.provider, view) for view in its), listed.coverage)

    async def _find(self, its: str) -> Sync | None:
        return await find_sync(self._api, its)

    async def _listed(self) -> Listed[Sync]:
        listed = await self._api.syncs()
        return Listed([mapping.sync(self._api.provider, view) for view in listed.rows], listed.whole)


class TimbalStats:
    """``StatsLookup``: Timbal counts over a sync's whole life, and tells it in the sync's detail only: one call each."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def find_stats(self, ids: Sequence[str]) -> Sequence[Found[SyncStats]]:
        return await asyncio.gather(*(or_error(self._find(its)) for its in ids))

    async def _find(self, its: str) -> SyncStats | None:
        of = sync_id(its)
        detail = None if of is None else await self._api.find_detail(of)
        return None if detail is None else mapping.stats(detail.stats)


OWN_LIST = "own"
"""Goes on from a connector's part of the shared list: its own list shows older jobs, too."""


class TimbalRuns:
    """``RunLookup`` and ``Feed``.

    Timbal has no route for one run and lists no more of them than it likes: the organisation's newest jobs for one call,
    a sync's newest for one call each. A run that neither shows cannot be read any more.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def find_runs(self, ids: Sequence[str]) -> Sequence[Found[SyncRun]]:
        alone = len({its for its in ids if run_id(its)}) == 1
        return await asyncio.gather(*(or_error(self._find(its, alone=alone)) for its in ids))

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[SyncRun]:  # noqa: ARG002
        return await self._page(scope, alone=True)

    async def first_pages(
        self,
        scopes: Sequence[Scope],
        *,
        first: int,  # noqa: ARG002
    ) -> Sequence[Page[SyncRun] | UpstreamError]:
        alone = sum(scope.sync_id is None for scope in scopes) == 1
        return await asyncio.gather(*(or_error(self._page(scope, alone=alone)) for scope in scopes))

    async def _page(self, scope: Scope, *, alone: bool) -> Page[SyncRun]:
        if scope.sync_id is not None:
            return await recent_page(self._api, scope.sync_id)
        listed = await self._api.jobs(scope.connector_id if alone else None)
        its = (view for view in listed.rows if scope.connector_id in {None, view.connector_id})
        # How many jobs the server lists at most is not published.
        page = snapshot((mapping.job(self._api.provider, view) for view in its), Coverage.WINDOW)
        return page if alone or scope.connector_id is None else replace(page, next=OWN_LIST)

    async def _find(self, its: str, *, alone: bool) -> SyncRun | None:
        """Among many, the list that all share comes first; for one alone, the list that surely is about it.

        A connector's own list shows older jobs than the organisation's, so it is the last word either way.
        """
        of = run_id(its)
        if of is None:
            return None
        shared = None if alone else await self._find_job(of, within=None)
        return shared or await find_recent(self._api, of) or await self._find_job(of, within=of.connector)

    async def _find_job(self, of: RunId, *, within: str | None) -> SyncRun | None:
        listed = await self._api.jobs(within)
        views = (view for view in listed.rows if (view.connector_id, view.sync_id, view.id) == of)
        return next((mapping.job(self._api.provider, view) for view in views), None)


def _is_of(scope: Scope, view: wire.SyncView) -> bool:
    sync = str(SyncId(view.connector_id, view.id))
    return scope.connector_id in {None, view.connector_id} and scope.sync_id in {None, sync}


async def find_sync(api: Api, its: str) -> Sync | None:
    """One sync by its own route; None without a call when its id is of another shape."""
    of = sync_id(its)
    detail = None if of is None else await api.find_detail(of)
    return None if detail is None else mapping.sync(api.provider, detail.sync)


async def recent_page(api: Api, its: str) -> Page[SyncRun]:
    """The newest runs of one sync; how many its detail holds is not published."""
    of = sync_id(its)
    if of is None:
        raise UpstreamNotFoundError("The provider has no such sync.", provider=api.provider)
    detail = await api.get_detail(of)
    runs = (mapping.recent_run(api.provider, of, view) for view in detail.recent_runs)
    return snapshot(runs, Coverage.WINDOW)


async def find_recent(api: Api, of: RunId) -> SyncRun | None:
    """A run among the newest of its sync."""
    if of.sync is None:
        return None
    sync = SyncId(of.connector, of.sync)
    detail = await api.find_detail(sync)
    views = [] if detail is None else [view for view in detail.recent_runs if view.job_id == of.job]
    return next((mapping.recent_run(api.provider, sync, view) for view in views), None)
