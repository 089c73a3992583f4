"""Types that several entities use."""

from collections.abc import Callable

import strawberry

from syncgraph.domain import model
from syncgraph.graph.scalars import BigInt

strawberry.enum(
    model.CountRelation,
    description="EQ: exactly `value`. GTE: at least, since some source cannot count or was not read to its end.",
)
strawberry.enum(
    model.Coverage,
    description=(
        "FULL: all there is. WINDOW: older rows exist or may exist, and cannot be listed. CONFIGURED: only what the "
        "configuration names. NONE: nothing was or can be seen."
    ),
)
strawberry.enum(
    model.Provenance,
    description="NATIVE: an endpoint returns it. DERIVED: put together from its runs or syncs.",
)


def stands_for(*classes: type) -> Callable[[object, object], bool]:
    """The ``is_type_of`` of a view: by it graphql-core knows which type a domain object is, in a union or as a Node."""
    return staticmethod(lambda value, _info: isinstance(value, classes))


@strawberry.interface(description="Whatever has a global id.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Global id, opaque; stable for the life of the object at its provider."
    )


@strawberry.type(description="A count that says how exact it is.")
class Count:
    value: BigInt
    relation: model.CountRelation
