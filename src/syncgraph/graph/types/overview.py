"""GraphQL view of the one screen: what is broken, late, or running, over all providers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry

from syncgraph.domain import freshness, health, model
from syncgraph.domain import overview as domain
from syncgraph.graph.context import Info
from syncgraph.graph.filters import SyncFilter, filtered
from syncgraph.graph.types.common import Count
from syncgraph.graph.types.connection import SourceOutcome
from syncgraph.graph.types.metrics import DEFAULT_GROUPS, ErrorGroup, first_of
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync
from syncgraph.survey import Survey, survey

DEFAULT_FIRST = 10


@strawberry.type(description="How many syncs do so.")
class HealthCount:
    status: health.HealthStatus
    count: Count


@strawberry.type(description="How many syncs are so fresh.")
class FreshnessCount:
    status: freshness.FreshnessStatus
    count: Count


@strawberry.type(description="How many runs of the window stand so.")
class RunStatusCount:
    status: model.RunStatus
    count: Count


def evaluated_at(seen: strawberry.Parent[Survey]) -> datetime:
    return seen.overview.evaluated_at


def healths(seen: strawberry.Parent[Survey]) -> Sequence[domain.StatusCount[health.HealthStatus]]:
    return seen.overview.health


def ages(seen: strawberry.Parent[Survey]) -> Sequence[domain.StatusCount[freshness.FreshnessStatus]]:
    return seen.overview.freshness


def runs(seen: strawberry.Parent[Survey]) -> Sequence[domain.StatusCount[model.RunStatus]]:
    return seen.overview.runs


def needs_attention(seen: strawberry.Parent[Survey], first: int | None = DEFAULT_FIRST) -> Sequence[Any]:
    return [one.sync for one in first_of(seen.overview.needs_attention, first, DEFAULT_FIRST)]


def running(seen: strawberry.Parent[Survey], first: int | None = DEFAULT_FIRST) -> Sequence[Any]:
    return first_of(seen.overview.running, first, DEFAULT_FIRST)


def error_groups(seen: strawberry.Parent[Survey], first: int | None = DEFAULT_GROUPS) -> Sequence[Any]:
    return first_of(seen.overview.error_groups, first, DEFAULT_GROUPS)


@strawberry.type(
    description=(
        "The one screen, from one pass over each provider's lists: all syncs, and the runs of the window. Counts name "
        "every status, zero too."
    )
)
class Overview:
    sources: list[SourceOutcome] = strawberry.field(
        description=(
            "What could not be seen, per provider. UNSUPPORTED: it lists no syncs, or no runs; `coverage` is of the "
            "other list. SCAN_LIMIT: more lists or runs than one overview reads."
        )
    )
    evaluated_at: datetime = strawberry.field(resolver=evaluated_at)
    health: Any = strawberry.field(resolver=healths, graphql_type=list[HealthCount])
    freshness: Any = strawberry.field(resolver=ages, graphql_type=list[FreshnessCount])
    runs: Any = strawberry.field(resolver=runs, graphql_type=list[RunStatusCount])
    needs_attention: Any = strawberry.field(
        resolver=needs_attention,
        graphql_type=list[Sync],
        description=(
            "Worst first: DEGRADED before WARNING, then greatest lag over expected, then by name, provider and id."
        ),
    )
    running: Any = strawberry.field(
        resolver=running,
        graphql_type=list[SyncRun],
        description="Newest first, also from before the window as far as lists show it.",
    )
    error_groups: Any = strawberry.field(
        resolver=error_groups,
        graphql_type=list[ErrorGroup],
        description="Failures of the window over all providers, most frequent first.",
    )


async def look(info: Info, window_days: int | None, filter: SyncFilter | None) -> Survey:
    context = info.context
    left = filtered(filter, context.standings)
    asked = [
        one
        for one in context.opened.values()
        if left.providers is None or one.provider.name in left.providers
    ]

    async def keep(standings: Sequence[domain.SyncStanding]) -> Sequence[domain.SyncStanding]:
        if left.prepare is not None:
            await left.prepare([one.sync for one in standings])
        return [one for one in standings if left.selection.keep(one.sync)]

    seen = await survey(
        asked,
        context.loaders,
        context.standings,
        window_days=1 if window_days is None else window_days,
        now=context.now,
        keep=keep if filter else None,
    )
    for source in seen.sources:
        if source.trouble is not None:
            context.report(source.trouble, info.path)
    return seen
