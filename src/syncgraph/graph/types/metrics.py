"""GraphQL views of what a list of runs says in numbers."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any

import strawberry

from syncgraph.domain import metrics, model
from syncgraph.errors import InvalidRequestError, UpstreamError, or_error
from syncgraph.graph.context import Info
from syncgraph.graph.types import links
from syncgraph.graph.types.run import SyncError, SyncRun

DEFAULT_GROUPS = 5
MOST = 100
"""Of a list that comes whole, at once."""


@strawberry.type(description="In seconds; interpolated linearly between the two nearest values.")
class DurationPercentiles:
    p50: float
    p95: float
    p99: float
    max: float
    count: int = strawberry.field(description="Values that were known.")


@strawberry.type(description="Interpolated linearly between the two nearest values.")
class FloatPercentiles:
    p50: float
    p95: float
    p99: float
    max: float
    count: int = strawberry.field(description="Values that were known.")


@strawberry.type(
    description=(
        "The newest success against the median and MAD of the others. WARNING: outside of what they let expect."
    )
)
class Anomaly:
    status: metrics.HealthStatus
    observed: float
    expected_low: float
    expected_high: float
    run: SyncRun


def first_of(found: Sequence[Any], first: int | None, default: int) -> Sequence[Any]:
    """Up to ``first``; raises when that is not 1 to ``MOST``."""
    size = default if first is None else first
    if not 1 <= size <= MOST:
        raise InvalidRequestError(f"first: write a number from 1 to {MOST}.")
    return found[:size]


async def group_syncs(group: strawberry.Parent[metrics.ErrorGroup], info: Info) -> list[Any]:
    """One that is gone, or cannot be read, is left out; the latter is said in ``errors``."""
    if links.asks_only_for_keys(info):
        return [links.SyncReference(key) for key in group.syncs]
    found = await asyncio.gather(*(or_error(info.context.loaders.sync.load(key)) for key in group.syncs))
    for one in found:
        if isinstance(one, UpstreamError):
            info.context.report(one, info.path)
    return [one for one in found if isinstance(one, model.Sync)]


@strawberry.type(description="Failures whose messages differ only in ids, numbers, times and quoted text.")
class ErrorGroup:
    fingerprint: str
    sample: SyncError = strawberry.field(description="The newest.")
    count: int = strawberry.field(description="Runs that failed so, or wait to be tried again.")
    first_seen_at: datetime
    last_seen_at: datetime
    syncs: Any = strawberry.field(
        resolver=group_syncs,
        graphql_type=list[links.SYNC],
        description="Whose runs they are, newest first; a run that is tied to no sync only counts.",
    )


def error_groups(
    its: strawberry.Parent[metrics.SyncMetrics], first: int | None = DEFAULT_GROUPS
) -> Sequence[Any]:
    return first_of(its.error_groups, first, DEFAULT_GROUPS)


@strawberry.type(description="Over the runs of a window, counted by the gateway.")
class SyncMetrics:
    window_days: int
    coverage: model.Coverage = strawberry.field(
        description=(
            "FULL: all runs of the window. WINDOW: the newest of them, as the provider lists no more, or more than "
            "500 lie in it."
        )
    )
    runs: int = strawberry.field(description="That were counted.")
    success_rate: float | None = strawberry.field(
        description="Succeeded over succeeded plus failed. Null: neither has happened."
    )
    consecutive_failures: int = strawberry.field(description="From the newest run with an outcome backwards.")
    duration: DurationPercentiles | None = strawberry.field(
        description="Of the runs with an outcome. Null: none tells it."
    )
    records_per_run: FloatPercentiles | None = strawberry.field(
        description="Of the runs with an outcome. Null: none tells it."
    )
    volume_anomaly: Anomaly | None = strawberry.field(
        description="Null: fewer than 8 measured successes, the newest is not measured, or all others are zero."
    )
    duration_anomaly: Anomaly | None = strawberry.field(
        description="Null: fewer than 8 measured successes, the newest is not measured, or all others are zero."
    )
    error_groups: Any = strawberry.field(
        resolver=error_groups, graphql_type=list[ErrorGroup], description="Most frequent first."
    )


def sync_metrics(
    sync: strawberry.Parent[model.Sync], info: Info, window_days: int | None = 7
) -> Awaitable[metrics.SyncMetrics | None]:
    days = 7 if window_days is None else window_days
    return info.context.standings.metrics(sync, window_days=days)
