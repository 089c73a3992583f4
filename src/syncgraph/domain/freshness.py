"""How old a sync's data is against what is expected of it; ``docs/health.md`` states each rule.

dbt's words (``warn_after``, ``error_after``) and Dagster's (PASSING, WARNING, FAILING).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from syncgraph.domain.model import Coverage, RunStatus, Sync, SyncRun, SyncState

WARN_AFTER, ERROR_AFTER = 1, 2
"""In expected intervals, as Airbyte's Late and Error: one may be running late, two may not."""

LONGEST_INTERVAL = timedelta(days=36_500)
"""A provider that names a longer one promises nothing."""


class FreshnessStatus(StrEnum):
    """The age of the last success, judged. UNKNOWN: no policy, or no success known."""

    PASSING = "PASSING"
    WARNING = "WARNING"
    FAILING = "FAILING"
    UNKNOWN = "UNKNOWN"


class FreshnessPolicySource(StrEnum):
    """Where the limits come from."""

    CONFIGURED = "CONFIGURED"
    PROVIDER_INTERVAL = "PROVIDER_INTERVAL"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessPolicy:
    """Until when the last success is recent enough. All None: nothing is expected."""

    expected_interval: timedelta | None = None
    warn_after: timedelta | None = None
    error_after: timedelta | None = None
    source: FreshnessPolicySource = FreshnessPolicySource.NONE


NO_POLICY = FreshnessPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """A sync's freshness at ``evaluated_at``.

    ``last_success_at``: None when there was none, which ``never_succeeded`` says, or when none is known.
    ``lag``: the time since then; never negative.
    """

    status: FreshnessStatus
    last_success_at: datetime | None
    never_succeeded: bool
    lag: timedelta | None
    expected_interval: timedelta | None
    warn_after: timedelta | None
    error_after: timedelta | None
    policy: FreshnessPolicySource
    evaluated_at: datetime


def configured_policy(warn_after: timedelta, error_after: timedelta | None = None) -> FreshnessPolicy:
    """An operator's policy: a success is expected every ``warn_after``; without ``error_after`` it is twice that."""
    return FreshnessPolicy(
        expected_interval=warn_after,
        warn_after=warn_after,
        error_after=warn_after * ERROR_AFTER / WARN_AFTER if error_after is None else error_after,
        source=FreshnessPolicySource.CONFIGURED,
    )


def freshness_policy(
    interval: timedelta | None, configured: FreshnessPolicy | None = None
) -> FreshnessPolicy:
    """``configured`` where there is one, else 1x and 2x the provider's ``interval``."""
    if configured is not None:
        return configured
    if interval is None or not timedelta() < interval <= LONGEST_INTERVAL:
        return NO_POLICY
    return FreshnessPolicy(
        expected_interval=interval,
        warn_after=WARN_AFTER * interval,
        error_after=ERROR_AFTER * interval,
        source=FreshnessPolicySource.PROVIDER_INTERVAL,
    )


def evaluate(
    policy: FreshnessPolicy, *, last_success_at: datetime | None, never_succeeded: bool = False, now: datetime
) -> Freshness:
    """Judge the age of ``last_success_at`` at ``now``; one that lies ahead, by a clock that goes wrong, has no age."""
    lag = None if last_success_at is None else max(now - last_success_at, timedelta())
    return Freshness(
        status=_status(lag, policy),
        last_success_at=last_success_at,
        never_succeeded=never_succeeded and last_success_at is None,
        lag=lag,
        expected_interval=policy.expected_interval,
        warn_after=policy.warn_after,
        error_after=policy.error_after,
        policy=policy.source,
        evaluated_at=now,
    )


def sync_freshness(
    sync: Sync,
    *,
    runs: Sequence[SyncRun] | None,
    coverage: Coverage,
    configured: FreshnessPolicy | None,
    now: datetime,
) -> Freshness:
    """A sync's freshness by what its provider says and by its ``runs``, newest first (None: not read).

    ``coverage``: of ``runs``; only when they are all there are does no success among them mean that there was none.
    """
    return evaluate(
        freshness_policy(sync.expected_interval, configured),
        last_success_at=last_success_at(sync, runs or ()),
        never_succeeded=has_never_succeeded(sync, runs, coverage),
        now=now,
    )


def last_success_at(sync: Sync, runs: Sequence[SyncRun]) -> datetime | None:
    """The end of the last success, by the provider's word or by ``runs``, whichever is later.

    A success whose end is not told counts from ``ordered_at``, which is before it.
    """
    ends = [run.finished_at or run.ordered_at for run in runs if run.status is RunStatus.SUCCEEDED]
    return max([*ends, *([sync.last_success_at] if sync.last_success_at else [])], default=None)


def has_never_succeeded(sync: Sync, runs: Sequence[SyncRun] | None, coverage: Coverage) -> bool:
    """Whether it is known that there was no success; False also when that is not known."""
    if last_success_at(sync, runs or ()) is not None:
        return False
    if sync.last_outcome is RunStatus.SUCCEEDED:
        return False
    return sync.state is SyncState.NEVER_RUN or (runs is not None and coverage is Coverage.FULL)


def _status(lag: timedelta | None, policy: FreshnessPolicy) -> FreshnessStatus:
    if lag is None or policy.warn_after is None or policy.error_after is None:
        return FreshnessStatus.UNKNOWN
    if lag > policy.error_after:
        return FreshnessStatus.FAILING
    return FreshnessStatus.WARNING if lag > policy.warn_after else FreshnessStatus.PASSING
