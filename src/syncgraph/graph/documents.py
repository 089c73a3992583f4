"""GraphQL documents: parsed and checked once, however often they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    GraphQLDeferDirective,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Visitor,
    VisitorAction,
    parse,
    validate,
    visit,
)

MAX_TOKENS = 2000
"""Of one document; GraphiQL's introspection has about 300."""
MAX_ERRORS = 20
"""Of one document's validation; it stops there."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text as the schema sees it. ``errors``: why it is not executed. ``node``: None where it does not even parse.

    ``node`` is without ``@defer``, which only asks; ``deferring`` is with it, and None where nothing is deferred.
    """

    text: str
    node: DocumentNode | None
    errors: Sequence[GraphQLError]
    deferring: DocumentNode | None = None

    def operations(self, name: str | None) -> Sequence[OperationDefinitionNode]:
        """Those of this name, or all: what is asked for is clear when it is one."""
        return operations_in(self.node, name) if self.node is not None else ()

    @property
    def size(self) -> int:
        """In bytes of memory, about."""
        parsed = self.deferring or self.node
        tokens = parsed.token_count if parsed is not None else 0
        return DOCUMENT_BYTES + 4 * len(self.text) + TOKEN_BYTES * tokens


DOCUMENT_BYTES, TOKEN_BYTES = 4096, 600
"""Of what is not executed, its errors; of each token of a parsed text, 100 to 555 were measured."""


def read(schema: GraphQLSchema, text: str) -> Document:
    try:
        node = parse(text, max_tokens=MAX_TOKENS)
    except GraphQLError as error:
        return Document(text, None, (error,))
    except RecursionError:
        return Document(text, None, (_TOO_DEEP,))
    try:
        errors = validate(schema, node, max_errors=MAX_ERRORS)
        whole = visit(node, _WithoutDefer()) if GraphQLDeferDirective.name in text else node
        return Document(text, whole, errors, None if whole is node else node)
    except RecursionError:
        return Document(text, node, (_TOO_DEEP,))


def operations_in(node: DocumentNode, name: str | None) -> Sequence[OperationDefinitionNode]:
    """Those of this name, or all."""
    return [
        one
        for one in node.definitions
        if isinstance(one, OperationDefinitionNode) and name in {None, one.name.value if one.name else None}
    ]


class _WithoutDefer(Visitor):
    def enter_directive(self, node: DirectiveNode, *_: object) -> VisitorAction:
        return self.REMOVE if node.name.value == GraphQLDeferDirective.name else self.SKIP


_TOO_DEEP = GraphQLError("The document is nested too deeply.")
