"""Freshness: the worked cases of docs/health.md, and what holds for all of them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.test_health import HOUR, NOW, Row, a_run, a_sync, ago, cases, listed, quick, span

from syncgraph.domain.freshness import (
    NO_POLICY,
    FreshnessStatus,
    configured_policy,
    evaluate,
    freshness_policy,
    sync_freshness,
)
from syncgraph.domain.model import Coverage, RunStatus, SyncState

ORDER = [FreshnessStatus.PASSING, FreshnessStatus.WARNING, FreshnessStatus.FAILING]


@cases("freshness")
def test_a_worked_case(row: Row):
    warn_after = span(row["warn_after"])
    configured = None if warn_after is None else configured_policy(warn_after, span(row["error_after"]))

    fresh = evaluate(
        freshness_policy(span(row["interval"]), configured), last_success_at=ago(row["last success"]), now=NOW
    )

    assert fresh.status == row["status"]
    assert fresh.policy == row["policy"]
    assert fresh.lag == span(row["lag"])
    assert fresh.evaluated_at == NOW


def test_a_policy_shows_its_limits():
    by_interval, configured = freshness_policy(HOUR), configured_policy(2 * HOUR)

    assert (by_interval.expected_interval, by_interval.warn_after, by_interval.error_after) == (
        HOUR,
        HOUR,
        2 * HOUR,
    )
    assert (configured.expected_interval, configured.warn_after, configured.error_after) == (
        2 * HOUR,
        2 * HOUR,
        4 * HOUR,
    )


def of(sync, runs, coverage=Coverage.WINDOW, configured=None):
    return sync_freshness(sync, runs=runs, coverage=coverage, configured=configured, now=NOW)


def test_the_later_of_the_provider_s_word_and_the_runs_counts():
    runs = listed("FAILED, SUCCEEDED, SUCCEEDED")

    assert of(a_sync(last_success_at=NOW), runs).last_success_at == NOW
    assert of(a_sync(last_success_at=NOW - 9 * HOUR), runs).last_success_at == NOW - 2 * HOUR
    assert of(a_sync(), runs).last_success_at == NOW - 2 * HOUR
    assert of(a_sync(), None).last_success_at is None


def test_a_success_whose_end_is_not_told_counts_from_where_it_stands():
    run = a_run(0, RunStatus.SUCCEEDED, finished_at=None)

    assert of(a_sync(), [run]).last_success_at == run.ordered_at


def test_a_partial_or_skipped_run_is_no_success():
    assert of(a_sync(), listed("PARTIAL, SKIPPED")).last_success_at is None


@pytest.mark.parametrize(
    ("sync", "runs", "coverage", "never"),
    [
        (a_sync(state=SyncState.NEVER_RUN), None, Coverage.NONE, True),
        (a_sync(), listed("FAILED"), Coverage.FULL, True),
        (a_sync(), [], Coverage.FULL, True),
        (a_sync(), listed("FAILED"), Coverage.WINDOW, False),
        (a_sync(), None, Coverage.FULL, False),
        (a_sync(), listed("FAILED, SUCCEEDED"), Coverage.FULL, False),
        (a_sync(last_success_at=NOW), listed("FAILED"), Coverage.FULL, False),
        (a_sync(last_outcome=RunStatus.SUCCEEDED), [], Coverage.FULL, False),
    ],
)
def test_never_is_not_the_same_as_not_known(sync, runs, coverage, never):
    fresh = of(sync, runs, coverage)

    assert fresh.never_succeeded is never
    assert fresh.status is FreshnessStatus.UNKNOWN


@pytest.mark.parametrize("state", SyncState)
def test_it_is_computed_whatever_the_sync_does_now(state):
    sync = a_sync(state=state, last_success_at=NOW - 3 * HOUR, expected_interval=HOUR)

    assert of(sync, None).status is FreshnessStatus.FAILING


def test_never_beside_a_success_is_not_believed():
    assert not evaluate(NO_POLICY, last_success_at=NOW, never_succeeded=True, now=NOW).never_succeeded


some_spans = st.timedeltas(timedelta(seconds=1), timedelta(days=400))


@quick
@given(some_spans, some_spans, some_spans)
def test_it_only_gets_worse_with_time(interval, lag, more):
    policy = freshness_policy(interval)
    at = [
        evaluate(policy, last_success_at=NOW, now=NOW + later).status
        for later in (timedelta(), lag, lag + more)
    ]

    assert at[0] is FreshnessStatus.PASSING
    assert [ORDER.index(one) for one in at] == sorted(ORDER.index(one) for one in at)


@quick
@given(st.timedeltas(), st.timedeltas(timedelta(days=-900), timedelta(days=900)))
def test_no_interval_is_too_odd_and_no_lag_is_negative(interval, lag):
    fresh = evaluate(freshness_policy(interval), last_success_at=NOW - lag, now=NOW)

    assert fresh.lag == max(lag, timedelta())
    assert (fresh.status is FreshnessStatus.UNKNOWN) == (fresh.error_after is None)
