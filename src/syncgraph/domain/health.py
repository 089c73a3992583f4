"""How a sync and a connector do: the worst of their reasons; ``docs/health.md`` states each rule."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import dropwhile, islice
from typing import NamedTuple

from syncgraph.domain.freshness import Freshness, FreshnessStatus
from syncgraph.domain.metrics import (
    OUTCOMES,
    WEIGHT,
    Anomaly,
    SyncMetrics,
    ended_at,
    failing_streak,
    last_ended,
    last_outcome,
    pending_retry,
    stuck_after,
)
from syncgraph.domain.metrics import HealthStatus as HealthStatus  # noqa: PLC0414 -- a re-export
from syncgraph.domain.model import Connector, ConnectorStatus, RunStatus, Sync, SyncRun, SyncState

STREAK = 2
"""Failures in a row that are a reason of their own."""

LONGEST_QUOTE = 200
"""Characters of an error within a reason; the whole of it is where it comes from."""


class HealthReasonCode(StrEnum):
    """Why something does as it does."""

    LAST_RUN_FAILED = "LAST_RUN_FAILED"
    RETRY_PENDING = "RETRY_PENDING"
    AUTO_DISABLED = "AUTO_DISABLED"
    LAST_RUN_PARTIAL = "LAST_RUN_PARTIAL"
    CONSECUTIVE_FAILURES = "CONSECUTIVE_FAILURES"
    STALE = "STALE"
    LATE = "LATE"
    STUCK_RUN = "STUCK_RUN"
    NEEDS_REAUTH = "NEEDS_REAUTH"
    CONNECTOR_ERROR = "CONNECTOR_ERROR"
    NOT_CONNECTED = "NOT_CONNECTED"
    PAUSED = "PAUSED"
    VOLUME_ANOMALY = "VOLUME_ANOMALY"
    DURATION_ANOMALY = "DURATION_ANOMALY"
    NEVER_SUCCEEDED = "NEVER_SUCCEEDED"
    NO_DATA = "NO_DATA"
    PROVIDER_UNREACHABLE = "PROVIDER_UNREACHABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReason:
    """One reason with what it weighs, and a sentence for people."""

    code: HealthReasonCode
    status: HealthStatus
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The worst of ``reasons``, HEALTHY when there is none.

    ``since``: the earliest instant from which ``status`` is known to hold; None when none is known.
    """

    status: HealthStatus
    reasons: tuple[HealthReason, ...]
    since: datetime | None


class _Finding(NamedTuple):
    """A reason, and since when it has held."""

    code: HealthReasonCode
    status: HealthStatus
    message: str
    since: datetime | None = None


_UNREACHABLE = _Finding(
    HealthReasonCode.PROVIDER_UNREACHABLE,
    HealthStatus.UNKNOWN,
    "Its provider cannot be reached, so how it does is not known.",
)
_LINK: Mapping[ConnectorStatus, tuple[HealthReasonCode, HealthStatus, str]] = {
    ConnectorStatus.NEEDS_REAUTH: (HealthReasonCode.NEEDS_REAUTH, HealthStatus.DEGRADED, "needs a new login"),
    ConnectorStatus.ERROR: (HealthReasonCode.CONNECTOR_ERROR, HealthStatus.DEGRADED, "is in error"),
    ConnectorStatus.NOT_CONNECTED: (HealthReasonCode.NOT_CONNECTED, HealthStatus.WARNING, "is not connected"),
    ConnectorStatus.AWAITING_SETUP: (HealthReasonCode.NOT_CONNECTED, HealthStatus.WARNING, "is not set up"),
}
_AT_REST = frozenset({ConnectorStatus.PAUSED, ConnectorStatus.DISABLED})
_LATE = {
    FreshnessStatus.WARNING: (HealthReasonCode.LATE, HealthStatus.WARNING),
    FreshnessStatus.FAILING: (HealthReasonCode.STALE, HealthStatus.DEGRADED),
}
_HOW = {
    RunStatus.SUCCEEDED: "succeeded",
    RunStatus.PARTIAL: "finished without doing everything",
    RunStatus.FAILED: "failed",
}


