"""GraphQL view of a run."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from syncgraph.domain import model
from syncgraph.domain.failure import fingerprint
from syncgraph.graph.context import Info
from syncgraph.graph.scalars import URL, BigInt
from syncgraph.graph.types import links
from syncgraph.graph.types.common import Count, Node, stands_for
from syncgraph.graph.types.details import AirweaveRunDetails, DenRunDetails, TimbalRunDetails

strawberry.enum(model.RunAction, description="What can be asked of a run.")
strawberry.enum(model.ErrorCategory, description="What kind of trouble a run's own error is.")

SyncRunDetails = Annotated[
    DenRunDetails | TimbalRunDetails | AirweaveRunDetails,
    strawberry.union("SyncRunDetails", description="What only one provider tells of a run."),
]


@strawberry.type(description="Records of one type.")
class TypedCount:
    type: str
    count: BigInt


@strawberry.type(
    description="Records touched by one run. Each is null when the provider does not count it; 0 is none."
)
class RecordCounts:
    inserted: BigInt | None
    updated: BigInt | None
    deleted: BigInt | None
    unchanged: BigInt | None
    skipped: BigInt | None
    failed: BigInt | None
    emitted: BigInt | None = strawberry.field(description="Rows written, without the kind of change.")
    processed: Count | None = strawberry.field(
        description="Sum of those known, and whether that is all. Null: none is known."
    )
    by_type: list[TypedCount] | None = strawberry.field(description="Null: the provider does not tell.")
    per_second: float | None = strawberry.field(description="Null: the provider does not tell, or not yet.")


def error_fingerprint(error: strawberry.Parent[model.SyncError]) -> str:
    return fingerprint(error.message)


@strawberry.type(
    description=(
        "A run's or a sync's own error. It is data, not the text of an HTTP error: known secrets are removed, and it "
        "has 2,000 characters at most."
    )
)
class SyncError:
    message: str
    category: model.ErrorCategory
    fingerprint: str = strawberry.field(
        resolver=error_fingerprint,
        description="Equal for messages that differ only in ids, numbers, times and quoted text.",
    )
    code: str | None = strawberry.field(description="The provider's own word for it; null: it has none.")
    occurred_at: datetime | None = strawberry.field(description="Null: the provider does not tell.")


def duration_seconds(run: strawberry.Parent[model.SyncRun], info: Info) -> float | None:
    length = model.duration(run, info.context.now)
    return None if length is None else length.total_seconds()


def queue_seconds(run: strawberry.Parent[model.SyncRun]) -> float | None:
    waited = model.queued_for(run)
    return None if waited is None else waited.total_seconds()


@strawberry.type(
    description=(
        "One execution of a sync. Den: connector sync event (a retry reuses it: the id stays, `orderedAt` moves). "
        "Timbal: recent run or job. Airweave: sync job. Outlit: none."
    )
)
class SyncRun(Node):
    id: strawberry.ID = strawberry.field(resolver=links.global_id, description="Global id, opaque.")
    provider: Any = strawberry.field(
        resolver=links.provider, graphql_type=links.PROVIDER, description="Where it ran."
    )
    provider_name: str = strawberry.field(
        resolver=links.provider_name, description="The provider's name in the configuration."
    )
    external_id: str = strawberry.field(
        resolver=links.external_id,
        description=(
            "Den: the event. Airweave: connection/job. Timbal: connector/sync/job, or connector/-/job for a one-off."
        ),
    )
    sync: Any = strawberry.field(
        resolver=links.linked_sync,
        graphql_type=links.SYNC | None,
        description="Null where the provider ties no sync to the run (a Den event without a target, a Timbal one-off job).",
    )
    connector: Any = strawberry.field(
        resolver=links.linked_connector,
        graphql_type=links.CONNECTOR | None,
        description="Null where the provider ties no connector to the run.",
    )
    status: model.RunStatus
    raw_status: str = strawberry.field(description="The status in the provider's own word.")
    trigger: model.RunTrigger = strawberry.field(
        description="Why it ran; UNKNOWN: the provider does not tell."
    )
    ordered_at: datetime = strawberry.field(
        description=(
            "The instant the connection sorts by, in the order of the provider's own list. Den: `startedAt`, the time "
            "of queueing, which a retry resets. Timbal: `created_at`. Airweave's jobs carry no creation time: "
            "started_at, else completed_at, else just after the next older job's; a job that still waits at the head "
            "has the instant it was read."
        )
    )
    created_at: datetime | None = strawberry.field(
        description="Den: the time within its id, which survives a retry. Null: the provider does not tell (Airweave)."
    )
    started_at: datetime | None = strawberry.field(
        description="When work began. Null: not yet, or the provider does not tell."
    )
    finished_at: datetime | None = strawberry.field(
        description=(
            "End, whatever the outcome. Null: not yet, or the provider does not tell (Airweave's failed jobs today)."
        )
    )
    duration_seconds: float | None = strawberry.field(
        resolver=duration_seconds,
        description=(
            "`finishedAt` - `startedAt`, or the provider's own figure; while running, now - `startedAt`. Null when "
            "either end is unknown."
        ),
    )
    queue_seconds: float | None = strawberry.field(
        resolver=queue_seconds, description="`startedAt` - `createdAt`. Null when either is unknown."
    )
    records: RecordCounts | None = strawberry.field(
        description="Null: the provider counted nothing for this run."
    )
    attempt: int | None = strawberry.field(
        description="Failed attempts so far. Null: the provider does not tell."
    )
    next_attempt_at: datetime | None = strawberry.field(
        description="Null: it does not wait for a retry, as far as known."
    )
    error: SyncError | None = strawberry.field(
        description="Null: it did not fail, or the provider does not tell why."
    )
    allowed_actions: list[model.RunAction] = strawberry.field(
        description="What can be asked of it now, here, in this state."
    )
    web_url: URL | None = strawberry.field(
        description="Null: the provider has no page for it, or does not tell where."
    )
    details: SyncRunDetails | None = strawberry.field(
        description="What only this provider tells. Null: nothing more."
    )

    is_type_of = stands_for(model.SyncRun)
