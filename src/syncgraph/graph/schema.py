"""The schema, and how one operation is executed against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any

import strawberry
from cachetools import LRUCache
from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    ExperimentalIncrementalExecutionResults,
    GraphQLDeferDirective,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    experimental_execute_incrementally,
    get_variable_values,
)
from strawberry.schema.config import StrawberryConfig

from syncgraph.accounts import taken
from syncgraph.errors import DocumentError, GatewayError, InvalidRequestError
from syncgraph.graph.ceiling import too_costly
from syncgraph.graph.codes import of_document, of_request, present, trouble
from syncgraph.graph.context import Context
from syncgraph.graph.documents import Document, operations_in, read
from syncgraph.graph.federation import REPRESENTATION, Representation, federated
from syncgraph.graph.incremental import Payloads, payloads
from syncgraph.graph.limits import MAX_PARTS, MAX_ROWS, deferred_parts, endless_field
from syncgraph.graph.query import Query
from syncgraph.graph.scalars import SCALARS
from syncgraph.graph.subgraph import subgraph_sdl
from syncgraph.graph.subscription import Subscription
from syncgraph.graph.types.connector import Connector
from syncgraph.graph.types.provider import Provider
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync
from syncgraph.watch import Subscriber

RECENT_BYTES, RECENT_LENGTH = 32 * 1024 * 1024, 16 * 1024
"""Memory for documents that were asked for of late, and the longest, in characters, that is kept."""
_recent: LRUCache[str, Document] = LRUCache(RECENT_BYTES, getsizeof=lambda document: document.size)


def _schema_over(query: type[Query]) -> strawberry.Schema:
    its = strawberry.Schema(
        query=query,
        subscription=Subscription,
        types=[Provider, Connector, Sync, SyncRun],
        config=StrawberryConfig(scalar_map={**SCALARS, Representation: REPRESENTATION}),
    )
    core = its._schema  # noqa: SLF001  # Strawberry has @defer only together with @stream
    core.directives = (*core.directives, GraphQLDeferDirective)
    return its


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
    document: Document | None = None
    """What ``query`` is, where it was read already."""


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
    """The whole answer at once, whatever asks to be deferred. Never raises for what a client or a provider did."""
    document = _admitted(operation, OperationType.QUERY, context)
    return document if isinstance(document, Result) else await _executed(document.node, operation, context)


async def run_in_parts(operation: Operation, context: Context) -> Result | Payloads:
    """As ``run``; where something is deferred, the payloads one by one. Who takes them closes them."""
    document = _admitted(operation, OperationType.QUERY, context)
    if isinstance(document, Result):
        return document
    result = await _execute(document.deferring or document.node, operation, context)
    return _result(result, context) if isinstance(result, ExecutionResult) else payloads(result, context)


def subscribe(operation: Operation, context: Context) -> Subscriber | Result:
    """The events that the operation is about, each to be answered by ``answer``; or why there are none.

    Makes no call, and so needs no account in ``context``.
    """
    document = _admitted(operation, OperationType.SUBSCRIPTION, context)
    if isinstance(document, Result):
        return document
    assert document.node is not None
    executor = Executor.build(
        _core,
        document.node,
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
    return await _executed(document_of(operation).node, operation, context, event)


def _admitted(operation: Operation, kind: OperationType, context: Context) -> Document | Result:
    document = document_of(operation)
    if document.node is None or document.errors:
        return Result(None, [of_document(error) for error in document.errors], was_executed=False)
    refusal = _why_not(document, operation, kind, context)
    return document if refusal is None else refused(refusal)


async def _executed(
    node: DocumentNode | None, operation: Operation, context: Context, root: object = None
) -> Result:
    """Of a document in which nothing is deferred."""
    result = await _execute(node, operation, context, root)
    assert isinstance(result, ExecutionResult)
    return _result(result, context)


async def _execute(
    node: DocumentNode | None, operation: Operation, context: Context, root: object = None
) -> ExecutionResult | ExperimentalIncrementalExecutionResults:
    assert node is not None
    answer = experimental_execute_incrementally(
        _core,
        node,
        root_value=root,
        context_value=context,
        variable_values=dict(operation.variables or {}),
        operation_name=operation.name,
    )
    return await answer if isawaitable(answer) else answer


def _result(result: ExecutionResult, context: Context) -> Result:
    if result.data is None and not any(error.path for error in result.errors or ()):
        # Nothing was executed: a variable does not fit its type.
        return Result(None, [of_document(error) for error in result.errors or ()], was_executed=False)
    errors = [present(error) for error in result.errors or ()]
    errors += [trouble(*one) for one in context.troubles.values()]
    used = taken(opened.meter.used for opened in context.opened.values())
    may_be_kept = used.fetched_at is not None and not errors and not used.is_stale
    return Result(
        result.data,
        errors,
        was_executed=True,
        age_s=used.age_s,
        max_age_s=used.age_s + used.fresh_s if may_be_kept else None,
        stale=context.stale(),
    )


def refused(error: GatewayError) -> Result:
    return Result(None, [of_request(error)], was_executed=False)


def kind_of(operation: Operation) -> OperationType | None:
    """Query, mutation or subscription; None when it is not clear what is asked for."""
    chosen = document_of(operation).operations(operation.name)
    return chosen[0].operation if len(chosen) == 1 else None


def document_of(operation: Operation) -> Document:
    return operation.document or read_document(operation.query)


def read_document(text: str) -> Document:
    """Parsed and checked; at once where it was asked for of late."""
    found = _recent.get(text)
    if found is None:
        found = read(_core, text)
        if len(text) <= RECENT_LENGTH:
            _recent[text] = found
    return found


def trusted_document(text: str) -> Document:
    """As ``read_document``, for a text that will be kept: what its lists could hold is among its errors."""
    document = read(_core, text)
    if document.node is None or document.errors:
        return document
    found = [_endless(document, one, {}) for one in document.operations(None)]
    return replace(document, errors=[GraphQLError(str(one)) for one in found if one is not None])


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
    return _too_much(document, chosen[0], asked.variables or {}, context)


def _too_much(
    document: Document, operation: OperationDefinitionNode, variables: Mapping[str, Any], context: Context
) -> GatewayError | None:
    """What an operation asks for beyond what one may; None also where its variables do not fit: execution says so."""
    assert document.node is not None
    values = get_variable_values(_core, operation.variable_definitions or (), dict(variables))
    if isinstance(values, list):
        return None
    return _endless(document, operation, values.coerced) or too_costly(
        _core, document.node, operation, values, opened=context.opened, most=context.max_calls
    )


def _endless(
    document: Document, operation: OperationDefinitionNode, values: Mapping[str, Any]
) -> InvalidRequestError | None:
    assert document.node is not None
    field = endless_field(document.node, operation, values)
    if field is not None:
        return InvalidRequestError(f"{field}: its lists within lists could hold more than {MAX_ROWS} rows.")
    if document.deferring is not None:
        (same,) = operations_in(document.deferring, operation.name.value if operation.name else None)
        if deferred_parts(document.deferring, same, values) > MAX_PARTS:
            return InvalidRequestError(f"@defer: there could be more than {MAX_PARTS} parts.")
    return None