def sync_health(
    sync: Sync,
    *,
    freshness: Freshness,
    connector: Connector | None,
    runs: Sequence[SyncRun] | None,
    metrics: SyncMetrics | None,
    provider_reachable: bool,
    now: datetime,
) -> Health:
    """The worst of what is found.

    ``runs``: newest first; None when they were not read or are not published. ``connector``, ``metrics``: None when
    not known. A provider that cannot be reached is the only reason then: what was found before may hold no longer. A
    sync at rest keeps all its reasons, and none weighs anything.
    """
    if not provider_reachable:
        return _health([_UNREACHABLE], now)
    findings = [
        *_disabled(sync),
        *_link(connector),
        *_outcomes(sync, runs or (), metrics),
        *_stuck(runs or (), metrics, now),
        *_age(freshness),
        *_anomalies(metrics),
    ]
    findings += _gaps(sync, runs or (), freshness)
    resting = _rest(sync, connector)
    if resting is not None:
        asleep = [found._replace(status=HealthStatus.HEALTHY) for found in findings]
        return _health([_paused(resting, last_outcome(sync, runs or ())), *asleep], now)
    return _health(findings, now, well_since=freshness.last_success_at)


def connector_health(healths: Sequence[Health], connector: Connector, *, provider_reachable: bool) -> Health:
    """The worst of its syncs' ``healths`` and of the link itself; equal reasons of several syncs are one."""
    if not provider_reachable:
        return Health(status=_UNREACHABLE.status, reasons=(_reason(_UNREACHABLE),), since=None)
    link = [_reason(found) for found in _connector_link(connector, has_syncs=bool(healths))]
    of_link = {(reason.code, reason.status) for reason in link}
    of_syncs = [reason for reason in _grouped(healths) if (reason.code, reason.status) not in of_link]
    status = _worst([*(health.status for health in healths), *(reason.status for reason in link)])
    since = _common_since(status, healths) if not link or status is HealthStatus.DEGRADED else None
    return Health(status=status, reasons=_worst_first([*link, *of_syncs]), since=since)


def _disabled(sync: Sync) -> Iterator[_Finding]:
    error = sync.last_error
    if sync.state is SyncState.DISABLED and error is not None:
        message = f"Its provider disabled it: {_quote(error.message)}"
        yield _Finding(HealthReasonCode.AUTO_DISABLED, HealthStatus.DEGRADED, message, error.occurred_at)


def _link(connector: Connector | None) -> Iterator[_Finding]:
    if connector is not None and connector.status in _LINK:
        code, status, what = _LINK[connector.status]
        yield _Finding(code, status, f"Its connector {what}: no data can come.")


def _outcomes(sync: Sync, runs: Sequence[SyncRun], metrics: SyncMetrics | None) -> Iterator[_Finding]:
    last, retry = last_ended(runs), pending_retry(runs)
    if retry is not None:
        yield _retry(retry)
    outcome = last_outcome(sync, runs)
    if outcome is RunStatus.FAILED:
        is_retried = retry is not None and last is not None and runs.index(retry) < runs.index(last)
        yield _failed(last, is_retried=is_retried)
    if outcome is RunStatus.PARTIAL:
        message = "Its last run finished without doing everything."
        since = ended_at(last) if last else None
        yield _Finding(HealthReasonCode.LAST_RUN_PARTIAL, HealthStatus.WARNING, message, since)
    yield from _streak(sync, runs, metrics)


def _retry(run: SyncRun) -> _Finding:
    attempt = "" if run.attempt is None else f" after attempt {run.attempt}"
    message = f"A failed run is tried again{attempt}, at {run.next_attempt_at:%Y-%m-%d %H:%M} UTC."
    return _Finding(HealthReasonCode.RETRY_PENDING, HealthStatus.WARNING, message, ended_at(run))


