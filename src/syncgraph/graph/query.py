"""The root of all reads."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import strawberry

from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.errors import InvalidRequestError
from syncgraph.graph.context import Info
from syncgraph.graph.entities import find, find_or_say_why
from syncgraph.graph.filters import ConnectorFilter, SyncFilter, SyncRunFilter
from syncgraph.graph.ids import decode
from syncgraph.graph.limits import DEFAULT_FIRST, MAX_IDS
from syncgraph.graph.types.common import Node
from syncgraph.graph.types.connection import Connection
from syncgraph.graph.types.connector import Connector
from syncgraph.graph.types.ordered import SyncOrder, ordered_syncs
from syncgraph.graph.types.overview import Overview, look
from syncgraph.graph.types.pages import OnSourceError, Paging, page_of_all
from syncgraph.graph.types.provider import Provider
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync
from syncgraph.lists import Listing
from syncgraph.loaders import Loader

ASKED = "What is asked: by id, by a provider's own id, as lists over all providers, or as one screen."
NOT_CONFIGURED = "No provider of this name is configured."


def _by_external_id(
    loader: Loader[Any, Any], info: Info, key: ConnectorKey | SyncKey | RunKey
) -> Awaitable[Any]:
    if key.provider not in info.context.opened:
        raise InvalidRequestError(f"provider: {NOT_CONFIGURED}")
    return loader.load(key)


@strawberry.type(description=ASKED)
class Query:
    @strawberry.field(
        graphql_type=Node | None, description="What a global id names. Null: nothing does, any more."
    )
    async def node(self, info: Info, id: strawberry.ID) -> Any:
        return await find(info, decode(id))

    @strawberry.field(
        graphql_type=list[Node | None],
        description=(
            "At most 100 ids. An id that is unknown, foreign or malformed is null at its place, with one coded error; "
            "the others are there."
        ),
    )
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> Sequence[Any]:
        if len(ids) > MAX_IDS:
            raise InvalidRequestError(f"ids: at most {MAX_IDS}.")
        return await asyncio.gather(*(find_or_say_why(info, decode, one) for one in ids))

    @strawberry.field(
        graphql_type=list[Provider], description="All configured accounts, in the configuration's order."
    )
    def providers(self, info: Info) -> Any:
        return [opened.provider for opened in info.context.opened.values()]

    @strawberry.field(
        graphql_type=Provider | None, description="By name. Null: none of this name is configured."
    )
    def provider(self, info: Info, name: str) -> Any:
        opened = info.context.opened.get(name)
        return None if opened is None else opened.provider

    @strawberry.field(
        graphql_type=Connector | None, description="By the provider's own id. Null: it has none of this id."
    )
    def connector(self, info: Info, provider: str, external_id: str) -> Awaitable[Any]:
        return _by_external_id(info.context.loaders.connector, info, ConnectorKey(provider, external_id))

    @strawberry.field(
        graphql_type=Sync | None, description="By the provider's own id. Null: it has none of this id."
    )
    def sync(self, info: Info, provider: str, external_id: str) -> Awaitable[Any]:
        return _by_external_id(info.context.loaders.sync, info, SyncKey(provider, external_id))

    @strawberry.field(
        graphql_type=SyncRun | None,
        description="By the provider's own id. Null: it has none of this id, or not within what it still shows.",
    )
    def sync_run(self, info: Info, provider: str, external_id: str) -> Awaitable[Any]:
        return _by_external_id(info.context.loaders.run, info, RunKey(provider, external_id))

    @strawberry.field(
        graphql_type=Connection[Connector] | None,
        description="All connectors of all providers, page by page. Null: an argument was refused, see `errors`.",
    )
    def connectors(
        self,
        info: Info,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        filter: ConnectorFilter | None = strawberry.UNSET,
        on_source_error: OnSourceError | None = OnSourceError.PARTIAL,
    ) -> Awaitable[Listing[Any]]:
        paging = Paging(first=first, after=after, filter=filter, on_source_error=on_source_error)
        return page_of_all(info, "connectors", paging)

    @strawberry.field(
        graphql_type=Connection[Sync] | None,
        description="All syncs of all providers, page by page. Null: an argument was refused, see `errors`.",
    )
    def syncs(
        self,
        info: Info,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        filter: SyncFilter | None = strawberry.UNSET,
        order_by: SyncOrder | None = strawberry.UNSET,
        on_source_error: OnSourceError | None = OnSourceError.PARTIAL,
    ) -> Awaitable[Listing[Any]]:
        paging = Paging(first=first, after=after, filter=filter, on_source_error=on_source_error)
        if order_by:
            return ordered_syncs(info, paging, order_by)
        return page_of_all(info, "syncs", paging)

    @strawberry.field(
        graphql_type=Connection[SyncRun] | None,
        description=(
            "All runs that the providers list, newest `orderedAt` first, then provider, then id: one total order. A "
            "run that a provider lists late, older than what was already read, is missed until the next traversal. "
            "Null: an argument was refused, see `errors`."
        ),
    )
    def sync_runs(
        self,
        info: Info,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        filter: SyncRunFilter | None = strawberry.UNSET,
        on_source_error: OnSourceError | None = OnSourceError.PARTIAL,
    ) -> Awaitable[Listing[Any]]:
        paging = Paging(first=first, after=after, filter=filter, on_source_error=on_source_error)
        return page_of_all(info, "runs", paging)

    @strawberry.field(
        graphql_type=Overview | None,
        description=(
            "The one screen: what is broken, late, or running, over all providers, from lists first; `windowDays` 1 to "
            "30. What was left unread is in `sources`. Null: an argument was refused, see `errors`."
        ),
    )
    def overview(
        self, info: Info, window_days: int | None = 1, filter: SyncFilter | None = strawberry.UNSET
    ) -> Awaitable[Any]:
        return look(info, window_days, filter)
