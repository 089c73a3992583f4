"""What a federated router asks of this graph: its SDL, and entities by their keys."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from syncgraph.errors import InvalidRequestError
from syncgraph.graph.context import Info
from syncgraph.graph.entities import find_or_say_why, key_of
from syncgraph.graph.query import ASKED, Query
from syncgraph.graph.types.connector import Connector
from syncgraph.graph.types.provider import Provider
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync

Representation = NewType("Representation", object)
REPRESENTATION: ScalarDefinition = strawberry.scalar(
    name="_Any",
    description="An entity's `__typename` and the fields of one of its keys.",
    parse_value=lambda given: given,
)
Entity = Annotated[
    Connector | Provider | Sync | SyncRun,
    strawberry.union("_Entity", description="What other graphs can hold by a key."),
]


@strawberry.type(name="_Service", description="This graph as a subgraph.")
class Service:
    sdl: str


async def entities(info: Info, representations: list[Representation]) -> Sequence[Any]:
    most = info.context.max_representations
    if len(representations) > most:
        raise InvalidRequestError(f"representations: at most {most}.")
    return await asyncio.gather(*(find_or_say_why(info, key_of, one) for one in representations))


def federated(sdl: str) -> type[Query]:
    """``Query`` with what only routers ask."""

    @strawberry.type(name="Query", description=ASKED)
    class Federated(Query):
        service: Service = strawberry.field(
            name="_service", resolver=lambda: Service(sdl=sdl), description="For federated routers."
        )
        entities: Any = strawberry.field(
            name="_entities",
            resolver=entities,
            graphql_type=list[Entity | None],
            description=(
                "For federated routers. A representation that is malformed, or names nothing, is null at its place, with "
                "one coded error; the others are there."
            ),
        )

    return Federated
