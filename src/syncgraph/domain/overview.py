"""The one screen, put together: what is broken, late or running; pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from syncgraph.domain.freshness import Freshness, FreshnessStatus
from syncgraph.domain.health import Health, HealthStatus
from syncgraph.domain.metrics import WEIGHT, ErrorGroup, error_groups, in_window, status_counts
from syncgraph.domain.model import Count, CountRelation, RunStatus, Sync, SyncRun

S = TypeVar("S", HealthStatus, FreshnessStatus, RunStatus)

ATTENTION = frozenset({HealthStatus.WARNING, HealthStatus.DEGRADED})
RUNNING = frozenset({RunStatus.RUNNING, RunStatus.CANCELLING})


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStanding:
    """A sync with how it does."""

    sync: Sync
    health: Health
    freshness: Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCount(Generic[S]):
    """How many have a status."""

    status: S
    count: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All syncs and runs at a glance. Counts name every status, zero too."""

    evaluated_at: datetime
    health: tuple[StatusCount[HealthStatus], ...]
    freshness: tuple[StatusCount[FreshnessStatus], ...]
    runs: tuple[StatusCount[RunStatus], ...]
    needs_attention: tuple[SyncStanding, ...]
    running: tuple[SyncRun, ...]
    error_groups: tuple[ErrorGroup, ...]


class Seen(NamedTuple):
    """Whether all syncs and all runs of the window were read: EQ, else GTE."""

    syncs: CountRelation
    runs: CountRelation


def overview(
    standings: Sequence[SyncStanding], runs: Sequence[SyncRun], *, window_days: int, seen: Seen, now: datetime
) -> Overview:
    """``runs``: newest first; those before the window count nowhere, and are shown only while they are running."""
    recent = in_window(runs, window_days=window_days, now=now)
    healths = Counter(one.health.status for one in standings)
    ages = Counter(one.freshness.status for one in standings)
    ends = status_counts(recent)
    return Overview(
        evaluated_at=now,
        health=_counts([(status, healths[status]) for status in HealthStatus], seen.syncs),
        freshness=_counts([(status, ages[status]) for status in FreshnessStatus], seen.syncs),
        runs=_counts([(status, ends[status]) for status in RunStatus], seen.runs),
        needs_attention=needs_attention(standings),
        running=tuple(run for run in runs if run.status in RUNNING),
        error_groups=error_groups(recent),
    )


def needs_attention(standings: Iterable[SyncStanding]) -> tuple[SyncStanding, ...]:
    """DEGRADED before WARNING, then the greatest lag in expected intervals, then by name, then by key."""
    return tuple(sorted((one for one in standings if one.health.status in ATTENTION), key=_worst_first))


def lag_over_expected(freshness: Freshness) -> float | None:
    """The lag in expected intervals; None when either is not known."""
    if freshness.lag is None or not freshness.expected_interval:
        return None
    return freshness.lag / freshness.expected_interval


def _worst_first(one: SyncStanding) -> tuple[int, float, str, str, str]:
    lag = lag_over_expected(one.freshness)
    name = one.sync.name or one.sync.key.id
    return (-WEIGHT[one.health.status], 1.0 if lag is None else -lag, name, *one.sync.key)


def _counts(found: Iterable[tuple[S, int]], relation: CountRelation) -> tuple[StatusCount[S], ...]:
    return tuple(
        StatusCount(status=status, count=Count(value=count, relation=relation)) for status, count in found
    )
