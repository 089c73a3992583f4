"""How many operations are under way at once; what the process would not keep up with is refused before it is read."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncgraph.config import ServerSettings
from syncgraph.errors import OverloadedError
from syncgraph.http.pace import BEAT_S, Pace, Shedding
from syncgraph.http.refusal import Refusal

WAIT_WHILE_SHEDDING_S = 0.2
"""Enough for the next to be there when one ends; who is let in is answered soon. Else a third of the longest wait is
promised, since what is promised should be kept.
"""

REFUSAL = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    OverloadedError("More is asked at once than this gateway keeps up with; ask again in a second."),
    {"retry-after": "1"},
)


class Admission:
    """``app``, for as many requests at once as the process keeps up with.

    A request gives its place back when its answer begins: neither a stream nor a slow reader fills the house.
    """

    def __init__(self, app: ASGIApp, limits: ServerSettings) -> None:
        self._app = app
        self._under_way = 0
        self._pace = Pace(limits.max_operations)
        self._is_beating = False
        self._line = Line(limits.max_waiting)
        self._max_wait_s = limits.max_wait_s
        self._shedding = Shedding()

    @property
    def is_overloaded(self) -> bool:
        """Whether much of what was asked just now was refused."""
        return self._shedding.is_much

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_admitted = await self._is_admitted()
        self._shedding.count(refused=not is_admitted)
        if not is_admitted:
            await REFUSAL(scope, receive, send)
            return
        is_inside = True

        def leave() -> None:
            nonlocal is_inside
            if is_inside:
                is_inside = False
                self._leave()

        async def answer(message: Message) -> None:
            leave()
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            leave()

    async def _is_admitted(self) -> bool:
        if not self._line and self._under_way < self._pace.limit:
            self._enter()
            return True
        patience_s = WAIT_WHILE_SHEDDING_S if self.is_overloaded else self._max_wait_s / 3
        return self._line.is_worth_it(patience_s) and await self._line.wait(
            self._max_wait_s, or_leave=self._leave
        )

    def _enter(self) -> None:
        self._under_way += 1
        if not self._is_beating:
            self._is_beating = True
            self._pace.begin(time.monotonic(), time.thread_time())
            self._beat_later()

    def _leave(self) -> None:
        self._under_way -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._under_way < self._pace.limit and self._line.let_in():
            self._enter()

    def _beat_later(self) -> None:
        asyncio.get_running_loop().call_later(BEAT_S, self._beat, time.monotonic() + BEAT_S)

    def _beat(self, due: float) -> None:
        self._is_beating = self._under_way > 0
        if self._is_beating:
            self._pace.beat(time.monotonic(), time.thread_time(), due_s=due, is_short=bool(self._line))
            self._let_in()
            self._beat_later()


class Line:
    """Those who wait, in the order they came. Nobody should be put there whose turn would not come in time."""

    WEIGHT = 0.2
    """Of the last step, in the average."""
    FORGET_S = 1.0
    """After so long without a line, how fast it moved says nothing any more."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._places: deque[asyncio.Future[bool]] = deque()
        self._step_s, self._stepped = 0.0, 0.0
        """How long the line takes to move on by one, and when it did."""

    def __len__(self) -> int:
        return len(self._places)

    def is_worth_it(self, patience_s: float) -> bool:
        """Whether one more would be let in within ``patience_s``, going by how fast the line moves."""
        ahead = len(self._places)
        return ahead < self._max_waiting and (not ahead or (ahead + 1) * self._step_s <= patience_s)

    async def wait(self, patience_s: float, *, or_leave: Callable[[], None]) -> bool:
        """False when the patience ends. ``or_leave``: for one who is let in and cancelled at once."""
        loop = asyncio.get_running_loop()
        if not self._places:
            self._begin(time.monotonic())
        place: asyncio.Future[bool] = loop.create_future()
        self._places.append(place)
        patience = loop.call_later(patience_s, _give_up, place)
        try:
            return await place
        except asyncio.CancelledError:
            if not place.cancelled() and place.result():
                or_leave()
            raise
        finally:
            patience.cancel()
            if place in self._places:
                self._places.remove(place)

    def _begin(self, now: float) -> None:
        if now - self._stepped > self.FORGET_S:
            self._step_s = 0.0
        self._stepped = now

    def let_in(self) -> bool:
        """The next; False when there is none."""
        while self._places:
            place = self._places.popleft()
            if not place.done():
                place.set_result(True)
                now = time.monotonic()
                weight = self.WEIGHT if self._step_s else 1.0
                self._step_s += weight * (now - self._stepped - self._step_s)
                self._stepped = now
                return True
        return False


def _give_up(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_result(False)
