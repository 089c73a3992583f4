"""The schema, and how one operation is executed against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute,
    get_variable_values,
)
from strawberry.schema.config import StrawberryConfig

from syncgraph.accounts import Used, taken
from syncgraph.errors import DocumentError, GatewayError, InvalidRequestError
from syncgraph.graph.ceiling import too_costly
from syncgraph.graph.codes import of_document, of_request, present, trouble
from syncgraph.graph.context import Context
from syncgraph.graph.documents import Document, read
from syncgraph.graph.federation import REPRESENTATION, Representation, federated
from syncgraph.graph.limits import MAX_ROWS, endless_field
from syncgraph.graph.query import Query
from syncgraph.graph.scalars import SCALARS
from syncgraph.graph.subgraph import subgraph_sdl
from syncgraph.graph.subscription import Subscription
from syncgraph.graph.types.connector import Connector
from syncgraph.graph.types.provider import Provider
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync
from syncgraph.watch import Subscriber

CACHED_DOCUMENTS, CACHED_LENGTH = 256, 16 * 1024
"""Documents kept parsed and validated, and the longest, in characters, that is."""


def _schema_over(query: type[Query]) -> strawberry.Schema:
    return strawberry.Schema(
        query=query,
        subscription=Subscription,
        types=[Provider, Connector, Sync, SyncRun],
        config=StrawberryConfig(scalar_map={**SCALARS, Representation: REPRESENTATION}),
    )


schema = _schema_over(Query)
"""As clients are shown it."""
_core: GraphQLSchema = _schema_over(federated(subgraph_sdl(schema.as_str())))._schema  # noqa: SLF001  # Strawberry's own executor runs the first of several operations

_ELSEWHERE = {
    OperationType.QUERY: "This is a query, not a subscription.",
    OperationType.MUTATION: "This gateway changes nothing: send a query.",
    OperationType.SUBSCRIPTION: "Subscribe by WebSocket (graphql-transport-ws) or accept text/event-stream.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a client asks to be executed."""

    query: str
    variables: Mapping[str, Any] | None
    name: str | None
    max_age_s: float | None = None
    """How old a provider's answer may be; None: as old as its kind may get."""


@dataclass(frozen=True, slots=True)
class Result:
    """A GraphQL response.

    ``was_executed``: False when the document or the request was refused before. ``age_s``, ``max_age_s``: of the oldest
    provider's answer in it, and when the first of them is no longer fresh; None: it must not be kept. ``stale``: what
    each provider gave from a copy older than it should be.
    """

    data: Mapping[str, Any] | None
    errors: Sequence[GraphQLError]
    was_executed: bool
    age_s: float = 0.0
    max_age_s: float | None = None
    stale: Sequence[Mapping[str, Any]] = ()

    def body(self) -> dict[str, Any]:
        errors = {"errors": [error.formatted for error in self.errors]} if self.errors else {}
        extensions = {"extensions": {"stale": list(self.stale)}} if self.stale else {}
        return {**errors, **({"data": self.data} if self.was_executed else {}), **extensions}


async def run(operation: Operation, context: Context) -> Result:
    """Never raises for what a client or a provider did."""
    document = _admitted(operation, OperationType.QUERY, context)
    return document if isinstance(document, Result) else await _executed(document, operation, context)


def subscribe(operation: Operation, context: Context) -> Subscriber | Result:
    """The events that the operation is about, each to be answered by ``answer``; or why there are none.

    Makes no call, and so needs no account in ``context``.
    """
    document = _admitted(operation, OperationType.SUBSCRIPTION, context)
    if isinstance(document, Result):
        return document
    executor = Executor.build(
        _core,
        document,
        context_value=context,
        raw_variable_values=dict(operation.variables or {}),
        operation_name=operation.name,
    )
    if isinstance(executor, list):
        return Result(None, [of_document(error) for error in executor], was_executed=False)
    stream = create_source_event_stream(executor)
    if isinstance(stream, ExecutionResult):
        return Result(None, [present(error) for error in stream.errors or ()], was_executed=False)
    assert isinstance(stream, Subscriber)
    return stream


