"""The schema, and how one operation is executed against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionContext
from strawberry.types.graphql import OperationType

from syncgraph.errors import DocumentError
from syncgraph.graph.codes import present, refusal, trouble
from syncgraph.graph.context import Context
from syncgraph.graph.query import Query
from syncgraph.graph.scalars import SCALARS
from syncgraph.graph.types.connector import Connector
from syncgraph.graph.types.provider import Provider
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync

MAX_TOKENS = 2000
"""Of one document; a page of GraphiQL's introspection has about 300."""

CACHED_DOCUMENTS = 128


class Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Logging is ``present``'s business, where the code is decided."""


schema = Schema(
    query=Query,
    types=[Provider, Connector, Sync, SyncRun],
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[
        lambda: MaxTokensLimiter(MAX_TOKENS),
        lambda: ParserCache(CACHED_DOCUMENTS),
        lambda: ValidationCache(CACHED_DOCUMENTS),
    ],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a client asks to be executed."""

    query: str
    variables: Mapping[str, Any] | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """A GraphQL response. ``was_executed``: False when the document or the request was refused before."""

    data: Mapping[str, Any] | None
    errors: Sequence[GraphQLError]
    was_executed: bool

    def body(self) -> dict[str, Any]:
        errors = {"errors": [error.formatted for error in self.errors]} if self.errors else {}
        return {**errors, **({"data": self.data} if self.was_executed else {})}


async def execute(operation: Operation, context: Context) -> Result:
    """Never raises for what a client or a provider did."""
    try:
        result = await schema.execute(
            operation.query,
            variable_values=dict(operation.variables or {}),
            context_value=context,
            operation_name=operation.name,
            allowed_operation_types=[OperationType.QUERY],
        )
    except CannotGetOperationTypeError:
        return refused("operationName: the document has no such operation, or several and no name was given.")
    except InvalidOperationTypeError:
        return refused("This gateway answers queries only.")
    errors = [present(error) for error in result.errors or ()]
    errors += [trouble(error, path) for error, path in context.troubles.values()]
    was_executed = result.data is not None or any(error.path for error in errors)
    return Result(result.data, errors, was_executed)


def refused(message: str) -> Result:
    return Result(None, [refusal(DocumentError(message))], was_executed=False)
