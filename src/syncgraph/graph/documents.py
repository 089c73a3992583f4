"""GraphQL documents: parsed and checked once, however often they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    validate,
)

MAX_TOKENS = 2000
"""Of one document; GraphiQL's introspection has about 300."""
MAX_ERRORS = 20
"""Of one document's validation; it stops there."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text as the schema sees it. ``errors``: why it is not executed. ``node``: None where it does not even parse."""

    node: DocumentNode | None
    errors: Sequence[GraphQLError]

    def operations(self, name: str | None) -> Sequence[OperationDefinitionNode]:
        """Those of this name, or all: what is asked for is clear when it is one."""
        definitions = self.node.definitions if self.node is not None else ()
        return [
            one
            for one in definitions
            if isinstance(one, OperationDefinitionNode)
            and name in {None, one.name.value if one.name else None}
        ]


def read(schema: GraphQLSchema, text: str) -> Document:
    try:
        node = parse(text, max_tokens=MAX_TOKENS)
    except GraphQLError as error:
        return Document(None, (error,))
    except RecursionError:
        return Document(None, (_TOO_DEEP,))
    try:
        return Document(node, validate(schema, node, max_errors=MAX_ERRORS))
    except RecursionError:
        return Document(node, (_TOO_DEEP,))


_TOO_DEEP = GraphQLError("The document is nested too deeply.")
