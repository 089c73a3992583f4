from syncgraph.upstream.budget import MOST, RetryBudget


def spent(budget: RetryBudget, at: float) -> int:
    return sum(budget.spend(at) for _ in range(1000))


def test_it_begins_with_ten_retries_and_gains_one_every_ten_seconds():
    budget = RetryBudget()

    assert spent(budget, 0) == MOST
    assert spent(budget, 9.9) == 0
    assert spent(budget, 10) == 1
    assert spent(budget, 60) == 5


def test_ten_successes_earn_one_retry():
    budget = RetryBudget()
    spent(budget, 0)
    for _ in range(19):
        budget.succeeded()
    assert spent(budget, 0) == 1
    budget.succeeded()
    budget.succeeded()

    assert spent(budget, 0) == 1


def test_a_quiet_day_or_a_good_one_saves_up_no_more_than_ten():
    budget = RetryBudget()
    budget.spend(0)
    for _ in range(10_000):
        budget.succeeded()

    assert spent(budget, 86_400) == MOST
