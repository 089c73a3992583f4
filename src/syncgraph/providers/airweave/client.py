"""The ports over today's contract: source connections, each with one sync, and the jobs of each."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from syncgraph.domain.instant import utc
from syncgraph.domain.model import Connector, Coverage, Sync, SyncExtra, SyncRun, SyncStats
from syncgraph.domain.page import Page
from syncgraph.errors import PaginationStalledError, UpstreamError, UpstreamNotFoundError, or_error
from syncgraph.ports import ALL, Found, Scope, heads
from syncgraph.providers.airweave import mapping, order, wire
from syncgraph.providers.airweave.offset import OffsetList
from syncgraph.providers.airweave.settings import is_job_id, is_uuid
from syncgraph.upstream.client import Upstream, segment
from syncgraph.upstream.reading import LIST_S, RUNNING_S

T = TypeVar("T")
Enough: TypeAlias = Callable[[Sequence[wire.ListItem]], bool]

CONNECTIONS = "/source-connections"
MAX_LIMIT = 1000
"""Of both lists. Connections are always asked for by this, so that every port shares one GET."""
MIN_LIMIT = 100
"""Jobs are never asked for by less, so that runs, a run by id and stats share one GET."""


_STALLED = "The provider's list leads back to where it was."


class SourceConnections:
    """Source connections, as the ports share them; ``limit``: rows of one GET."""

    def __init__(self, upstream: Upstream, *, limit: int = MAX_LIMIT, most: int = MAX_LIMIT) -> None:
        self._upstream = upstream
        self._limit = limit
        self._list = OffsetList(
            fetch=self._fetch, time=lambda item: utc(item.created_at), most=most, provider=upstream.name
        )

    async def read(self, after: str | None, *, until: Enough) -> tuple[list[wire.ListItem], str | None]:
        """Page by page to the end of the list, or to one that is enough; rows may repeat."""
        rows: list[wire.ListItem] = []
        passed = {after}
        while True:
            page, after = await self._list.page(after, limit=self._limit)
            rows += page
            if after is None or until(page):
                return rows, after
            if after in passed:  # equal reads of one request share one answer: it would go round for ever
                raise PaginationStalledError(_STALLED, provider=self._upstream.name)
            passed.add(after)

    async def every(self) -> dict[str, wire.ListItem]:
        """The whole list, newest first, by id; one GET per thousand."""
        rows, _ = await self.read(None, until=lambda _: False)
        found: dict[str, wire.ListItem] = {}
        for row in rows:
            found.setdefault(row.id, row)
        return found

    async def detail(self, id: str) -> wire.SourceConnection | None:
        return await self._upstream.find(
            f"{CONNECTIONS}/{segment(id)}", wire.DETAIL, is_asked=lambda detail: detail.id == id
        )

    async def find(self, ids: Sequence[str]) -> Sequence[Found[wire.ListItem]]:
        """One entry per id, in order: one by its detail, several out of the list."""
        wanted = set(filter(is_uuid, ids))
        if len(wanted) > 1:
            return await self._among_all(ids)
        return [await or_error(self.detail(one)) if one in wanted else None for one in ids]

    async def _among_all(self, ids: Sequence[str]) -> Sequence[Found[wire.ListItem]]:
        try:
            every = await self.every()
        except UpstreamError as error:
            return [error if is_uuid(one) else None for one in ids]
        return [every.get(one) for one in ids]

    async def _fetch(self, skip: int, limit: int) -> Sequence[wire.ListItem]:
        return await self._upstream.get(CONNECTIONS, wire.LIST, {"skip": str(skip), "limit": str(limit)})


class ConnectionFeed(Generic[T]):
    """``Feed`` over the list of source connections, each shown as ``show`` says; None leaves it out."""

    def __init__(
        self, source: SourceConnections, provider: str, show: Callable[[str, wire.ListItem], T | None]
    ) -> None:
        self._source = source
        self._provider = provider
        self._show = show

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[T]:  # noqa: ARG002 - a page is the most
        only = _connection_id(scope)
        if only is not None:
            return self._one(await self._source.detail(only) if is_uuid(only) else None)
        # An empty page would be taken for the last.
        rows, rest = await self._source.read(after, until=lambda page: bool(self._shown(page)))
        return Page(self._shown(rows), rest)

    async def first_pages(self, scopes: Sequence[Scope], *, first: int) -> Sequence[Page[T] | UpstreamError]:
        ids = [_connection_id(scope) for scope in scopes]
        if None in ids:
            return await heads(self, scopes, first=first)
        return [
            self._one_or_error(found)
            for found in await self._source.find([one for one in ids if one is not None])
        ]

    def _one_or_error(self, found: Found[wire.ListItem]) -> Page[T] | UpstreamError:
        try:
            return found if isinstance(found, UpstreamError) else self._one(found)
        except UpstreamError as error:
            return error

    def _one(self, row: wire.ListItem | None) -> Page[T]:
        if row is None:
            raise _absent(self._provider)
        return Page(self._shown([row]))

    def _shown(self, rows: Sequence[wire.ListItem]) -> list[T]:
        return [one for row in rows if (one := self._show(self._provider, row)) is not None]


class AirweaveConnectors(ConnectionFeed[Connector]):
    """``ConnectorLookup`` and ``Feed``: one GET for a page, for one id, and for any number of ids."""

    def __init__(self, source: SourceConnections, provider: str) -> None:
        super().__init__(source, provider, mapping.connector)

    async def find_connectors(self, ids: Sequence[str]) -> Sequence[Found[Connector]]:
        found = await self._source.find(ids)
        return [
            row if row is None or isinstance(row, UpstreamError) else mapping.connector(self._provider, row)
            for row in found
        ]


class AirweaveSyncs(ConnectionFeed[Sync]):
    """``SyncLookup``, ``SyncExtraLookup`` and ``Feed``: as connectors; what only details tell is one GET per id."""

    def __init__(self, source: SourceConnections, provider: str) -> None:
        super().__init__(source, provider, mapping.sync)

    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        found = await self._source.find(ids)
        return [
            row if row is None or isinstance(row, UpstreamError) else mapping.sync(self._provider, row)
            for row in found
        ]

    async def find_extras(self, ids: Sequence[str]) -> Sequence[Found[SyncExtra]]:
        return await asyncio.gather(*map(self._find_extra, ids))

    async def _find_extra(self, id: str) -> Found[SyncExtra]:
        detail = await or_error(self._source.detail(id)) if is_uuid(id) else None
        if isinstance(detail, UpstreamError):
            return detail
        return None if detail is None or not mapping.has_sync(detail) else mapping.sync_extra(detail)


class AirweaveRuns:
    """``RunLookup``, ``StatsLookup`` and ``Feed`` over the jobs of one source connection at a time.

    The API shows the newest 1 to 1000 jobs and nothing else: no second page, no single job. So a page is a longer list,
    and one GET of a hundred answers what most questions of a request need.
    """

    def __init__(self, upstream: Upstream, source: SourceConnections, now: datetime) -> None:
        self._upstream = upstream
        self._source = source
        self._now = now

    async def scopes(self) -> Sequence[Scope]:
        every = await self._source.every()
        return [Scope(connector_id=row.id) for row in every.values() if mapping.has_sync(row)]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[SyncRun]:
        """``after`` is how many rows were shown; the last of them is shown again."""
        connection = _connection_id(scope)
        if connection is None or not is_uuid(connection):
            raise _absent(self._upstream.name)
        shown = int(after) if after and after.isdecimal() else 0
        try:
            jobs, limit, known = await self._past(connection, shown, first)
        except UpstreamNotFoundError:
            return await self._page_without_sync(connection)
        ended, capped = len(jobs) < limit, limit == MAX_LIMIT
        runs = mapping.runs(self._upstream.name, jobs, self._now)
        first_at = {run.key: place for place, run in reversed(list(enumerate(runs)))}
        return Page(
            [
                run
                for place, run in enumerate(runs[:known])
                if place >= shown - 1 and first_at[run.key] == place
            ],
            next=None if ended or capped else str(known),
            coverage=Coverage.WINDOW if capped and not ended else Coverage.FULL,
        )

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[SyncRun] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def find_runs(self, ids: Sequence[str]) -> Sequence[Found[SyncRun]]:
        return await asyncio.gather(*map(self._find_run, ids))

    async def find_stats(self, ids: Sequence[str]) -> Sequence[Found[SyncStats]]:
        return await asyncio.gather(*map(self._find_stats, ids))

    async def _past(self, id: str, shown: int, first: int) -> tuple[Sequence[wire.Job], int, int]:
        """Jobs beyond those ``shown``, the limit asked for, and how many of them have an instant that will stay."""
        limit = min(MAX_LIMIT, max(MIN_LIMIT, 2 * shown, shown + first))
        while True:
            jobs = await self._jobs(id, limit)
            if len(jobs) < limit or limit == MAX_LIMIT:
                return jobs, limit, len(jobs)
            known = order.settled([mapping.own_time(job) for job in jobs])
            if known > shown:
                return jobs, limit, known
            limit = min(MAX_LIMIT, 2 * limit)

    async def _page_without_sync(self, id: str) -> Page[SyncRun]:
        """The 404 of jobs means no such connection, or one that has no sync and so no runs: its detail tells which."""
        detail = await self._source.detail(id)
        if detail is None or mapping.has_sync(detail):
            raise _absent(self._upstream.name)
        return Page([])

    async def _find_run(self, id: str) -> Found[SyncRun]:
        if not is_job_id(id, with_sync=True):
            return None
        connection = id.partition("/")[0]
        try:
            runs, whole = await self._newest(connection, MIN_LIMIT)
            if not whole and not _named(runs, id):
                runs, _ = await self._newest(connection, MAX_LIMIT)
        except UpstreamNotFoundError:
            return None
        except UpstreamError as error:
            return error
        return _named(runs, id)

    async def _find_stats(self, id: str) -> Found[SyncStats]:
        try:
            runs, whole = await self._newest(id, MIN_LIMIT) if is_uuid(id) else (None, True)
        except UpstreamNotFoundError:
            return None
        except UpstreamError as error:
            return error
        return None if runs is None else mapping.stats(runs, Coverage.FULL if whole else Coverage.WINDOW)

    async def _newest(self, id: str, limit: int) -> tuple[list[SyncRun], bool]:
        """The newest runs, and whether that is all."""
        jobs = await self._jobs(id, limit)
        return mapping.runs(self._upstream.name, jobs, self._now), len(jobs) < limit

    async def _jobs(self, id: str, limit: int) -> Sequence[wire.Job]:
        return await self._upstream.get(
            f"{CONNECTIONS}/{segment(id)}/jobs",
            wire.JOBS,
            {"limit": str(limit)},
            lives=_lives_s,
            is_asked=lambda jobs: all(job.source_connection_id == id for job in jobs),
        )


def _lives_s(jobs: Sequence[wire.Job]) -> float:
    """Only the newest can be under way."""
    return RUNNING_S if jobs and not mapping.is_over(jobs[0].status) else LIST_S


def _named(runs: Sequence[SyncRun], id: str) -> SyncRun | None:
    """By ``connection/job``: the job's own connection counts, not the one that was asked."""
    return next((run for run in runs if run.key.id == id), None)


def _connection_id(scope: Scope) -> str | None:
    """A connection and its sync have one id here."""
    return scope.connector_id if scope.connector_id is not None else scope.sync_id


def _absent(provider: str) -> UpstreamNotFoundError:
    return UpstreamNotFoundError("The provider does not have what this list belongs to.", provider=provider)
