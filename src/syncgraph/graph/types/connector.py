"""GraphQL view of a connector."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Any

import strawberry

from syncgraph.domain import model
from syncgraph.graph.context import Info
from syncgraph.graph.filters import SyncRunFilter
from syncgraph.graph.limits import DEFAULT_FIRST
from syncgraph.graph.types import links
from syncgraph.graph.types.common import Node, stands_for
from syncgraph.graph.types.connection import Connection
from syncgraph.graph.types.health import Health, connector_health
from syncgraph.graph.types.pages import Paging, page_of_scope
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync
from syncgraph.lists import Listing
from syncgraph.ports import Scope


def syncs(
    connector: strawberry.Parent[model.Connector],
    info: Info,
    first: int | None = DEFAULT_FIRST,
    after: str | None = strawberry.UNSET,
) -> Awaitable[Listing[Any]] | None:
    scope = Scope(connector_id=connector.key.id)
    return page_of_scope(info, connector.key.provider, scope, "syncs", Paging(first=first, after=after))


def runs(
    connector: strawberry.Parent[model.Connector],
    info: Info,
    first: int | None = DEFAULT_FIRST,
    after: str | None = strawberry.UNSET,
    filter: SyncRunFilter | None = strawberry.UNSET,
) -> Awaitable[Listing[Any]] | None:
    scope = Scope(connector_id=connector.key.id)
    paging = Paging(first=first, after=after, filter=filter)
    return page_of_scope(info, connector.key.provider, scope, "runs", paging)


@strawberry.type(
    description=(
        "A link to a source of data at a provider. Den: connector instance. Timbal: connector. Outlit: integration "
        "provider (hubspot, stripe ...). Airweave: source connection."
    )
)
class Connector(Node):
    id: strawberry.ID = strawberry.field(resolver=links.global_id, description="Global id, opaque.")
    provider: Any = strawberry.field(
        resolver=links.provider, graphql_type=links.PROVIDER, description="Where it is linked."
    )
    provider_name: str = strawberry.field(
        resolver=links.provider_name, description="The provider's name in the configuration."
    )
    external_id: str = strawberry.field(resolver=links.external_id, description="The provider's own id.")
    name: str | None = strawberry.field(description="Null: the provider does not tell.")
    source_type: str | None = strawberry.field(
        description="Source system, lower case (`github`, `hubspot`, `postgres`). Null: the provider does not tell."
    )
    category: str | None = strawberry.field(description="Null: the provider has none.")
    status: model.ConnectorStatus
    raw_status: str | None = strawberry.field(description="In the provider's own word. Null: it has none.")
    provenance: model.Provenance
    health: Any = strawberry.field(
        resolver=connector_health,
        graphql_type=Health,
        description="The worst of its syncs (the newest 100) and of the link itself.",
    )
    syncs: Any = strawberry.field(
        resolver=syncs,
        graphql_type=Connection[Sync] | None,
        description="What it feeds. Null: this contract of the provider publishes no syncs, which is not the same as none.",
    )
    runs: Any = strawberry.field(
        resolver=runs,
        graphql_type=Connection[SyncRun] | None,
        description="Newest first. Null: the provider publishes no runs (Outlit), which is not the same as none.",
    )
    created_at: datetime | None = strawberry.field(description="Null: the provider does not tell.")
    updated_at: datetime | None = strawberry.field(description="Null: the provider does not tell.")

    is_type_of = stands_for(model.Connector, links.ConnectorReference)
