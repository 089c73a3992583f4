"""GraphQL view of a configured provider."""

from collections.abc import Awaitable
from typing import Any

import strawberry

from syncgraph import ports
from syncgraph.domain import model
from syncgraph.graph import ids
from syncgraph.graph.context import Info
from syncgraph.graph.limits import DEFAULT_FIRST
from syncgraph.graph.types.common import Node, stands_for
from syncgraph.graph.types.connection import Connection
from syncgraph.graph.types.connector import Connector
from syncgraph.graph.types.health import ProviderHealth, provider_health
from syncgraph.graph.types.pages import Paging, page_of_provider
from syncgraph.lists import Listing

strawberry.enum(model.ProviderKind, description="The platform behind a provider.")
strawberry.enum(
    model.Capability,
    description="What a provider's API can do, as its adapter declares it. The graph never pretends beyond it.",
)


def provider_id(provider: strawberry.Parent[ports.Provider]) -> strawberry.ID:
    return strawberry.ID(ids.encode_provider(provider.name))


def capabilities(provider: strawberry.Parent[ports.Provider]) -> list[model.Capability]:
    return [capability for capability in model.Capability if capability in provider.capabilities]


def connectors(
    provider: strawberry.Parent[ports.Provider],
    info: Info,
    first: int | None = DEFAULT_FIRST,
    after: str | None = strawberry.UNSET,
) -> Awaitable[Listing[Any]]:
    return page_of_provider(
        info, info.context.opened[provider.name], "connectors", Paging(first=first, after=after)
    )


@strawberry.type(
    description="A configured upstream account: one base URL, one credential, one scope (organisation)."
)
class Provider(Node):
    id: strawberry.ID = strawberry.field(resolver=provider_id, description="Global id, opaque.")
    name: str = strawberry.field(description="The name given in the gateway's configuration, unique there.")
    kind: model.ProviderKind
    contract: str = strawberry.field(description="Which of the platform's API generations is spoken to it.")
    capabilities: list[model.Capability] = strawberry.field(resolver=capabilities)
    health: Any = strawberry.field(
        resolver=provider_health,
        graphql_type=ProviderHealth,
        description="Seen from this gateway: reachability, latency, rate limit. Costs no upstream call.",
    )
    connectors: Any = strawberry.field(
        resolver=connectors,
        graphql_type=Connection[Connector] | None,
        description="What is linked there; `sources` says when the provider cannot list it. Null: an argument was refused, see `errors`.",
    )

    is_type_of = stands_for(ports.Provider)
