"""The schema as a subgraph's: with the directives that composers and federated routers read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from graphql import (
    ConstDirectiveNode,
    DirectiveDefinitionNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    build_ast_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    parse,
    print_ast,
)

from syncgraph.graph.entities import KEYS
from syncgraph.graph.limits import MAX_IDS

LINK = """extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@cost", "@listSize"])"""
"""2.9 is the newest that every composer takes."""

WEIGHTS: Mapping[str, int] = {
    "Query.node": 2,
    "Query.nodes": 2,
    "Query.connector": 2,
    "Query.sync": 2,
    "Query.syncRun": 2,
    "Query.connectors": 10,
    "Query.syncs": 10,
    "Query.syncRuns": 10,
    "Query.overview": 20,
    "Provider.connectors": 5,
    "Connector.syncs": 5,
    "Connector.runs": 10,
    "Sync.connector": 2,
    "Sync.stats": 2,
    "Sync.metrics": 10,
    "Sync.latestRun": 2,
    "Sync.latestSuccessfulRun": 2,
    "Sync.latestFailedRun": 2,
    "Sync.runs": 10,
    "Subscription.syncRunChanged": 10,
    "Subscription.syncHealthChanged": 10,
}
"""What a field costs upstream, roughly in calls. A field without a row has GraphQL's own: 1 for an object, 0 for a value."""


ROOTS = frozenset({"Query", "Mutation", "Subscription"})


def subgraph_sdl(schema: str) -> str:
    """``schema``, as clients are shown it, with directives; composers bring the definitions of those, routers `@defer`."""
    document = parse(schema)
    types = build_ast_schema(document).type_map
    definitions = (
        _directed(one, types[one.name.value]) if isinstance(one, ObjectTypeDefinitionNode) else one
        for one in document.definitions
        if not isinstance(one, DirectiveDefinitionNode)
    )
    return "\n\n".join((LINK, *map(print_ast, definitions))) + "\n"


def _directed(node: ObjectTypeDefinitionNode, type_: GraphQLNamedType) -> ObjectTypeDefinitionNode:
    assert is_object_type(type_)
    fields = tuple(
        replace(
            one,
            directives=(
                *(one.directives or ()),
                *_parsed(_of_field(f"{type_.name}.{one.name.value}", type_.fields[one.name.value])),
            ),
        )
        for one in node.fields or ()
    )
    return replace(node, fields=fields, directives=_parsed(_of_type(type_)))


def _parsed(directives: Iterable[str]) -> tuple[ConstDirectiveNode, ...]:
    (carrier,) = parse(f"scalar Carrier {' '.join(directives)}").definitions
    assert isinstance(carrier, ScalarTypeDefinitionNode)
    return carrier.directives or ()


def _of_type(type_: GraphQLObjectType) -> Iterator[str]:
    for key in KEYS.get(type_.name, ()):
        yield f'@key(fields: "{" ".join(key)}")'
    if _is_value(type_):
        yield "@shareable"


def _of_field(coordinate: str, field: GraphQLField) -> Iterator[str]:
    if coordinate in WEIGHTS:
        yield f"@cost(weight: {WEIGHTS[coordinate]})"
    if "first" in field.args:
        sized = "" if is_list_type(get_nullable_type(field.type)) else ', sizedFields: ["edges", "nodes"]'
        yield f'@listSize(slicingArguments: ["first"]{sized}, requireOneSlicingArgument: false)'
    elif "ids" in field.args:
        yield f"@listSize(assumedSize: {MAX_IDS})"


def _is_value(type_: GraphQLOutputType, within: tuple[GraphQLOutputType, ...] = ()) -> bool:
    """Whether it is a plain value all through: another subgraph can tell one of its own as well as this one can."""
    named = get_named_type(type_)
    if not is_object_type(named):
        return is_leaf_type(named)
    if named.name in ROOTS or named.interfaces or named in within:
        return False
    return all(not its.args and _is_value(its.type, (*within, named)) for its in named.fields.values())
