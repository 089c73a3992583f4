"""Metrics: the worked cases of docs/health.md, and what holds for all of them."""

import statistics
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.test_health import HOUR, NOW, Row, a_run, a_sync, cases, listed, quick, some_runs

from syncgraph.domain.failure import fingerprint
from syncgraph.domain.metrics import (
    MIN_RUNS,
    Anomaly,
    HealthStatus,
    anomaly,
    duration_seconds,
    ended_at,
    error_groups,
    expected_band,
    failing_streak,
    in_window,
    last_outcome,
    percentiles,
    record_count,
    status_counts,
    stuck_after,
    success_rate,
    sync_metrics,
)
from syncgraph.domain.model import Count, Coverage, RecordCounts, RunStatus, SyncError, SyncKey, SyncRun
from syncgraph.errors import InvalidRequestError

some_values = st.floats(0, 1e12)


def number(text: str | None) -> float | None:
    return None if text is None else float(text)


def numbers(text: str | None) -> list[float]:
    return [float(one) for one in (text or "").split(", ")]


def successes(values) -> list[SyncRun]:
    return [
        a_run(n, RunStatus.SUCCEEDED, records=RecordCounts(processed=Count(value=int(value))))
        for n, value in enumerate(values)
    ]


@cases("outcomes")
def test_a_worked_case_of_outcomes(row: Row):
    runs = listed(row["runs"] or "")

    assert success_rate(runs) == number(row["success rate"])
    assert len(failing_streak(runs)) == number(row["consecutive failures"])


@cases("percentiles")
def test_a_worked_case_of_percentiles(row: Row):
    found = percentiles(numbers(row["values"]))

    assert found is not None
    assert (found.p50, found.p95, found.p99, found.max) == pytest.approx(
        [number(row[name]) for name in ("p50", "p95", "p99", "max")], rel=1e-12
    )


@cases("anomalies")
def test_a_worked_case_of_anomalies(row: Row):
    found = anomaly(successes(numbers(row["values"])), record_count)

    assert (found and found.status) == row["status"]
    if found is not None:
        assert found.expected_low == pytest.approx(number(row["low"]))
        assert found.expected_high == pytest.approx(number(row["high"]))


def test_a_window_ends_at_its_first_instant():
    ages = [timedelta(), timedelta(days=1), timedelta(days=1, microseconds=1)]
    runs = [a_run(n, RunStatus.SUCCEEDED, ordered_at=NOW - age) for n, age in enumerate(ages)]

    assert in_window(runs, window_days=1, now=NOW) == runs[:2]


@pytest.mark.parametrize("days", [0, 31, -1])
def test_a_window_is_1_to_30_days(days):
    with pytest.raises(InvalidRequestError, match="1 to 30"):
        in_window([], window_days=days, now=NOW)


def test_metrics_are_whole_once_they_reach_beyond_the_window():
    runs = [a_run(n, RunStatus.SUCCEEDED) for n in range(30)]

    within = sync_metrics(runs, window_days=2, coverage=Coverage.WINDOW, now=NOW)
    beyond = sync_metrics(runs, window_days=1, coverage=Coverage.WINDOW, now=NOW)

    assert (within.coverage, within.runs) == (Coverage.WINDOW, 30)
    assert (beyond.coverage, beyond.runs) == (Coverage.FULL, 23)


def test_metrics_put_it_all_together():
    odd, *usual = successes([500, *[100] * 8])
    failed = a_run(9, RunStatus.FAILED, timedelta(minutes=10), error=SyncError(message="refused"))

    found = sync_metrics([odd, *usual, failed], window_days=7, coverage=Coverage.FULL, now=NOW)

    assert (found.window_days, found.runs, found.consecutive_failures) == (7, 10, 0)
    assert found.success_rate == 0.9
    assert found.duration is not None
    assert (found.duration.p50, found.duration.max, found.duration.count) == (60, 600, 10)
    assert found.records_per_run is not None
    assert (found.records_per_run.p50, found.records_per_run.count) == (100, 9)
    assert found.volume_anomaly == Anomaly(
        status=HealthStatus.WARNING, observed=500, expected_low=75, expected_high=125, run=odd
    )
    assert found.duration_anomaly is not None
    assert found.duration_anomaly.status is HealthStatus.HEALTHY
    assert [group.count for group in found.error_groups] == [1]


def test_no_runs_have_no_numbers():
    found = sync_metrics([], window_days=7, coverage=Coverage.NONE, now=NOW)

    assert (found.runs, found.success_rate, found.duration, found.volume_anomaly) == (0, None, None, None)


def test_the_newest_success_without_a_number_is_not_judged():
    runs = [a_run(0, RunStatus.SUCCEEDED), *successes([100] * 9)]

    assert anomaly(runs, record_count) is None


def test_what_was_cut_short_and_what_went_back_in_time_is_no_duration():
    back = a_run(0, RunStatus.SUCCEEDED, timedelta(hours=-1))
    runs = [back, a_run(1, RunStatus.CANCELLED), a_run(2, RunStatus.SKIPPED), a_run(3, RunStatus.RUNNING)]

    assert duration_seconds(back) is None
    assert sync_metrics(runs, window_days=1, coverage=Coverage.FULL, now=NOW).duration is None


