"""An event loop whose clock jumps to the next thing that is due: hours pass in an instant, and always alike."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.gateway import NOW

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Never waits for time to pass: tells ``loop`` how much has."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("Nothing is due any more, and somebody still waits.")
        if not events and timeout is not None:
            self.loop.passed_s += max(0.0, timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its ``time`` is the sum of all waits so far; ``now`` is the same as a date."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.passed_s

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> datetime:
    """The virtual instant: the clock of what runs in a virtual loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.now()
