"""GraphQL views of what subscriptions tell."""

from datetime import datetime
from typing import Any

import strawberry

from syncgraph.domain import changes, health, model
from syncgraph.graph.types.run import SyncRun
from syncgraph.graph.types.sync import Sync

strawberry.enum(
    changes.RunEventKind,
    description=(
        "CREATED: first seen, not finished. FINISHED: now in a final status, which it was not when it was seen before. "
        "UPDATED: anything else that `SyncRun` tells is not as it was; also a finished run that is queued again (Den's "
        "retry)."
    ),
)
strawberry.enum(
    changes.EventSource,
    description="POLL can miss short states between two polls; STREAM, an event feed of the provider, cannot.",
)


@strawberry.type(description="A run that is not as it was.")
class SyncRunEvent:
    kind: changes.RunEventKind
    run: Any = strawberry.field(graphql_type=SyncRun, description="As it is now.")
    previous_status: model.RunStatus | None = strawberry.field(
        description="Null: this gateway had not seen the run before, or does not remember it."
    )
    observed_at: datetime = strawberry.field(description="When this gateway saw it, by its own clock.")
    source: changes.EventSource


def changed_sync(event: strawberry.Parent[changes.SyncHealthEvent]) -> model.Sync:
    return event.standing.sync


def current_health(event: strawberry.Parent[changes.SyncHealthEvent]) -> health.HealthStatus:
    return event.standing.health.status


@strawberry.type(description="A sync that does otherwise than when it was judged before.")
class SyncHealthEvent:
    sync: Any = strawberry.field(
        resolver=changed_sync,
        graphql_type=Sync,
        description="As it is now; its `health` says why.",
    )
    previous: health.HealthStatus
    current: health.HealthStatus = strawberry.field(resolver=current_health)
    observed_at: datetime = strawberry.field(description="When this gateway saw it, by its own clock.")
