"""What an operation surely costs, told from its text and variables: too much of it is refused before any call.

A lower bound. Only root fields are looked at, as what they lead to is not known yet; of these, things by id, and whole
lists from their beginning. Each is at least the one read that its provider names for it, and equal reads are one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields
from graphql.execution.values import VariableValues, get_argument_values

from syncgraph.accounts import Opened
from syncgraph.domain.metrics import MAX_WINDOW_DAYS
from syncgraph.domain.model import ConnectorKey, RunKey, SyncKey
from syncgraph.errors import BudgetExceededError, InvalidRequestError
from syncgraph.graph import ids
from syncgraph.graph.entities import Named, key_of
from syncgraph.graph.limits import DEFAULT_FIRST, MAX_FIRST, MAX_IDS
from syncgraph.ports import Asked

KEYS: Mapping[str, type[ConnectorKey | SyncKey | RunKey]] = {
    "connector": ConnectorKey,
    "sync": SyncKey,
    "syncRun": RunKey,
}
KINDS = {
    "connectors": ("connectors",),
    "syncs": ("syncs",),
    "syncRuns": ("runs",),
    "overview": ("syncs", "runs"),
}
T = TypeVar("T")
Arguments = Mapping[str, Any]


def too_costly(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    values: VariableValues,
    *,
    opened: Mapping[str, Opened],
    most: int,
) -> BudgetExceededError | None:
    """Why the operation is not begun; None when it may well cost no more than ``most`` upstream calls."""
    sure: set[tuple[str, str]] = set()
    for field, given in _root_fields(schema, document, operation, values):
        for provider, asked in _asked(field, given, opened):
            read = opened[provider].provider.sure_read(asked) if provider in opened else None
            if read is not None:
                sure.add((provider, read))
            if len(sure) > most:
                message = f"{field}: with it, the operation needs more than the {most} upstream calls that one may make."
                return BudgetExceededError(message, provider=provider)
    return None


def _root_fields(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, values: VariableValues
) -> Iterator[tuple[str, Arguments]]:
    """Those that are executed, as graphql-core collects them; one whose arguments do not fit is refused by itself."""
    root = schema.query_type
    assert root is not None
    fragments = {
        one.name.value: FragmentDetails(one)
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    collected = collect_fields(schema, fragments, values, root, operation)
    for same, *_ in collected.grouped_field_set.values():
        name = same.node.name.value
        if name in root.fields:
            try:
                yield name, get_argument_values(root.fields[name], same.node, values)
            except GraphQLError:
                continue


def _asked(field: str, given: Arguments, opened: Mapping[str, Opened]) -> Iterator[tuple[str, Asked]]:
    match field:
        case "node":
            yield from _named([given["id"]], ids.decode)
        case "nodes" if len(given["ids"]) <= MAX_IDS:
            yield from _named(given["ids"], ids.decode)
        case "_entities":
            yield from _named(given["representations"], key_of)
        case "connector" | "sync" | "syncRun":
            yield given["provider"], KEYS[field](given["provider"], given["externalId"])
        case "connectors" | "syncs" | "syncRuns" | "overview" if _is_whole(given):
            yield from ((name, kind) for kind in KINDS[field] for name in opened)


def _named(given: Sequence[T], read: Callable[[T], Named]) -> Iterator[tuple[str, Asked]]:
    for one in given:
        try:
            key = read(one)
        except InvalidRequestError:
            continue
        if not isinstance(key, str):
            yield key.provider, key


def _is_whole(given: Arguments) -> bool:
    """Whether no argument leaves anything out, or is refused by the field."""
    first, days = given.get("first"), given.get("windowDays")
    is_in_range = 1 <= (DEFAULT_FIRST if first is None else first) <= MAX_FIRST
    is_recent = 1 <= (1 if days is None else days) <= MAX_WINDOW_DAYS
    return given.get("after") is None and given.get("filter") is None and is_in_range and is_recent
