import math

import pytest

from syncgraph.upstream.ledger import PROBED_S, UNLIMITED, Ledger


def made(ledger: Ledger, count: int, at: float) -> None:
    for _ in range(count):
        ledger.begin()
        ledger.end(at, began=at, was_answered=True)


@pytest.mark.parametrize(
    ("configured", "replicas", "told", "capacity"),
    [
        (None, 1, None, None),
        (10, 1, None, 8),
        (10, 2, None, 4),
        (10, 40, None, 1),
        (None, 1, 100, 80),
        (50, 1, 100, 40),
        (100, 1, 50, 40),
        (100, 4, 50, 10),
        (None, 1, UNLIMITED, None),
        (10, 1, 9_999, 8),
        (10, 1, 0, 8),
        (None, 1, 0, None),
        (1, 1, None, 1),
    ],
)
def test_four_fifths_of_the_smallest_known_limit_are_used_divided_by_the_replicas(
    configured, replicas, told, capacity
):
    ledger = Ledger(configured=configured, replicas=replicas)
    ledger.told(told, None, 0)

    assert ledger.capacity == capacity


def test_a_limit_that_is_told_no_longer_is_none_any_more():
    ledger = Ledger()
    ledger.told(10, 5, 0)
    ledger.told(9_999, 9_999, 1)

    assert (ledger.capacity, ledger.remaining(1)) == (None, None)


def test_a_limiter_that_is_down_changes_nothing():
    ledger = Ledger()
    ledger.told(10, 10, 0)
    ledger.told(0, 9_999, 1)

    assert ledger.remaining(1) == 8


def test_a_call_counts_until_a_window_after_its_end():
    ledger = Ledger(configured=10)
    for _ in range(8):
        ledger.begin()
    assert (ledger.remaining(0), ledger.wait_s(0)) == (0, 60.0)
    for n in range(8):
        ledger.end(float(n), began=0.0, was_answered=True)

    assert ledger.remaining(59.9) == 0
    assert ledger.wait_s(59.9) == pytest.approx(0.1)
    assert (ledger.remaining(60), ledger.wait_s(60)) == (1, 0.0)
    assert ledger.wait_s(60, ahead=1) == 1.0
    assert ledger.remaining(66.5) == 7


def test_a_call_that_was_not_made_does_not_count():
    ledger = Ledger(configured=10)
    ledger.begin()
    ledger.give_back()

    assert ledger.remaining(0) == 8


def test_background_work_leaves_a_third_to_those_who_wait():
    ledger = Ledger(configured=10)
    made(ledger, 5, at=0)

    assert ledger.wait_s(0) == 0.0
    assert ledger.wait_s(0, is_background=True) == 60.0


def test_a_place_in_the_queue_is_waited_for_as_long_as_it_takes():
    ledger = Ledger(configured=10)
    for at in range(8):
        made(ledger, 1, at=at)

    assert [ledger.wait_s(7, ahead=ahead) for ahead in (0, 1, 7)] == [53, 54, 60]
    assert ledger.wait_s(7, ahead=8) == 60.0, "that cannot be told"
    assert ledger.wait_s(7, is_background=True) == 56, "four have to be forgotten first"


def test_what_others_use_is_not_used_again():
    ledger = Ledger(window_s=60)
    made(ledger, 1, at=0)
    ledger.told(10, 2, 0)

    assert ledger.remaining(0) == 0
    assert ledger.remaining(59.9) == 0
    assert ledger.remaining(60) == 8


def test_others_who_go_on_are_believed_to_go_on():
    ledger = Ledger(window_s=60)
    ledger.told(10, 7, 0)
    ledger.told(10, 7, 50)

    assert ledger.remaining(70) == 5


def test_fewer_calls_of_ours_than_we_know_of_are_not_believed():
    ledger = Ledger()
    made(ledger, 4, at=0)
    ledger.told(10, 10, 0)

    assert ledger.remaining(0) == 4


def test_nobody_begins_in_a_rest_and_then_one_alone_until_it_is_answered():
    ledger = Ledger()
    ledger.rest(65)
    assert (ledger.wait_s(5), ledger.remaining(5)) == (60.0, 0)
    assert ledger.wait_s(65) == 0.0
    ledger.begin()
    assert (ledger.wait_s(65), ledger.wait_s(65, ahead=1)) == (PROBED_S, PROBED_S)
    ledger.end(66, began=65, was_answered=False)
    assert (ledger.wait_s(66), ledger.wait_s(66, ahead=1)) == (0.0, PROBED_S)
    ledger.begin()
    ledger.end(67, began=66, was_answered=True)

    assert ledger.wait_s(67, ahead=100) == 0.0


def test_an_answer_to_a_call_from_before_the_rest_does_not_tell_that_it_is_over():
    ledger = Ledger()
    ledger.begin()
    ledger.rest(65)
    ledger.end(66, began=0, was_answered=True)

    assert ledger.wait_s(66, ahead=1) == PROBED_S


def test_what_others_used_is_over_with_the_rest_that_the_provider_asked_for():
    ledger = Ledger()
    ledger.told(100, 0, 0)
    ledger.rest(30)

    assert (ledger.wait_s(0), ledger.wait_s(30), ledger.remaining(30)) == (30, 0, 80)


def test_a_rest_does_not_hide_that_more_time_is_needed():
    ledger = Ledger(configured=10)
    made(ledger, 8, at=0)
    ledger.rest(5)

    assert ledger.wait_s(4) == 56


def test_a_rest_is_never_cut_short():
    ledger = Ledger()
    ledger.rest(65)
    ledger.rest(10)

    assert ledger.wait_s(20) == 45.0


def test_what_is_remembered_does_not_grow_though_no_limit_is_known():
    ledger = Ledger()
    for at in range(10_000):
        made(ledger, 1, at=float(at))

    assert len(ledger._ended) <= 60
    assert ledger.wait_s(math.inf) == 0.0
