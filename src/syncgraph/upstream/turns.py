"""Who asks next: calls in the order in which they came, the more urgent before the others."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from syncgraph.upstream.ledger import Ledger

SOONEST_S = 0.01
"""Between two looks at the ledger, at the least."""


class Lane(IntEnum):
    """NOW: somebody waits and has nothing. SOON: somebody wants it newer than it is. BACKGROUND: nobody waits."""

    NOW = 0
    SOON = 1
    BACKGROUND = 2


class NoTurn(Exception):  # noqa: N818  # not a failure: its turn comes later than it can wait
    """``wait_s``: until it would have its turn, as far as can be told."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@dataclass(slots=True)
class Turn:
    """One call that may be made now. ``began``: to be set when it is; None at the end: it was not. ``was_answered``: likewise."""

    began: float | None = None
    was_answered: bool = False


def _lanes() -> dict[Lane, deque[asyncio.Future[None]]]:
    return {lane: deque() for lane in Lane}


@dataclass(slots=True)
class Turns:
    """The queue at one ledger."""

    ledger: Ledger
    _lanes: dict[Lane, deque[asyncio.Future[None]]] = field(default_factory=_lanes)
    _timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, lane: Lane, *, patience_s: float) -> AsyncIterator[Turn]:
        """The block is the call. Raises :class:`NoTurn` at once when it would wait longer than ``patience_s``."""
        await self._begin(lane, patience_s)
        turn = Turn()
        try:
            yield turn
        finally:
            if turn.began is None:
                self.ledger.give_back()
            else:
                self.ledger.end(_now(), began=turn.began, was_answered=turn.was_answered)
            self._next()

    async def _begin(self, lane: Lane, patience_s: float) -> None:
        ahead = sum(len(self._lanes[before]) for before in Lane if before <= lane)
        wait_s = self._wait_s(lane, ahead)
        if wait_s > patience_s:
            raise NoTurn(wait_s)
        if not wait_s and not ahead:
            self.ledger.begin()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lanes[lane].append(place)
        self._next()
        try:
            await place
        except asyncio.CancelledError:
            self._leave(lane, place)
            raise

    def _leave(self, lane: Lane, place: asyncio.Future[None]) -> None:
        if place in self._lanes[lane]:
            self._lanes[lane].remove(place)
        elif not place.cancelled():
            self.ledger.give_back()  # it was let in as it left
        self._next()

    def _next(self) -> None:
        """Let in whoever may begin now, and look again when the next may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for lane, waiting in self._lanes.items():
            while waiting and not self._wait_s(lane, 0):
                self._let_in(waiting.popleft())
            if waiting:
                wait_s = max(self._wait_s(lane, 0), SOONEST_S)
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._next)
                return

    def _let_in(self, place: asyncio.Future[None]) -> None:
        if not place.done():  # else it was cancelled, and is about to leave
            self.ledger.begin()
            place.set_result(None)

    def _wait_s(self, lane: Lane, ahead: int) -> float:
        return self.ledger.wait_s(_now(), ahead=ahead, is_background=lane is Lane.BACKGROUND)


def _now() -> float:
    return asyncio.get_running_loop().time()
