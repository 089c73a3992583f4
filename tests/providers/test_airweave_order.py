from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from syncgraph.providers.airweave.order import TICK, instants, settled

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
times = st.one_of(st.none(), st.integers(-12, 0).map(lambda minutes: NOW + minutes * MINUTE))
rows = st.lists(times, max_size=14)


def ago(minutes: int) -> datetime:
    return NOW - minutes * MINUTE


def test_a_job_that_began_or_ended_is_ordered_by_that():
    assert instants([ago(1), ago(2), ago(5)], NOW) == [ago(1), ago(2), ago(5)]


def test_a_job_that_still_waits_is_just_after_the_next_older_one():
    assert instants([None, ago(2)], NOW) == [ago(2) + TICK, ago(2)]


def test_jobs_that_wait_behind_each_other_keep_their_order():
    assert instants([None, None, ago(2)], NOW) == [ago(2) + 2 * TICK, ago(2) + TICK, ago(2)]


def test_a_job_that_waits_with_nothing_older_has_the_instant_it_was_read():
    assert instants([None], NOW) == [NOW]
    assert instants([None, None], NOW) == [NOW, NOW]


def test_an_oldest_job_without_a_time_is_as_old_as_the_one_before_it():
    assert instants([ago(1), None], NOW) == [ago(1), ago(1)]


def test_a_job_made_earlier_and_started_later_is_held_to_its_newer_neighbour():
    assert instants([ago(5), ago(3), ago(9)], NOW) == [ago(5), ago(5), ago(9)]


def test_the_odd_order_of_0_9_17_is_kept_and_never_increases():
    began = [ago(50), ago(40), ago(30), ago(60), None]

    assert instants(began, NOW) == [ago(50), ago(50), ago(50), ago(60), ago(60)]


@given(rows)
def test_instants_never_increase(own):
    placed = instants(own, NOW)

    assert len(placed) == len(own)
    assert placed == sorted(placed, reverse=True)


@given(rows)
def test_a_time_of_its_own_is_only_ever_lowered_to_a_newer_rows_instant(own):
    for n, (time, at) in enumerate(zip(own, instants(own, NOW), strict=True)):
        assert time is None or at == time or (at < time and at == instants(own, NOW)[n - 1])


@given(st.lists(st.integers(0, 60), max_size=14))
def test_a_list_that_is_in_order_keeps_its_times(minutes):
    own = [ago(n) for n in sorted(minutes)]

    assert instants(own, NOW) == own


@given(rows, rows)
def test_older_rows_that_a_longer_list_brings_change_nothing_that_is_settled(shown, older):
    known = settled(shown)

    assert instants(shown + older, NOW)[:known] == instants(shown, NOW)[:known]


@given(rows)
def test_what_is_not_settled_are_the_oldest_rows_without_a_time(own):
    known = settled(own)

    assert own[known:] == [None] * (len(own) - known)
    assert known == 0 or own[known - 1] is not None
