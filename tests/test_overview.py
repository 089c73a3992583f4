"""The overview: put together out of what health, freshness and metrics say."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.test_health import HOUR, NOW, a_health, a_run, a_sync, quick, some_runs

from syncgraph.domain.freshness import FreshnessStatus, evaluate, freshness_policy
from syncgraph.domain.health import HealthStatus
from syncgraph.domain.metrics import error_groups, in_window
from syncgraph.domain.model import CountRelation, RunStatus, SyncError, SyncKey
from syncgraph.domain.overview import Seen, SyncStanding, lag_over_expected, needs_attention, overview

ALL = Seen(CountRelation.EQ, CountRelation.EQ)


def standing(
    id: str, health: str, *, lag: float | None = None, name: str | None = None, provider: str = "den"
):
    """``lag``: in expected intervals."""
    return SyncStanding(
        sync=a_sync(key=SyncKey(provider, id), name=name),
        health=a_health(health),
        freshness=evaluate(
            freshness_policy(HOUR), last_success_at=None if lag is None else NOW - lag * HOUR, now=NOW
        ),
    )


def ids(standings) -> list[str]:
    return [one.sync.key.id for one in standings]


def test_the_worst_is_first():
    rows = [
        standing("well", "HEALTHY", lag=9),
        standing("unknown", "UNKNOWN"),
        standing("late", "WARNING", lag=90),
        standing("old", "DEGRADED", lag=3),
        standing("no age", "DEGRADED"),
        standing("older", "DEGRADED", lag=4),
    ]

    assert ids(needs_attention(rows)) == ["older", "old", "no age", "late"]


def test_equal_ones_are_in_the_order_of_their_names_and_then_their_keys():
    rows = [
        standing("c", "WARNING", name="b"),
        standing("a", "WARNING", name="b", provider="timbal"),
        standing("b", "WARNING", name="b"),
        standing("aa", "WARNING"),
        standing("z", "WARNING", name="a"),
    ]

    assert ids(needs_attention(rows)) == ["z", "aa", "b", "c", "a"]


def test_a_lag_without_an_interval_has_no_measure():
    fresh = standing("a", "HEALTHY", lag=3).freshness

    assert lag_over_expected(fresh) == 3
    assert lag_over_expected(replace(fresh, expected_interval=None)) is None
    assert lag_over_expected(replace(fresh, lag=None)) is None


def test_it_counts_and_says_how_exactly():
    rows = [standing("a", "HEALTHY", lag=0.5), standing("b", "DEGRADED", lag=3), standing("c", "DEGRADED")]
    runs = [a_run(0, RunStatus.RUNNING), a_run(1, RunStatus.FAILED, error=SyncError(message="refused"))]

    found = overview(rows, runs, window_days=1, seen=Seen(CountRelation.EQ, CountRelation.GTE), now=NOW)

    assert found.evaluated_at == NOW
    assert {one.status: one.count.value for one in found.health} == {
        HealthStatus.HEALTHY: 1,
        HealthStatus.WARNING: 0,
        HealthStatus.DEGRADED: 2,
        HealthStatus.UNKNOWN: 0,
    }
    assert {one.status: one.count.value for one in found.freshness} == {
        FreshnessStatus.PASSING: 1,
        FreshnessStatus.WARNING: 0,
        FreshnessStatus.FAILING: 1,
        FreshnessStatus.UNKNOWN: 1,
    }
    assert {one.status for one in found.runs if one.count.value} == {RunStatus.RUNNING, RunStatus.FAILED}
    assert {one.count.relation for one in found.health} == {CountRelation.EQ}
    assert {one.count.relation for one in found.runs} == {CountRelation.GTE}
    assert [group.sample.message for group in found.error_groups] == ["refused"]


def test_a_run_from_before_the_window_is_shown_while_it_is_running():
    old = NOW - timedelta(days=3)
    runs = [
        a_run(0, RunStatus.QUEUED),
        a_run(1, RunStatus.RUNNING, ordered_at=old),
        a_run(2, RunStatus.CANCELLING, ordered_at=old),
        a_run(3, RunStatus.FAILED, ordered_at=old),
    ]

    found = overview([], runs, window_days=1, seen=ALL, now=NOW)

    assert list(found.running) == runs[1:3]
    assert sum(one.count.value for one in found.runs) == 1


some_standings = st.lists(
    st.builds(
        standing,
        st.text("ab", max_size=3),
        st.sampled_from(HealthStatus),
        lag=st.none() | st.integers(0, 3),
        name=st.none() | st.sampled_from(["a", "b"]),
        provider=st.sampled_from(["den", "timbal"]),
    ),
    max_size=12,
    unique_by=lambda one: one.sync.key,
)


@quick
@given(some_standings, st.randoms())
def test_the_order_does_not_depend_on_what_was_read_first(rows, random):
    found = needs_attention(rows)

    assert needs_attention(random.sample(rows, len(rows))) == found
    assert needs_attention(found) == found
    weights = [one.health.status is HealthStatus.DEGRADED for one in found]
    assert weights == sorted(weights, reverse=True)


@quick
@given(some_standings, some_runs(), st.integers(1, 30))
def test_every_sync_and_every_run_of_the_window_is_counted_once(rows, runs, days):
    found = overview(rows, runs, window_days=days, seen=ALL, now=NOW)
    recent = in_window(runs, window_days=days, now=NOW)

    assert sum(one.count.value for one in found.health) == len(rows)
    assert sum(one.count.value for one in found.freshness) == len(rows)
    assert sum(one.count.value for one in found.runs) == len(recent)
    assert found.error_groups == error_groups(recent)
