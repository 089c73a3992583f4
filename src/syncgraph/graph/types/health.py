"""GraphQL views of how something does, and of how old its data is."""

from datetime import datetime, timedelta
from typing import Any

import strawberry

from syncgraph import ports
from syncgraph.domain import freshness, health, model
from syncgraph.domain.provider_health import CircuitState, ProviderHealthStatus
from syncgraph.graph.context import Info
from syncgraph.graph.types.connection import UpstreamError, shown_error
from syncgraph.graph.types.metrics import DurationPercentiles

strawberry.enum(
    freshness.FreshnessPolicySource,
    description=(
        "CONFIGURED: by the operator. PROVIDER_INTERVAL: 1x and 2x the provider's interval (Airbyte's Late and Error)."
    ),
)
strawberry.enum(
    health.HealthReasonCode, description="Why something does as it does; `docs/health.md` states each rule."
)
strawberry.enum(
    CircuitState,
    description=(
        "CLOSED: calls go through. OPEN: it was broken a moment ago and is left alone. HALF_OPEN: one call at a time finds "
        "out whether it is back."
    ),
)
strawberry.enum(
    ProviderHealthStatus,
    description="A provider as seen from this gateway, in its last calls. UNKNOWN: there were none.",
)


@strawberry.type(description="One reason with what it weighs.")
class HealthReason:
    code: health.HealthReasonCode
    status: health.HealthStatus
    message: str = strawberry.field(description="A sentence for people.")


@strawberry.type(
    description=(
        "The worst of its reasons (as Dagster's asset health): HEALTHY < UNKNOWN < WARNING < DEGRADED. PAUSED weighs as "
        "HEALTHY, with the reason shown."
    )
)
class Health:
    status: health.HealthStatus
    reasons: list[HealthReason] = strawberry.field(description="Worst first; none: all is well.")
    since: datetime | None = strawberry.field(
        description="The earliest instant from which the status is known to hold. Null: none is known."
    )


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def lag_seconds(fresh: strawberry.Parent[freshness.Freshness]) -> float | None:
    return _seconds(fresh.lag)


def expected_interval_seconds(fresh: strawberry.Parent[freshness.Freshness]) -> float | None:
    return _seconds(fresh.expected_interval)


def warn_after_seconds(fresh: strawberry.Parent[freshness.Freshness]) -> float | None:
    return _seconds(fresh.warn_after)


def error_after_seconds(fresh: strawberry.Parent[freshness.Freshness]) -> float | None:
    return _seconds(fresh.error_after)


@strawberry.type(
    description="dbt's words (warn_after, error_after) and Dagster's (PASSING, WARNING, FAILING)."
)
class Freshness:
    status: freshness.FreshnessStatus
    last_success_at: datetime | None = strawberry.field(
        description=(
            "End of the last successful run (Outlit: `lastSyncedAt` while its status is a success). Null: there was "
            "none, or none among what was read."
        )
    )
    lag_seconds: float | None = strawberry.field(
        resolver=lag_seconds,
        description="Since `lastSuccessAt`, at `evaluatedAt`; 0 when that lies ahead. Null: `lastSuccessAt` is.",
    )
    expected_interval_seconds: float | None = strawberry.field(
        resolver=expected_interval_seconds,
        description="What is expected between successes: configured, or the provider's interval. Null: nothing is.",
    )
    warn_after_seconds: float | None = strawberry.field(
        resolver=warn_after_seconds, description="A greater lag is WARNING. Null: nothing is expected."
    )
    error_after_seconds: float | None = strawberry.field(
        resolver=error_after_seconds, description="A greater lag is FAILING. Null: nothing is expected."
    )
    policy: freshness.FreshnessPolicySource
    evaluated_at: datetime


@strawberry.type(
    description=(
        "The upstream's own limit, from its newest answer (`RateLimit-*`, `X-RateLimit-*`, `Retry-After`)."
    )
)
class RateLimit:
    limit: int | None = strawberry.field(description="Null: it does not tell.")
    remaining: int | None = strawberry.field(description="Null: it does not tell.")
    reset_at: datetime | None = strawberry.field(description="Null: it does not tell.")


def last_error(seen: strawberry.Parent[ports.ProviderHealth]) -> UpstreamError | None:
    return None if seen.last_error is None else shown_error(seen.last_error)


@strawberry.type(description="What this gateway saw of a provider; costs no upstream call.")
class ProviderHealth:
    status: ProviderHealthStatus
    circuit: CircuitState = strawberry.field(description="Whether calls are let through to it.")
    last_success_at: datetime | None = strawberry.field(
        description="When the operation began that was last answered. Null: none was, since the gateway started."
    )
    last_error: UpstreamError | None = strawberry.field(
        resolver=last_error, description="However long ago. Null: none, since the gateway started."
    )
    success_rate: float | None = strawberry.field(
        description="Over the last 5 minutes, at most 1,000 calls; that a thing is not there is a success. Null: no call."
    )
    latency: DurationPercentiles | None = strawberry.field(
        description="Of the successes of the last 5 minutes. Null: there were none."
    )
    rate_limit: RateLimit | None = strawberry.field(
        description="As its last answer told, else as configured. Null: the provider tells none, and none is configured."
    )


def provider_health(provider: strawberry.Parent[ports.Provider]) -> ports.ProviderHealth:
    return provider.health()


def sync_freshness(sync: strawberry.Parent[model.Sync], info: Info) -> Any:
    standings = info.context.standings
    if sync.key in standings.told:
        return standings.told[sync.key].freshness
    newest = standings.at_hand(sync)
    return _freshness(sync, info) if newest is None else standings.judged(sync, newest)


async def _freshness(sync: model.Sync, info: Info) -> freshness.Freshness:
    newest = await info.context.standings.newest(sync)
    if newest.error is not None:
        info.context.report(newest.error, info.path)
    return info.context.standings.judged(sync, newest)


async def sync_health(sync: strawberry.Parent[model.Sync], info: Info) -> health.Health:
    standings = info.context.standings
    found = await standings.of(sync)
    if sync.key in standings.troubles:
        info.context.report(standings.troubles[sync.key], info.path)
    return found.health


async def connector_health(connector: strawberry.Parent[model.Connector], info: Info) -> health.Health:
    found, troubles = await info.context.standings.of_connector(connector)
    for error in troubles:
        info.context.report(error, info.path)
    return found