def _failed(last: SyncRun | None, *, is_retried: bool) -> _Finding:
    error = last.error if last else None
    message = f"Its last run failed: {_quote(error.message)}" if error else "Its last run failed."
    status = HealthStatus.WARNING if is_retried else HealthStatus.DEGRADED
    since = ended_at(last) if last else None
    return _Finding(HealthReasonCode.LAST_RUN_FAILED, status, message, since)


def _streak(sync: Sync, runs: Sequence[SyncRun], metrics: SyncMetrics | None) -> Iterator[_Finding]:
    failed = failing_streak(runs)
    count = len(failed)
    if not any(run.status in OUTCOMES and run.status is not RunStatus.FAILED for run in runs):
        # No run that was read ends the row: it may be longer.
        told = metrics.consecutive_failures if metrics and not runs else 0
        count = max(count, told, sync.consecutive_failures or 0)
    if count >= STREAK:
        message = f"Its last {count} runs failed."
        since = ended_at(failed[-1]) if failed else None
        yield _Finding(HealthReasonCode.CONSECUTIVE_FAILURES, HealthStatus.DEGRADED, message, since)


def _stuck(runs: Sequence[SyncRun], metrics: SyncMetrics | None, now: datetime) -> Iterator[_Finding]:
    """Where the start is not told, a run has been running since it was queued."""
    began = [run.started_at or run.ordered_at for run in runs if run.status is RunStatus.RUNNING]
    limit = stuck_after(runs, metrics.duration if metrics else None)
    running = now - min(began, default=now)
    if running > limit:
        message = f"A run has been running for {_span(running)}; beyond {_span(limit)} it counts as stuck."
        yield _Finding(HealthReasonCode.STUCK_RUN, HealthStatus.DEGRADED, message, min(began) + limit)


def _age(fresh: Freshness) -> Iterator[_Finding]:
    if fresh.status not in _LATE or fresh.lag is None:
        return
    code, status = _LATE[fresh.status]
    limit = fresh.error_after if code is HealthReasonCode.STALE else fresh.warn_after
    bound = limit or timedelta()
    message = f"The last success is {_span(fresh.lag)} old; more than {_span(bound)} is too old."
    yield _Finding(code, status, message, fresh.evaluated_at - fresh.lag + bound)


def _anomalies(metrics: SyncMetrics | None) -> Iterator[_Finding]:
    if metrics is not None:
        yield from _unusual(HealthReasonCode.VOLUME_ANOMALY, metrics.volume_anomaly, "records")
        yield from _unusual(HealthReasonCode.DURATION_ANOMALY, metrics.duration_anomaly, "seconds")


def _unusual(code: HealthReasonCode, found: Anomaly | None, unit: str) -> Iterator[_Finding]:
    if found is not None and found.status is HealthStatus.WARNING:
        usual = f"{found.expected_low:,.0f} to {found.expected_high:,.0f} are usual"
        message = f"The last success has {found.observed:,.0f} {unit}; {usual}."
        yield _Finding(code, HealthStatus.WARNING, message, ended_at(found.run))


def _gaps(sync: Sync, runs: Sequence[SyncRun], freshness: Freshness) -> Iterator[_Finding]:
    """What is missing to call it healthy."""
    outcome = last_outcome(sync, runs)
    if freshness.never_succeeded and (outcome is not None or _is_overdue(sync, freshness)):
        yield _Finding(HealthReasonCode.NEVER_SUCCEEDED, HealthStatus.WARNING, "It has never succeeded.")
    elif outcome is None and freshness.last_success_at is None:
        why = "It has not run yet." if sync.state is SyncState.NEVER_RUN else "No outcome of it is known."
        yield _Finding(HealthReasonCode.NO_DATA, HealthStatus.UNKNOWN, why)


def _is_overdue(sync: Sync, freshness: Freshness) -> bool:
    """Whether it has been there for longer than the first success may take."""
    if sync.created_at is None or freshness.error_after is None:
        return False
    return freshness.evaluated_at - sync.created_at > freshness.error_after


