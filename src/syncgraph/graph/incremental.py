"""An answer in parts: what ``@defer`` put off follows as it is done; https://specs.apollo.dev/incremental/v0.2/."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from graphql import (
    ExperimentalIncrementalExecutionResults,
    GraphQLError,
    IncrementalDeferResult,
    SubsequentIncrementalExecutionResult,
)
from graphql.execution import PendingResult

from syncgraph.graph.codes import present, trouble
from syncgraph.graph.context import Context

Payloads: TypeAlias = AsyncGenerator[Mapping[str, Any], None]
"""JSON objects as clients read them, the last with ``hasNext: false``. To close it stops what is still under way."""

Place: TypeAlias = Sequence[str | int]


async def payloads(results: ExperimentalIncrementalExecutionResults, context: Context) -> Payloads:
    """With errors as everywhere, and each provider's trouble beside the data that it stood in the way of."""
    telling = _Telling(context)
    async with aclosing(results.subsequent_results) as rest:
        first = results.initial_result
        telling.add(first.pending)
        yield {
            "data": first.data,
            **telling.errors(first.errors, ()),
            "pending": [one.formatted for one in first.pending],
            "hasNext": True,
            **telling.stale(),
        }
        async for part in rest:
            yield telling.payload(part)


class _Telling:
    """What clients were told so far: where each part belongs, and which troubles were said."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._places: dict[str, Place] = {}
        self._said: set[tuple[str, str]] = set()
        self._stale: Sequence[Mapping[str, Any]] = ()

    def add(self, pending: Iterable[PendingResult]) -> None:
        self._places |= {one.id: one.path for one in pending}

    def payload(self, part: SubsequentIncrementalExecutionResult) -> Mapping[str, Any]:
        self.add(part.pending or ())
        told: dict[str, Any] = {"hasNext": part.has_next}
        if part.pending:
            told["pending"] = [one.formatted for one in part.pending]
        if part.incremental:
            *parts, last = (one for one in part.incremental if isinstance(one, IncrementalDeferResult))
            told["incremental"] = [*map(self._deferred, parts), {**self._deferred(last), **self.stale()}]
        if part.completed:
            told["completed"] = [
                {"id": one.id, **({"errors": _shown(one.errors)} if one.errors else {})}
                for one in part.completed
            ]
        return told

    def errors(self, errors: Iterable[GraphQLError] | None, within: Place) -> Mapping[str, Any]:
        """Those, and the troubles at this place that were not said yet."""
        found = _shown(errors or ())
        for key, (error, path) in self._context.troubles.items():
            if key not in self._said and path.as_list()[: len(within)] == list(within):
                self._said.add(key)
                found.append(trouble(error, path).formatted)
        return {"errors": found} if found else {}

    def stale(self) -> Mapping[str, Any]:
        """All that is older than it should be so far, where that is more than was said."""
        found = self._context.stale()
        if found == self._stale:
            return {}
        self._stale = found
        return {"extensions": {"stale": found}}

    def _deferred(self, one: IncrementalDeferResult) -> Mapping[str, Any]:
        sub_path = list(one.sub_path or ())
        return {
            "id": one.id,
            **({"subPath": sub_path} if sub_path else {}),
            "data": one.data,
            **self.errors(one.errors, [*self._places[one.id], *sub_path]),
        }


def _shown(errors: Iterable[GraphQLError]) -> list[Any]:
    return [present(error).formatted for error in errors]
