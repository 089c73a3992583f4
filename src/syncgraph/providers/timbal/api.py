"""Timbal's routes: paths, parameters and whole lists."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from syncgraph.errors import PaginationStalledError, UpstreamGoneError, UpstreamNotFoundError
from syncgraph.providers.timbal import wire
from syncgraph.providers.timbal.ids import SyncId
from syncgraph.providers.timbal.listing import Listed
from syncgraph.upstream.client import Upstream, segment
from syncgraph.upstream.reading import LIST_S, RUNNING_S

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PAGES = 20
"""The connector routes do not page today. Should they begin to, so many pages of one list are read at most."""
LISTS_GONE = 'The server does not list connectors for this organisation: check organisation, or configure contract = "sync-detail".'
DETAIL_GONE = 'The server does not show syncs one by one: try contract = "connectors".'


class ListPage(Protocol[T_co]):
    """One answer of a list route."""

    @property
    def rows(self) -> Sequence[T_co]: ...
    @property
    def next_page_token(self) -> str | None: ...


class Api:
    """One organisation's connectors at Timbal. Equal reads within a request are one call, by ``Upstream``."""

    def __init__(self, upstream: Upstream, organisation: str) -> None:
        self._upstream = upstream
        self._root = f"/orgs/{segment(organisation)}/connectors"
        self.provider = upstream.name

    async def connectors(self) -> Listed[wire.ConnectorView]:
        return await self._whole(self._connector_page, None)

    async def syncs(self, connector_id: str | None = None) -> Listed[wire.SyncView]:
        return await self._whole(self._sync_page, connector_id)

    async def jobs(self, connector_id: str | None = None) -> Listed[wire.JobView]:
        return await self._whole(self._job_page, connector_id)

    async def find_connector(self, id: str) -> wire.ConnectorView | None:
        detail = await self._upstream.find(
            f"{self._root}/{segment(id)}", wire.CONNECTOR, is_asked=lambda found: found.view.id == id
        )
        return None if detail is None else detail.view

    async def find_detail(self, id: SyncId) -> wire.SyncDetail | None:
        return await self._upstream.find(
            self._detail(id), wire.DETAIL, lives=_lives_s, is_asked=lambda detail: _is_of(id, detail)
        )

    async def get_detail(self, id: SyncId) -> wire.SyncDetail:
        return await self._upstream.get(
            self._detail(id), wire.DETAIL, lives=_lives_s, is_asked=lambda detail: _is_of(id, detail)
        )

    def _detail(self, id: SyncId) -> str:
        return f"{self._root}/{segment(id.connector)}/syncs/{segment(id.sync)}"

    async def _connector_page(self, params: Mapping[str, str]) -> wire.ConnectorList:
        answer = await self._list(self._root, wire.CONNECTORS, params)
        return answer if isinstance(answer, wire.ConnectorList) else wire.ConnectorList(connectors=answer)

    async def _sync_page(self, params: Mapping[str, str]) -> wire.SyncList:
        return await self._list(f"{self._root}/syncs", wire.SYNCS, params)

    async def _job_page(self, params: Mapping[str, str]) -> wire.JobList:
        return await self._list(f"{self._root}/jobs", wire.JOBS, params)

    async def _list(self, path: str, decoder: msgspec.json.Decoder[T], params: Mapping[str, str]) -> T:
        try:
            return await self._upstream.get(path, decoder, params)
        except UpstreamNotFoundError as error:
            # A list is there, if empty: without it the server is older than the contract.
            raise UpstreamGoneError(
                LISTS_GONE, provider=self.provider, http_status=error.http_status
            ) from error

    async def _whole(
        self, page_of: Callable[[Mapping[str, str]], Awaitable[ListPage[T]]], connector_id: str | None
    ) -> Listed[T]:
        params = {} if connector_id is None else {"connector_id": connector_id}
        rows: list[T] = []
        tokens: set[str] = set()
        for _ in range(MAX_PAGES):
            page = await page_of(params)
            rows.extend(page.rows)
            token = page.next_page_token
            if not token:
                return Listed(rows, whole=True)
            if token in tokens:
                raise PaginationStalledError(
                    "The provider's list does not move on.", provider=self.provider, http_status=200
                )
            tokens.add(token)
            params = {**params, "page_token": token}
        return Listed(rows, whole=False)


def _is_of(id: SyncId, detail: wire.SyncDetail) -> bool:
    return (detail.sync.connector_id, detail.sync.id) == (id.connector, id.sync)


def _lives_s(detail: wire.SyncDetail) -> float:
    """``finished_at`` is documented to be null while a run goes on."""
    return RUNNING_S if any(run.finished_at is None for run in detail.recent_runs) else LIST_S
