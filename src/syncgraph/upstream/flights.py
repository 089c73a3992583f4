"""Equal reads under way at once are one: whoever waits for it shares it, and the last to leave stops it."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

V = TypeVar("V")


@dataclass(slots=True)
class Flight:
    """One read under way. ``deadline``: the latest of its waiters', on the event loop's clock."""

    deadline: float
    waiters: int = 0
    task: asyncio.Task[Any] = field(init=False)


@dataclass(slots=True)
class Flights(Generic[V]):
    """All reads under way at one account."""

    _flights: dict[Hashable, Flight] = field(default_factory=dict)

    async def join(
        self, key: Hashable, start: Callable[[Flight], Coroutine[Any, Any, V]], deadline: float
    ) -> V:
        """What the read of ``key`` brings, or raises; ``start`` begins it where it is not under way."""
        flight = self._flights.get(key) or self._begin(key, start, deadline)
        flight.waiters += 1
        flight.deadline = max(flight.deadline, deadline)
        try:
            value: V = await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                self._over(key, flight)
                flight.task.cancel()
                await asyncio.gather(flight.task, return_exceptions=True)
        return value

    async def close(self) -> None:
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(
        self, key: Hashable, start: Callable[[Flight], Coroutine[Any, Any, V]], deadline: float
    ) -> Flight:
        flight = Flight(deadline)
        flight.task = asyncio.create_task(start(flight))
        flight.task.add_done_callback(lambda _: self._over(key, flight))
        self._flights[key] = flight
        return flight

    def _over(self, key: Hashable, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
