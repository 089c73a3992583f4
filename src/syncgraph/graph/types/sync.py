"""GraphQL view of a sync."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import strawberry

from syncgraph.domain import model
from syncgraph.errors import BudgetExceededError
from syncgraph.graph.context import Info
from syncgraph.graph.filters import SyncRunFilter
from syncgraph.graph.limits import DEFAULT_FIRST
from syncgraph.graph.scalars import BigInt
from syncgraph.graph.types import links
from syncgraph.graph.types.common import Node, stands_for
from syncgraph.graph.types.connection import Connection
from syncgraph.graph.types.details import AirweaveSyncDetails, OutlitSyncDetails, TimbalSyncDetails
from syncgraph.graph.types.health import Freshness, Health, sync_freshness, sync_health
from syncgraph.graph.types.metrics import SyncMetrics, sync_metrics
from syncgraph.graph.types.pages import Paging, page_of_scope
from syncgraph.graph.types.run import SyncError, SyncRun
from syncgraph.lists import Listing
from syncgraph.ports import Scope

T = TypeVar("T")

SEARCHED = 20
"""Newest runs looked through for the last success or failure."""

strawberry.enum(model.ScheduleKind, description="How a sync decides when to run.")
strawberry.enum(
    model.StatsSource,
    description="PROVIDER: counted by the provider, over all time. OBSERVED: counted by the gateway over listed runs.",
)

SyncDetails = Annotated[
    TimbalSyncDetails | OutlitSyncDetails | AirweaveSyncDetails,
    strawberry.union("SyncDetails", description="What only one provider tells of a sync."),
]


def interval_seconds(schedule: strawberry.Parent[model.Schedule]) -> float | None:
    return None if schedule.interval is None else schedule.interval.total_seconds()


@strawberry.type(description="When a sync runs by itself.")
class Schedule:
    kind: model.ScheduleKind
    cron: str | None = strawberry.field(description="Null: not by cron.")
    interval_seconds: float | None = strawberry.field(
        resolver=interval_seconds, description="Null: not by interval."
    )
    next_run_at: datetime | None = strawberry.field(description="Null: the provider does not tell.")


@strawberry.type(description="Counts over a sync's runs.")
class SyncStats:
    source: model.StatsSource
    coverage: model.Coverage = strawberry.field(
        description="FULL: over all runs. WINDOW or CONFIGURED: over a part of them, so no total of all time."
    )
    oldest_run_at: datetime | None = strawberry.field(
        description="For OBSERVED: `orderedAt` of the oldest run counted. Null: none was, or the provider counted."
    )
    runs_total: BigInt | None = strawberry.field(description="Null: not known.")
    runs_succeeded: BigInt | None = strawberry.field(description="Null: not known.")
    runs_failed: BigInt | None = strawberry.field(description="Null: not known.")
    success_rate: float | None = strawberry.field(
        description="runsSucceeded / (runsSucceeded + runsFailed); null when neither has happened, or is known."
    )
    records_total: BigInt | None = strawberry.field(
        description="Null: not every run counted tells its records."
    )


def _from_extra(
    sync: model.Sync, info: Info, read: Callable[[model.SyncExtra], T]
) -> Awaitable[T | None] | T | None:
    """From the list where it told; else from the provider's detail."""
    return read(sync.extra) if sync.extra is not None else _from_detail(sync, info, read)


async def _from_detail(sync: model.Sync, info: Info, read: Callable[[model.SyncExtra], T]) -> T | None:
    extra = await info.context.loaders.sync_extra.load(sync.key)
    return None if extra is None else read(extra)


def schedule(sync: strawberry.Parent[model.Sync], info: Info) -> Any:
    return _from_extra(sync, info, lambda extra: extra.schedule)


def details(sync: strawberry.Parent[model.Sync], info: Info) -> Any:
    return _from_extra(sync, info, lambda extra: extra.details)


def stats(sync: strawberry.Parent[model.Sync], info: Info) -> Awaitable[model.SyncStats | None]:
    return info.context.loaders.stats.load(sync.key)


def runs(
    sync: strawberry.Parent[model.Sync],
    info: Info,
    first: int | None = DEFAULT_FIRST,
    after: str | None = strawberry.UNSET,
    filter: SyncRunFilter | None = strawberry.UNSET,
) -> Awaitable[Listing[Any]] | None:
    scope = Scope(sync_id=sync.key.id)
    paging = Paging(first=first, after=after, filter=filter)
    return page_of_scope(info, sync.key.provider, scope, "runs", paging)


async def _newest(
    sync: model.Sync, info: Info, *, searched: int, statuses: frozenset[model.RunStatus] | None
) -> Any:
    """The newest run, or the newest in one of ``statuses`` among the newest ``searched``."""
    scope = Scope(sync_id=sync.key.id)
    reading = page_of_scope(info, sync.key.provider, scope, "runs", Paging(first=searched))
    if reading is None:
        return None
    listing = await reading
    for row, _ in listing.rows:
        if statuses is None or row.status in statuses:
            return row
    failure = listing.sources[0].error
    if failure is not None:
        raise failure
    if listing.has_next:
        raise BudgetExceededError(
            "Not among the newest runs, and reading on would cost too many upstream calls.",
            provider=sync.key.provider,
        )
    return None


