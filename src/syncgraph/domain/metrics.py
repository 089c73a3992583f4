"""What a list of runs says in numbers: rates, percentiles, what is unusual, which errors repeat.

Runs are newest first everywhere. ``docs/health.md`` states each rule.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from statistics import fmean, median

from syncgraph.domain.failure import fingerprint
from syncgraph.domain.model import Coverage, RunStatus, Sync, SyncError, SyncKey, SyncRun, duration
from syncgraph.errors import InvalidRequestError

MAX_WINDOW_DAYS = 30
MIN_RUNS = 8
"""Measured successes in the window, the judged one among them, below which nothing is called unusual."""

TOLERANCE = 3.5
"""In standard deviations, as Iglewicz and Hoaglin propose for the modified z-score."""

FROM_MAD, FROM_MEAN_AD = 1.4826, 1.2533
"""What makes a standard deviation out of the median and of the mean absolute deviation, for a normal distribution."""

LEAST_TOLERANCE = 0.25
"""Of the median: what differs by less is usual however even the other runs were."""

STUCK_FACTOR, STUCK_AT_LEAST = 3, timedelta(hours=1)
"""A run is stuck beyond so many times the 95th percentile of the ended ones, and never before the latter."""

LONGEST_S = timedelta(days=36_500).total_seconds()
"""More is no length of a run, and counts as this much."""

OUTCOMES = frozenset({RunStatus.SUCCEEDED, RunStatus.PARTIAL, RunStatus.FAILED})
"""Ends of a run that say how its sync does; SKIPPED and CANCELLED say nothing of it."""


class HealthStatus(StrEnum):
    """How something does. By weight: HEALTHY, UNKNOWN, WARNING, DEGRADED."""

    HEALTHY = "HEALTHY"
    WARNING = "WARNING"
    DEGRADED = "DEGRADED"
    UNKNOWN = "UNKNOWN"


WEIGHT: Mapping[HealthStatus, int] = {
    HealthStatus.HEALTHY: 0,
    HealthStatus.UNKNOWN: 1,
    HealthStatus.WARNING: 2,
    HealthStatus.DEGRADED: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of ``count`` values, at least one; interpolated linearly between the two nearest (R's type 7, numpy's default)."""

    p50: float
    p95: float
    p99: float
    max: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """The newest success against the others: WARNING when ``observed`` is outside of what they let expect."""

    status: HealthStatus
    observed: float
    expected_low: float
    expected_high: float
    run: SyncRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Runs whose errors differ only in ids, numbers, times and quoted text.

    ``sample``: the newest. ``syncs``: without repetition, newest first; a run that is tied to none only counts.
    """

    fingerprint: str
    sample: SyncError
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    syncs: tuple[SyncKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncMetrics:
    """Over the runs of a window.

    ``coverage``: FULL when every run of the window was counted.
    ``duration``: in seconds. ``records_per_run``: as far as the provider counts them. None: no run tells it.
    """

    window_days: int
    coverage: Coverage
    runs: int
    success_rate: float | None
    consecutive_failures: int
    duration: Percentiles | None
    records_per_run: Percentiles | None
    volume_anomaly: Anomaly | None
    duration_anomaly: Anomaly | None
    error_groups: tuple[ErrorGroup, ...]


Measure = Callable[[SyncRun], float | None]


def sync_metrics(
    runs: Sequence[SyncRun], *, window_days: int, coverage: Coverage, now: datetime
) -> SyncMetrics:
    """Metrics over those of ``runs`` that are in the window. ``coverage``: of ``runs``, as they were read."""
    recent = in_window(runs, window_days=window_days, now=now)
    reaches_beyond = len(recent) < len(runs)
    ended = [run for run in recent if run.status in OUTCOMES]
    succeeded = [run for run in ended if run.status is RunStatus.SUCCEEDED]
    return SyncMetrics(
        window_days=window_days,
        coverage=Coverage.FULL if reaches_beyond else coverage,
        runs=len(recent),
        success_rate=success_rate(recent),
        consecutive_failures=len(failing_streak(recent)),
        duration=percentiles(measured(ended, duration_seconds)),
        records_per_run=percentiles(measured(ended, record_count)),
        volume_anomaly=anomaly(succeeded, record_count),
        duration_anomaly=anomaly(succeeded, duration_seconds),
        error_groups=error_groups(recent),
    )


def in_window(runs: Sequence[SyncRun], *, window_days: int, now: datetime) -> list[SyncRun]:
    """Those whose ``ordered_at`` is at most ``window_days`` before ``now``."""
    if not 1 <= window_days <= MAX_WINDOW_DAYS:
        raise InvalidRequestError(f"windowDays is 1 to {MAX_WINDOW_DAYS}, not {window_days}.")
    start = now - timedelta(days=window_days)
    return [run for run in runs if run.ordered_at >= start]


def success_rate(runs: Iterable[SyncRun]) -> float | None:
    """Succeeded over succeeded plus failed; None when neither has happened."""
    counts = Counter(run.status for run in runs)
    ended = counts[RunStatus.SUCCEEDED] + counts[RunStatus.FAILED]
    return counts[RunStatus.SUCCEEDED] / ended if ended else None


def last_ended(runs: Iterable[SyncRun]) -> SyncRun | None:
    """The newest run with an outcome."""
    return next((run for run in runs if run.status in OUTCOMES), None)


def last_outcome(sync: Sync, runs: Iterable[SyncRun]) -> RunStatus | None:
    """How the last run ended, by the runs, else by the list; None when neither tells."""
    last = last_ended(runs)
    told = sync.last_outcome if last is None else last.status
    return told if told in OUTCOMES else None


def pending_retry(runs: Iterable[SyncRun]) -> SyncRun | None:
    """The newest run that failed and waits to be tried again by itself."""
    queued = (run for run in runs if run.status is RunStatus.QUEUED)
    return next((run for run in queued if run.next_attempt_at is not None), None)


def failing_streak(runs: Iterable[SyncRun]) -> list[SyncRun]:
    """The newest runs with an outcome, as long as they failed. PARTIAL ends a streak: the work ran through."""
    ended = (run for run in runs if run.status in OUTCOMES)
    return list(takewhile(lambda run: run.status is RunStatus.FAILED, ended))


def status_counts(runs: Iterable[SyncRun]) -> Mapping[RunStatus, int]:
    """Every status with the number of its runs, zero too."""
    counts = Counter(run.status for run in runs)
    return {status: counts[status] for status in RunStatus}


def ended_at(run: SyncRun) -> datetime | None:
    """When a run ended, also where only its error tells."""
    return run.finished_at or (run.error.occurred_at if run.error else None)


def duration_seconds(run: SyncRun) -> float | None:
    """Of a run that has ended; None when it is not known."""
    spent = duration(run, run.ordered_at)
    return None if spent is None else spent.total_seconds()


def record_count(run: SyncRun) -> float | None:
    """The records that a run touched, as far as its provider counts them."""
    touched = run.records.processed if run.records else None
    return None if touched is None else float(touched.value)


def measured(runs: Iterable[SyncRun], measure: Measure) -> list[float]:
    """The values of those that have one."""
    return [value for value in map(measure, runs) if value is not None]


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """None of nothing."""
    ranked = sorted(values)
    if not ranked:
        return None
    return Percentiles(
        p50=_percentile(ranked, 50),
        p95=_percentile(ranked, 95),
        p99=_percentile(ranked, 99),
        max=ranked[-1],
        count=len(ranked),
    )


def stuck_after(runs: Iterable[SyncRun], usual: Percentiles | None) -> timedelta:
    """How long a run may run. ``usual``: durations in seconds where they are known, else those of ``runs`` count."""
    its = usual or percentiles(measured((run for run in runs if run.status in OUTCOMES), duration_seconds))
    return max(
        STUCK_AT_LEAST, timedelta(seconds=min(STUCK_FACTOR * its.p95, LONGEST_S)) if its else timedelta()
    )


def anomaly(succeeded: Sequence[SyncRun], measure: Measure) -> Anomaly | None:
    """The newest of ``succeeded`` against the others.

    None below ``MIN_RUNS`` measured runs, when the newest is not one of them, and when all others are zero: there is
    no scale then to judge by.
    """
    values = measured(succeeded, measure)
    observed = measure(succeeded[0]) if succeeded else None
    if observed is None or len(values) < MIN_RUNS:
        return None
    band = expected_band(values[1:])
    if band is None:
        return None
    low, high = band
    return Anomaly(
        status=HealthStatus.HEALTHY if low <= observed <= high else HealthStatus.WARNING,
        observed=observed,
        expected_low=low,
        expected_high=high,
        run=succeeded[0],
    )


def expected_band(values: Sequence[float]) -> tuple[float, float] | None:
    """Median plus and minus the tolerance, from zero up; None when all are zero.

    The median absolute deviation is zero as soon as most values are equal; the mean one stands in for it then.
    """
    middle = median(values)
    deviations = [abs(value - middle) for value in values]
    spread = FROM_MAD * median(deviations) or FROM_MEAN_AD * fmean(deviations)
    tolerance = max(TOLERANCE * spread, LEAST_TOLERANCE * middle)
    return (max(middle - tolerance, 0.0), middle + tolerance) if tolerance else None


def error_groups(runs: Iterable[SyncRun]) -> tuple[ErrorGroup, ...]:
    """The errors of ``runs`` by fingerprint: most frequent first, then last seen, then by fingerprint.

    Of runs that failed and of those that wait to be tried again; a failure without a text is in no group.
    """
    found: dict[str, list[tuple[datetime, SyncError, SyncKey | None]]] = {}
    for run in runs:
        if run.error is not None:
            seen = (ended_at(run) or run.ordered_at, run.error, run.sync)
            found.setdefault(fingerprint(run.error.message), []).append(seen)
    groups = [_group(print_, seen) for print_, seen in sorted(found.items())]
    return tuple(sorted(groups, key=lambda group: (group.count, group.last_seen_at), reverse=True))


def _group(print_: str, seen: list[tuple[datetime, SyncError, SyncKey | None]]) -> ErrorGroup:
    newest_first = sorted(seen, key=lambda one: one[0], reverse=True)
    return ErrorGroup(
        fingerprint=print_,
        sample=newest_first[0][1],
        count=len(seen),
        first_seen_at=newest_first[-1][0],
        last_seen_at=newest_first[0][0],
        syncs=tuple(dict.fromkeys(sync for _, _, sync in newest_first if sync is not None)),
    )


def _percentile(ranked: Sequence[float], percent: int) -> float:
    """In whole numbers as far as they go, so that it is exact where it falls on a value."""
    below, rest = divmod((len(ranked) - 1) * percent, 100)
    low = ranked[below]
    high = ranked[below + 1] if rest else low
    return min(low + (high - low) * (rest / 100), high)
