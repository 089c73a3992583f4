"""The domain's enums that filters take too, registered before anything refers to them."""

import strawberry

from syncgraph.domain import freshness, metrics, model

strawberry.enum(
    model.ConnectorStatus,
    description=(
        "The link itself, not its syncs: Airweave's `error` only mirrors its newest job, so it is CONNECTED here. "
        "AWAITING_SETUP: Airweave pending_auth, Outlit awaiting_auth and setup_required. DISABLED: Den disabled and "
        "archived. UNKNOWN: a word this version does not know, or the provider does not tell."
    ),
)

strawberry.enum(
    model.SyncState,
    description="What a sync does now. UNKNOWN: the provider does not tell, or in a word this version does not know.",
)

strawberry.enum(
    model.RunStatus,
    description=(
        "Where a run stands. PARTIAL: finished without doing everything. SKIPPED: there was nothing to do. UNKNOWN: a "
        "word this version does not know, see `rawStatus`."
    ),
)

strawberry.enum(model.RunTrigger, description="Why a run ran.")

strawberry.enum(
    metrics.HealthStatus,
    description="How something does, by weight: HEALTHY, UNKNOWN, WARNING, DEGRADED.",
)

strawberry.enum(
    freshness.FreshnessStatus,
    description="The age of the last success, judged. UNKNOWN: no policy, or no success known.",
)