async def answer(operation: Operation, event: object, context: Context) -> Result:
    """What one event comes to in an operation that was admitted by ``subscribe``."""
    document = _read(operation.query).node
    assert document is not None
    return await _executed(document, operation, context, event)


def _admitted(operation: Operation, kind: OperationType, context: Context) -> DocumentNode | Result:
    document = _read(operation.query)
    if document.node is None or document.errors:
        return Result(None, [of_document(error) for error in document.errors], was_executed=False)
    refusal = _why_not(document, operation, kind, context)
    return document.node if refusal is None else refused(refusal)


async def _executed(
    document: DocumentNode, operation: Operation, context: Context, root: object = None
) -> Result:
    answer = execute(
        _core,
        document,
        root_value=root,
        context_value=context,
        variable_values=dict(operation.variables or {}),
        operation_name=operation.name,
    )
    result = await answer if isawaitable(answer) else answer
    if result.data is None and not any(error.path for error in result.errors or ()):
        # Nothing was executed: a variable does not fit its type.
        return Result(None, [of_document(error) for error in result.errors or ()], was_executed=False)
    errors = [present(error) for error in result.errors or ()]
    errors += [trouble(*one) for one in context.troubles.values()]
    all_used = {name: opened.meter.used for name, opened in context.opened.items()}
    used = taken(all_used.values())
    may_be_kept = used.fetched_at is not None and not errors and not used.is_stale
    return Result(
        result.data,
        errors,
        was_executed=True,
        age_s=used.age_s,
        max_age_s=used.age_s + used.fresh_s if may_be_kept else None,
        stale=[_stale(name, its) for name, its in all_used.items() if its.is_stale],
    )


def _stale(provider: str, used: Used) -> Mapping[str, Any]:
    """Where no `sources` stand beside a value, this says that it is old."""
    assert used.fetched_at is not None
    return {
        "provider": provider,
        "fetchedAt": used.fetched_at.isoformat().replace("+00:00", "Z"),
        "code": None if used.error is None else used.error.code,
    }


def refused(error: GatewayError) -> Result:
    return Result(None, [of_request(error)], was_executed=False)


def kind_of(operation: Operation) -> OperationType | None:
    """Query, mutation or subscription; None when it is not clear what is asked for."""
    chosen = _read(operation.query).operations(operation.name)
    return chosen[0].operation if len(chosen) == 1 else None


def _read(query: str) -> Document:
    return _checked(query) if len(query) <= CACHED_LENGTH else read(_core, query)


@lru_cache(CACHED_DOCUMENTS)
def _checked(query: str) -> Document:
    return read(_core, query)


def _why_not(
    document: Document, asked: Operation, kind: OperationType, context: Context
) -> GatewayError | None:
    """Why the operation that is asked for is not executed; None when it is."""
    chosen = document.operations(asked.name)
    if len(chosen) != 1:
        trouble = "has several operations; name one" if asked.name is None else "has no such operation"
        return DocumentError(f"operationName: the document {trouble}.")
    if chosen[0].operation is not kind:
        return DocumentError(_ELSEWHERE[chosen[0].operation])
    assert document.node is not None
    return _too_much(document.node, chosen[0], asked.variables or {}, context)


def _too_much(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    context: Context,
) -> GatewayError | None:
    """What an operation asks for beyond what one may; None also where its variables do not fit: execution says so."""
    values = get_variable_values(_core, operation.variable_definitions or (), dict(variables))
    if isinstance(values, list):
        return None
    endless = endless_field(document, operation, values.coerced)
    if endless is not None:
        return InvalidRequestError(f"{endless}: its lists within lists could hold more than {MAX_ROWS} rows.")
    return too_costly(_core, document, operation, values, opened=context.opened, most=context.max_calls)
