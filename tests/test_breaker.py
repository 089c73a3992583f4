import pytest

from syncgraph.domain.provider_health import CircuitState
from syncgraph.upstream.breaker import IN_A_ROW, LEAST, WINDOW_S, Breaker, Outcome

WELL, BADLY, ANSWERED, CANCELLED = Outcome.WELL, Outcome.BADLY, Outcome.ANSWERED, Outcome.CANCELLED


def call(breaker: Breaker, outcome: Outcome, at: float) -> None:
    permit = breaker.admit(at)
    assert permit is not None
    breaker.settle(permit, outcome, at)


def opened(at: float = 0.0, *, chance: float = 0.0) -> Breaker:
    breaker = Breaker(chance=lambda: chance)
    for _ in range(IN_A_ROW):
        call(breaker, BADLY, at)
    return breaker


def test_it_opens_after_five_failures_in_a_row_and_not_after_four():
    breaker = Breaker()
    for _ in range(IN_A_ROW - 1):
        call(breaker, BADLY, 0)
    assert breaker.state(0) is CircuitState.CLOSED
    call(breaker, BADLY, 0)

    assert breaker.state(0) is CircuitState.OPEN
    assert (breaker.admit(0), breaker.is_shut(0)) == (None, True)


@pytest.mark.parametrize("between", [ANSWERED, CANCELLED])
def test_refusals_and_cancelled_calls_are_neither_failures_nor_do_they_end_a_row_of_them(between):
    breaker = Breaker()
    for _ in range(IN_A_ROW - 1):
        call(breaker, BADLY, 0)
        for _ in range(100):
            call(breaker, between, 0)
    assert breaker.state(0) is CircuitState.CLOSED
    call(breaker, BADLY, 0)

    assert breaker.state(0) is CircuitState.OPEN


@pytest.mark.parametrize(("calls", "state"), [(LEAST - 1, CircuitState.CLOSED), (LEAST, CircuitState.OPEN)])
def test_it_opens_when_half_of_at_least_ten_failed(calls, state):
    breaker = Breaker()
    for n in range(calls):
        call(breaker, BADLY if n % 2 else WELL, n)

    assert breaker.state(calls) is state


def test_what_is_older_than_the_window_does_not_count():
    breaker = Breaker()
    for n in range(LEAST - 1):
        call(breaker, WELL if n % 2 else BADLY, 0)
    call(breaker, BADLY, WINDOW_S)

    assert breaker.state(WINDOW_S) is CircuitState.CLOSED


def test_it_stays_open_for_5_5_10_20_40_and_then_no_longer_than_60_seconds():
    waits: dict[float, list[float]] = {}
    for chance in (0.0, 1.0):
        breaker, at, waits[chance] = opened(chance=chance), 0.0, []
        for _ in range(8):
            waits[chance].append(round(breaker.wait_s(at), 1))
            at += breaker.wait_s(at)
            call(breaker, BADLY, at)

    assert waits == {
        0.0: [5, 5, 10, 20, 40, 54.5, 54.5, 54.5],
        1.0: [5.5, 5.5, 11, 22, 44, 60, 60, 60],
    }


def test_one_call_at_a_time_asks_whether_it_is_over():
    breaker = opened()
    assert breaker.admit(4.99) is None
    probe = breaker.admit(5)
    assert probe is not None
    assert (breaker.state(5), breaker.admit(5), breaker.wait_s(5)) == (CircuitState.HALF_OPEN, None, 0.0)
    breaker.settle(probe, CANCELLED, 6)
    second = breaker.admit(6)

    assert second is not None
    assert breaker.admit(6) is None


@pytest.mark.parametrize("answer", [WELL, ANSWERED])
def test_an_answer_closes_it_and_the_past_is_forgotten(answer):
    breaker = opened()
    call(breaker, BADLY, 5)
    call(breaker, BADLY, 10)
    call(breaker, answer, 20)
    assert breaker.state(20) is CircuitState.CLOSED
    for _ in range(IN_A_ROW - 1):
        call(breaker, BADLY, 20)
    assert breaker.state(20) is CircuitState.CLOSED
    call(breaker, BADLY, 20)

    assert breaker.wait_s(20) == 5.0


def test_calls_that_were_admitted_before_it_opened_are_old_news():
    breaker = Breaker(chance=lambda: 0.0)
    old = [breaker.admit(0) for _ in range(20)]
    for permit in old[:IN_A_ROW]:
        assert permit is not None
        breaker.settle(permit, BADLY, 1)
    probe = breaker.admit(6)
    for permit, outcome in zip(old[IN_A_ROW:], [WELL, BADLY] * 8, strict=False):
        assert permit is not None
        breaker.settle(permit, outcome, 6)

    assert probe is not None
    assert (breaker.state(6), breaker.admit(6)) == (CircuitState.HALF_OPEN, None)