async def latest_run(sync: strawberry.Parent[model.Sync], info: Info) -> Any:
    return await _newest(sync, info, searched=1, statuses=None)


async def latest_successful_run(sync: strawberry.Parent[model.Sync], info: Info) -> Any:
    return await _newest(sync, info, searched=SEARCHED, statuses=frozenset({model.RunStatus.SUCCEEDED}))


async def latest_failed_run(sync: strawberry.Parent[model.Sync], info: Info) -> Any:
    return await _newest(sync, info, searched=SEARCHED, statuses=frozenset({model.RunStatus.FAILED}))


@strawberry.type(
    description=(
        "A standing instruction to copy one thing. Timbal: sync (table to knowledge base). Outlit: one model of an "
        "integration (no id upstream: identified by provider and model). Airweave: the sync of a source connection. "
        "Den: connector target."
    )
)
class Sync(Node):
    id: strawberry.ID = strawberry.field(resolver=links.global_id, description="Global id, opaque.")
    provider: Any = strawberry.field(
        resolver=links.provider, graphql_type=links.PROVIDER, description="Where it is configured."
    )
    provider_name: str = strawberry.field(
        resolver=links.provider_name, description="The provider's name in the configuration."
    )
    connector: Any = strawberry.field(
        resolver=links.linked_connector,
        graphql_type=links.CONNECTOR | None,
        description="Null: this contract of the provider does not tell which.",
    )
    external_id: str = strawberry.field(
        resolver=links.external_id,
        description=(
            "What the provider's own API needs to address it. Timbal: connector/sync. Outlit: provider/model. "
            "Airweave: the source connection. Den: the target."
        ),
    )
    name: str | None = strawberry.field(description="Null: the provider does not tell.")
    provenance: model.Provenance
    stream: str | None = strawberry.field(
        description="What is copied: stream, table, model, branch or collection. Null: the provider does not tell."
    )
    enabled: bool | None = strawberry.field(description="Null: the provider does not tell.")
    state: model.SyncState
    raw_status: str | None = strawberry.field(description="In the provider's own word. Null: it has none.")
    last_outcome: model.RunStatus | None = strawberry.field(
        description=(
            "How the last finished run ended, as the list tells it, without reading runs (Timbal last_state, Outlit "
            "status). Null: the list does not tell."
        )
    )
    last_run_at: datetime | None = strawberry.field(
        description="As the list tells it. Null: it does not, or never ran."
    )
    health: Any = strawberry.field(
        resolver=sync_health,
        graphql_type=Health,
        description="How it is doing, by the rule in `health.reasons`: the first thing to show.",
    )
    freshness: Any = strawberry.field(
        resolver=sync_freshness,
        graphql_type=Freshness,
        description="How old the data is, by the list; where that does not tell the last outcome, by the newest runs.",
    )
    schedule: Schedule | None = strawberry.field(
        resolver=schedule, description="Null: the provider does not tell."
    )
    stats: Any = strawberry.field(
        resolver=stats,
        graphql_type=SyncStats | None,
        description="`source` tells whether counted upstream or over listed runs. Null: nothing can be counted (Outlit).",
    )
    metrics: Any = strawberry.field(
        resolver=sync_metrics,
        graphql_type=SyncMetrics | None,
        description=(
            "Over the runs in the window (`windowDays` 1 to 30), counted by the gateway. Null: runs cannot be listed, or "
            "not read; see `errors`."
        ),
    )
    latest_run: SyncRun | None = strawberry.field(
        resolver=latest_run,
        description="The newest run that is listed. Null: none is, or no runs are published.",
    )
    latest_successful_run: SyncRun | None = strawberry.field(
        resolver=latest_successful_run,
        description="Null: none is listed; with BUDGET_EXCEEDED in `errors` when it may lie further back.",
    )
    latest_failed_run: SyncRun | None = strawberry.field(
        resolver=latest_failed_run,
        description="Null: none is listed; with BUDGET_EXCEEDED in `errors` when it may lie further back.",
    )
    runs: Any = strawberry.field(
        resolver=runs,
        graphql_type=Connection[SyncRun] | None,
        description="Newest first. Null: the provider publishes no runs (Outlit), which is not the same as none.",
    )
    last_error: SyncError | None = strawberry.field(
        description="The last error where the provider gives one without a run (Outlit, an auto-disabled Timbal sync). Null: it gives none."
    )
    created_at: datetime | None = strawberry.field(description="Null: the provider does not tell.")
    updated_at: datetime | None = strawberry.field(description="Null: the provider does not tell.")
    details: SyncDetails | None = strawberry.field(
        resolver=details, description="What only this provider tells. Null: nothing more."
    )

    is_type_of = stands_for(model.Sync, links.SyncReference)
