from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway import NOW

from syncgraph.domain.instant import utc, utc_or_none
from syncgraph.domain.model import (
    ACTIVE,
    Count,
    CountRelation,
    Coverage,
    RunKey,
    RunStatus,
    StatsSource,
    SyncRun,
    SyncStats,
    duration,
    processed,
    queued_for,
)

fixed = settings(max_examples=60, deadline=None, derandomize=True)
MINUTE = timedelta(minutes=1)
moments = st.none() | st.integers(-60, 60).map(lambda minutes: NOW + minutes * MINUTE)
spans = st.none() | st.integers(0, 90).map(lambda minutes: minutes * MINUTE)
counts = st.none() | st.integers(0, 10**12)


def run(status: RunStatus = RunStatus.SUCCEEDED, **known) -> SyncRun:
    return SyncRun(
        key=RunKey("den", "cse_1"),
        connector=None,
        sync=None,
        status=status,
        raw_status=str(status),
        ordered_at=NOW,
        **known,
    )


runs = st.builds(
    run,
    st.sampled_from(RunStatus),
    created_at=moments,
    started_at=moments,
    finished_at=moments,
    duration=spans,
)


@fixed
@given(runs)
def test_a_running_run_lasts_until_now_and_any_other_from_start_to_finish(its):
    shown = duration(its, NOW)

    if its.status is RunStatus.RUNNING and its.started_at is not None:
        assert shown == max(NOW - its.started_at, timedelta())
    elif its.duration is not None:
        assert shown == its.duration
    elif its.started_at is not None and its.finished_at is not None and its.started_at <= its.finished_at:
        assert shown == its.finished_at - its.started_at


@settings(fixed, max_examples=300)
@given(runs)
def test_no_time_that_passed_is_negative(its):
    assert not [
        span for span in (duration(its, NOW), queued_for(its)) if span is not None and span < timedelta()
    ]


def test_a_run_that_ended_before_it_began_has_no_duration():
    assert duration(run(started_at=NOW, finished_at=NOW - MINUTE), NOW) is None


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.RUNNING])
def test_only_a_running_run_grows_older(status):
    its = run(status, started_at=NOW - MINUTE)

    assert duration(its, NOW) is None


def test_a_running_run_does_not_take_the_providers_figure():
    assert duration(run(RunStatus.RUNNING, started_at=NOW - MINUTE, duration=3 * MINUTE), NOW) == MINUTE
    assert duration(run(RunStatus.RUNNING, duration=3 * MINUTE), NOW) == 3 * MINUTE


def test_a_run_that_starts_ahead_of_our_clock_has_just_begun():
    assert duration(run(RunStatus.RUNNING, started_at=NOW + MINUTE), NOW) == timedelta()


def test_the_providers_own_figure_goes_before_ours():
    its = run(started_at=NOW - 9 * MINUTE, finished_at=NOW, duration=3 * MINUTE)

    assert duration(its, NOW) == 3 * MINUTE


@pytest.mark.parametrize(
    "known", [{}, {"started_at": NOW}, {"finished_at": NOW}, {"created_at": NOW, "finished_at": NOW}]
)
def test_a_duration_needs_both_ends(known):
    assert duration(run(**known), NOW) is None


@pytest.mark.parametrize(
    ("created", "started", "expected"),
    [
        (None, None, None),
        (NOW, None, None),
        (None, NOW, None),
        (NOW, NOW, timedelta()),
        (NOW - 2 * MINUTE, NOW, 2 * MINUTE),
        (NOW, NOW - timedelta(microseconds=1), None),
    ],
)
def test_a_run_was_queued_from_creation_to_start(created, started, expected):
    assert queued_for(run(created_at=created, started_at=started)) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, None),
        ({"inserted": None, "updated": None}, None),
        ({"inserted": 0}, Count(value=0)),
        ({"inserted": 2, "updated": 3}, Count(value=5)),
        ({"inserted": 2, "updated": None}, Count(value=2, relation=CountRelation.GTE)),
        ({"inserted": 0, "updated": None}, Count(value=0, relation=CountRelation.GTE)),
    ],
)
def test_processed_counts_what_is_known_and_says_when_some_is_not(known, expected):
    assert processed(known) == expected


@fixed
@given(st.dictionaries(st.text(max_size=3), counts, max_size=6))
def test_processed_is_the_sum_of_what_is_known(known):
    total = processed(known)
    numbers = [count for count in known.values() if count is not None]

    assert (total is None) is (not numbers)
    if total is not None:
        assert total.value == sum(numbers)
        assert (total.relation is CountRelation.EQ) is (None not in known.values())


def stats(succeeded: int | None, failed: int | None) -> SyncStats:
    return SyncStats(
        source=StatsSource.OBSERVED, coverage=Coverage.FULL, runs_succeeded=succeeded, runs_failed=failed
    )


@pytest.mark.parametrize(
    ("succeeded", "failed", "rate"),
    [
        (None, None, None),
        (1, None, None),
        (None, 1, None),
        (0, 0, None),
        (3, 1, 0.75),
        (0, 4, 0.0),
        (4, 0, 1.0),
    ],
)
def test_a_success_rate_needs_runs_that_ended(succeeded, failed, rate):
    assert stats(succeeded, failed).success_rate == rate


@fixed
@given(counts, counts)
def test_a_success_rate_is_a_share(succeeded, failed):
    rate = stats(succeeded, failed).success_rate

    assert rate is None or 0 <= rate <= 1


def test_what_is_active_is_exactly_what_changes_by_itself():
    assert set(RunStatus) - ACTIVE == {
        RunStatus.SUCCEEDED,
        RunStatus.PARTIAL,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
        RunStatus.SKIPPED,
        RunStatus.UNKNOWN,
    }


@pytest.mark.parametrize(
    "written",
    ["2026-11-22T09:41:07", "2026-11-22T09:41:07Z", "2026-11-22T11:41:07+02:00", "2026-11-21T23:41:07-10:00"],
)
def test_an_instant_is_in_utc_whatever_zone_it_was_written_in(written):
    instant = utc(datetime.fromisoformat(written))

    assert (instant, instant.tzinfo) == (NOW, UTC)
    assert utc_or_none(instant) == NOW


def test_no_instant_stays_none():
    assert utc_or_none(None) is None
