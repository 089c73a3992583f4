"""Outlit's ports: one list of integrations, and one sync status per integration."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from syncgraph.domain.model import Connector, Sync
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError
from syncgraph.ports import ALL, Found, Scope
from syncgraph.providers.outlit import mapping, wire
from syncgraph.upstream.client import Upstream

INTEGRATIONS = "/api/integrations"
SYNC_STATUS = "/api/integrations/sync-status"
TOOLS = "/api/tools/call"
READINESS = {"tool": "outlit_get_integration_status", "input": {}}

PROVIDER = re.compile(r"[a-z][a-z0-9-]{0,62}")
SYNC = re.compile(rf"({PROVIDER.pattern})/(?=.*\S).{{1,120}}?(?:#\d{{1,9}})?", re.DOTALL)

Read: TypeAlias = Callable[[Upstream], Awaitable[Sequence[Connector]]]


async def by_rest(upstream: Upstream) -> Sequence[Connector]:
    """Every integration, linked or not, in one call: the list has no pages."""
    answer = await upstream.get(INTEGRATIONS, wire.INTEGRATIONS)
    return [mapping.connector(upstream.name, row) for row in answer.items]


async def by_tool(upstream: Upstream) -> Sequence[Connector]:
    """Every integration's readiness, in one call."""
    answer = await upstream.ask(TOOLS, wire.READINESS, READINESS)
    return [mapping.connector(upstream.name, row) for row in answer.integrations]


class OutlitConnectors:
    """``ConnectorLookup`` and ``Feed[Connector]`` over the one list, whichever contract tells it."""

    def __init__(self, upstream: Upstream, read: Read) -> None:
        self._upstream = upstream
        self._read = read

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Connector]:  # noqa: ARG002 - one page
        return Page(await self._read(self._upstream))

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Connector] | UpstreamError]:
        try:
            return [await self.page(scope, first=first, after=None) for scope in scopes]
        except UpstreamError as error:
            return [error] * len(scopes)

    async def find_connectors(self, ids: Sequence[str]) -> Sequence[Found[Connector]]:
        shaped = set(filter(PROVIDER.fullmatch, ids))
        if not shaped:
            return [None] * len(ids)
        try:
            found = {its.key.id: its for its in await self._read(self._upstream)}
        except UpstreamError as error:
            return [error if wanted in shaped else None for wanted in ids]
        return [found.get(wanted) for wanted in ids]


class OutlitSyncs:
    """``SyncLookup`` and ``Feed[Sync]``: REST only, one list per integration."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def scopes(self) -> Sequence[Scope]:
        linked = [its for its in await by_rest(self._upstream) if its.status not in mapping.UNLINKED]
        return [Scope(connector_id=its.key.id) for its in linked]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Sync]:  # noqa: ARG002 - one page
        assert scope.connector_id is not None
        unlinked = {its.key.id for its in await by_rest(self._upstream) if its.status in mapping.UNLINKED}
        if scope.connector_id in unlinked:
            return Page([])
        wanted = scope.connector_id
        answer = await self._upstream.get(
            SYNC_STATUS, wire.SYNC_STATUS, {"provider": wanted}, is_asked=lambda told: told.provider == wanted
        )
        return Page(mapping.syncs(self._upstream.name, answer))

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Sync] | UpstreamError]:
        return await asyncio.gather(*(self._first_page(scope, first) for scope in scopes))

    async def find_syncs(self, ids: Sequence[str]) -> Sequence[Found[Sync]]:
        """One call per integration named in ``ids``."""
        asked = {wanted: shape[1] for wanted in ids if (shape := SYNC.fullmatch(wanted))}
        names = list(dict.fromkeys(asked.values()))
        answers = dict(zip(names, await asyncio.gather(*map(self._find_all, names)), strict=True))
        return [_pick(wanted, answers[asked[wanted]]) if wanted in asked else None for wanted in ids]

    async def _first_page(self, scope: Scope, first: int) -> Page[Sync] | UpstreamError:
        try:
            return await self.page(scope, first=first, after=None)
        except UpstreamError as error:
            return error

    async def _find_all(self, integration: str) -> Mapping[str, Sync] | UpstreamError:
        try:
            answer = await self._upstream.find(
                SYNC_STATUS,
                wire.SYNC_STATUS,
                {"provider": integration},
                is_asked=lambda told: told.provider == integration,
            )
        except UpstreamError as error:
            return error
        rows = [] if answer is None else mapping.syncs(self._upstream.name, answer)
        return {row.key.id: row for row in rows}


def _pick(id: str, answer: Mapping[str, Sync] | UpstreamError) -> Found[Sync]:
    return answer if isinstance(answer, UpstreamError) else answer.get(id)
