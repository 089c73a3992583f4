"""Den's connector instances and targets as connectors and syncs: the contract ``connector-instances``."""

import asyncio
from collections.abc import Sequence

from syncgraph.domain.model import Connector, Sync
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, or_error
from syncgraph.ports import ALL, Found, Scope, heads
from syncgraph.providers.den import mapping, typeid, wire
from syncgraph.providers.den.paging import Lists
from syncgraph.upstream.client import Upstream, segment

INSTANCES = "/v1/connector-instances"
TARGETS = "/v1/connector-targets"


class DenConnectors:
    """``ConnectorLookup`` and ``Feed[Connector]``."""

    def __init__(self, upstream: Upstream, lists: Lists) -> None:
        self._upstream = upstream
        self._lists = lists

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Connector]:  # noqa: ARG002  # one list, one size
        # Always a whole page: it costs Den the same, and is the page that the syncs' instances come from.
        page = await self._lists.page(INSTANCES, wire.INSTANCES, after=after)
        return Page([mapping.connector(self._upstream.name, its) for its in page.items], page.next_cursor)

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Connector] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def find_connectors(self, ids: Sequence[str]) -> Sequence[Found[Connector]]:
        return await asyncio.gather(*map(self._find, ids))

    async def _find(self, id: str) -> Found[Connector]:
        if typeid.INSTANCE.fullmatch(id) is None:
            return None
        answer = self._upstream.find(
            f"{INSTANCES}/{segment(id)}", wire.INSTANCE, is_asked=lambda detail: detail.item.id == id
        )
        detail = await or_error(answer)
        return (
            mapping.connector(self._upstream.name, detail.item) if isinstance(detail, wire.Detail) else detail
        )


class DenSyncs:
    """``SyncLookup`` and ``Feed[Sync]``: one list of targets per instance."""

    def __init__(self, upstream: Upstream, lists: Lists) -> None:
        self._upstream = upstream
        self._lists = lists

    async def scopes(self) -> Sequence[Scope]:
        return [Scope(connector_id=one) for one in await self._instances()]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Sync]:  # noqa: ARG002  # one size
        parent = scope.connector_id or ""
        if typeid.INSTANCE.fullmatch(parent) is None:
            return Page([])
        path = f"{INSTANCES}/{segment(parent)}/targets"
        page, instances = await asyncio.gather(
            self._lists.page(path, wire.TARGETS, after=after), self._instances()
        )
        instance = instances.get(parent)
        return Page(
            [mapping.sync(self._upstream.name, its, instance) for its in page.items], page.next_cursor
        )

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Sync] | UpstreamError]:
        return await heads(self, scopes, first=first)

    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        return await asyncio.gather(*map(self._find, ids))

    async def _find(self, id: str) -> Found[Sync]:
        if typeid.TARGET.fullmatch(id) is None:
            return None
        answer = self._upstream.find(
            f"{TARGETS}/{segment(id)}", wire.TARGET, is_asked=lambda detail: detail.item.id == id
        )
        detail = await or_error(answer)
        return (
            mapping.sync(self._upstream.name, detail.item, None)
            if isinstance(detail, wire.Detail)
            else detail
        )

    async def _instances(self) -> dict[str, wire.Instance]:
        walked = await self._lists.walk(INSTANCES, wire.INSTANCES, most=None)
        if walked.error is not None:
            raise walked.error
        return {instance.id: instance for instance in walked.rows}