def _rest(sync: Sync, connector: Connector | None) -> str | None:
    """Why it is not meant to run now; None when it is, and when it was its provider that gave up."""
    if sync.state is SyncState.PAUSED:
        return "Paused"
    if sync.state is SyncState.DISABLED and sync.last_error is None:
        return "Disabled by hand"
    if connector is not None and connector.status in _AT_REST:
        return f"Its connector is {connector.status.lower()}"
    return None


def _paused(why: str, outcome: RunStatus | None) -> _Finding:
    how = f"its last run {_HOW[outcome]}" if outcome else "how its last run ended is not known"
    return _Finding(HealthReasonCode.PAUSED, HealthStatus.HEALTHY, f"{why}; {how}.")


def _connector_link(connector: Connector, *, has_syncs: bool) -> Iterator[_Finding]:
    """Without syncs, a link that was never made lacks nothing."""
    found = list(_link(connector))
    if found and (has_syncs or found[0].status is HealthStatus.DEGRADED):
        yield from found
    elif connector.status in _AT_REST:
        message = f"Its connector is {connector.status.lower()}."
        yield _Finding(HealthReasonCode.PAUSED, HealthStatus.HEALTHY, message)
    elif not has_syncs:
        yield _Finding(HealthReasonCode.NO_DATA, HealthStatus.UNKNOWN, "No sync of it is known.")


def _grouped(healths: Sequence[Health]) -> Iterator[HealthReason]:
    groups: dict[tuple[HealthReasonCode, HealthStatus], list[HealthReason]] = {}
    for health in healths:
        for reason in health.reasons:
            groups.setdefault((reason.code, reason.status), []).append(reason)
    for (code, status), reasons in groups.items():
        some = f"{len(reasons)} of {len(healths)} syncs, one of them: " if len(healths) > 1 else ""
        yield HealthReason(code=code, status=status, message=some + reasons[0].message)


def _common_since(status: HealthStatus, healths: Sequence[Health]) -> datetime | None:
    """DEGRADED holds since the first sync was; anything less only since no sync could have been worse."""
    if status is HealthStatus.DEGRADED:
        return min((one.since for one in healths if one.status is status and one.since), default=None)
    known = [one.since for one in healths if one.since]
    return max(known) if known and len(known) == len(healths) else None


def _health(findings: Sequence[_Finding], now: datetime, well_since: datetime | None = None) -> Health:
    status = _worst(found.status for found in findings)
    since = _since(status, findings) if findings else well_since
    reasons = _worst_first(_reason(found) for found in findings)
    return Health(status=status, reasons=reasons, since=since and min(since, now))


def _since(status: HealthStatus, findings: Sequence[_Finding]) -> datetime | None:
    """DEGRADED holds since the first such reason. Before the last of lesser ones, something worse may have held."""
    onsets = [found.since for found in findings if found.status is status]
    known = [onset for onset in onsets if onset]
    if status is HealthStatus.DEGRADED:
        return min(known, default=None)
    return max(known) if len(known) == len(onsets) else None


def _worst(statuses: Iterable[HealthStatus]) -> HealthStatus:
    return max(statuses, key=WEIGHT.__getitem__, default=HealthStatus.HEALTHY)


def _worst_first(reasons: Iterable[HealthReason]) -> tuple[HealthReason, ...]:
    return tuple(sorted(reasons, key=lambda reason: -WEIGHT[reason.status]))


def _reason(found: _Finding) -> HealthReason:
    return HealthReason(code=found.code, status=found.status, message=found.message)


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line[:LONGEST_QUOTE] + "…" * (len(line) > LONGEST_QUOTE)


def _span(spent: timedelta) -> str:
    """In the two largest units, rounded down: 1 d 3 h, 20 min, 0 s."""
    seconds = int(spent.total_seconds())
    sizes = {"d": seconds // 86_400, "h": seconds // 3600 % 24, "min": seconds // 60 % 60, "s": seconds % 60}
    told = dropwhile(lambda part: part.startswith("0 "), [f"{size} {unit}" for unit, size in sizes.items()])
    return " ".join(part for part in islice(told, 2) if not part.startswith("0 ")) or "0 s"