def test_an_error_tells_the_end_where_the_run_does_not():
    run = a_run(0, RunStatus.FAILED, finished_at=None)

    assert ended_at(run) is None
    assert ended_at(replace(run, error=SyncError(message="", occurred_at=NOW))) == NOW
    assert ended_at(replace(run, finished_at=NOW - HOUR, error=SyncError(message=""))) == NOW - HOUR


def test_a_word_that_is_no_outcome_tells_none():
    assert last_outcome(a_sync(last_outcome=RunStatus.CANCELLED), []) is None
    assert last_outcome(a_sync(last_outcome=RunStatus.FAILED), listed("SUCCEEDED")) is RunStatus.SUCCEEDED


def test_a_run_of_centuries_makes_no_limit_overflow():
    usual = percentiles([timedelta.max.total_seconds()])

    assert stuck_after([], usual) == timedelta(days=36_500)


def test_errors_group_across_syncs_and_providers():
    def failed(n: int, text: str | None, sync: SyncKey | None) -> SyncRun:
        error = None if text is None else SyncError(message=text)
        return a_run(n, RunStatus.FAILED, error=error, sync=sync)

    den, timbal = SyncKey("den", "a"), SyncKey("timbal", "b")
    runs = [
        failed(0, "no table 'orders' after 31 s", den),
        failed(1, "refused", den),
        failed(2, "no table 'users' after 7 s", timbal),
        failed(3, None, den),
        failed(4, "no table 'users' after 8 s", timbal),
        failed(5, "refused", None),
        failed(6, "denied", den),
    ]

    groups = error_groups(runs)

    assert [(group.count, group.sample.message) for group in groups] == [
        (3, "no table 'orders' after 31 s"),
        (2, "refused"),
        (1, "denied"),
    ]
    assert groups[0].syncs == (den, timbal)
    assert groups[1].syncs == (den,)
    assert (groups[0].first_seen_at, groups[0].last_seen_at) == (NOW - 5 * HOUR, NOW - HOUR)


def test_groups_of_one_size_and_instant_are_in_the_order_of_their_fingerprints():
    runs = [
        a_run(0, RunStatus.FAILED, error=SyncError(message=text)) for text in ("one", "two", "three", "four")
    ]

    prints = [group.fingerprint for group in error_groups(runs)]

    assert prints == sorted(map(fingerprint, ("one", "two", "three", "four")))
    assert error_groups(reversed(runs)) == error_groups(runs)


@quick
@given(some_runs())
def test_every_run_and_every_error_is_counted_once(runs):
    counts = status_counts(runs)

    assert list(counts) == list(RunStatus)
    assert sum(counts.values()) == len(runs)
    groups = error_groups(runs)
    assert sum(group.count for group in groups) == sum(run.error is not None for run in runs)
    assert len({group.fingerprint for group in groups}) == len(groups)
    assert all(group.first_seen_at <= group.last_seen_at for group in groups)
    assert [g.count for g in groups] == sorted((g.count for g in groups), reverse=True)


@quick
@given(st.lists(some_values, min_size=1), st.randoms())
def test_percentiles_rise_within_the_values_whatever_their_order(values, random):
    found = percentiles(values)
    shuffled = random.sample(values, len(values))

    assert found is not None
    assert min(values) <= found.p50 <= found.p95 <= found.p99 <= found.max == max(values)
    assert percentiles(shuffled) == found


@quick
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=60))
def test_percentiles_agree_with_the_standard_library(values):
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    found = percentiles(map(float, values))

    assert found is not None
    assert [found.p50, found.p95, found.p99] == pytest.approx([cuts[49], cuts[94], cuts[98]])


@quick
@given(st.lists(st.floats(1e-3, 1e9), min_size=MIN_RUNS - 1, max_size=30), st.integers(-20, 20))
def test_what_is_unusual_does_not_depend_on_the_unit(values, power):
    band = expected_band(values)
    scaled = expected_band([value * 2.0**power for value in values])

    assert band is not None
    assert scaled == (band[0] * 2.0**power, band[1] * 2.0**power)


@quick
@given(st.lists(some_values, min_size=MIN_RUNS - 1, max_size=30))
def test_the_median_is_always_expected(values):
    band = expected_band(values)

    assert (band is None) == (not any(values))
    if band is not None:
        assert 0 <= band[0] <= statistics.median(values) <= band[1]


@quick
@given(some_runs(), st.integers(1, 30))
def test_metrics_are_of_the_window_s_runs(runs, days):
    found = sync_metrics(runs, window_days=days, coverage=Coverage.WINDOW, now=NOW)
    alone = sync_metrics(
        in_window(runs, window_days=days, now=NOW), window_days=days, coverage=found.coverage, now=NOW
    )

    assert found == alone
    assert found.success_rate is None or 0 <= found.success_rate <= 1
    assert found.consecutive_failures <= found.runs <= len(runs)
