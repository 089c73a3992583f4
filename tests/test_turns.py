import asyncio

import pytest
from tests import virtual

from syncgraph.upstream.ledger import Ledger
from syncgraph.upstream.turns import Lane, NoTurn, Turns

SOON_S = 5e-10
"""Less than a clock can tell: in the same step of the loop, and in this order."""


async def left_at(at: float) -> Turns:
    """The queue, after somebody left it at ``at`` who was to be let in at 1 s."""
    turns = Turns(Ledger())
    turns.ledger.rest(1.0)

    async def wait() -> None:
        async with turns.turn(Lane.NOW, patience_s=10):
            raise AssertionError("it left")

    waiter = asyncio.create_task(wait())
    asyncio.get_running_loop().call_at(at, waiter.cancel)
    await asyncio.wait([waiter])
    assert waiter.cancelled()
    return turns


@pytest.mark.parametrize("at", [0.5, 1 - SOON_S, 1 + SOON_S])
def test_whoever_leaves_just_as_it_is_let_in_takes_nothing_along(at):
    turns = virtual.run(left_at(at))

    assert turns.ledger._under_way == 0
    assert turns.ledger.wait_s(2.0) == 0.0


def test_who_would_wait_longer_than_it_can_is_told_at_once_for_how_long():
    async def ask() -> tuple[float, float]:
        turns = Turns(Ledger())
        turns.ledger.rest(30.0)
        with pytest.raises(NoTurn) as none:
            async with turns.turn(Lane.NOW, patience_s=1):
                raise AssertionError("it is not its turn")
        return none.value.wait_s, asyncio.get_running_loop().time()

    assert virtual.run(ask()) == (30.0, 0.0)


def test_the_more_urgent_go_first_and_equals_in_the_order_in_which_they_came():
    async def order() -> str:
        turns, done = Turns(Ledger(configured=1)), []

        async def one(name: str, lane: Lane) -> None:
            async with turns.turn(lane, patience_s=1000) as turn:
                turn.began = asyncio.get_running_loop().time()
                turn.was_answered = True
                done.append(name)

        lanes = {"a": Lane.SOON, "b": Lane.SOON, "c": Lane.NOW, "d": Lane.SOON, "e": Lane.NOW}
        async with asyncio.TaskGroup() as group:
            for name, lane in lanes.items():
                group.create_task(one(name, lane))
                await asyncio.sleep(1)
        return "".join(done)

    assert virtual.run(order()) == "acebd"
