"""The one door to providers: who asks, until when, and as of which instant. No principal, no account."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from syncgraph.ports import Provider


class Meter(Protocol):
    """One request's exchanges with one provider."""

    calls: int

    async def close(self) -> None:
        """Stop the exchanges that are still under way."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A provider for one request, and what it costs."""

    provider: Provider
    meter: Meter


@dataclass(slots=True)
class Budget:
    """Upstream calls that one operation may still make, over all providers."""

    left: int

    def spend(self) -> bool:
        """Take one call; False when none is left."""
        self.left -= 1
        return self.left >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an account is opened on: until when on the event loop's clock, as of which instant, for how many calls."""

    deadline: float
    now: datetime
    budget: Budget


Open = Callable[[Terms], Opened]
"""Binds one account."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The configured accounts. Every caller may use all of them with the gateway's own credentials."""

    by_name: Mapping[str, Open]

    @asynccontextmanager
    async def open(self, terms: Terms) -> AsyncIterator[Mapping[str, Opened]]:
        """Providers for one request, by name in the configuration's order; on exit nothing of it goes on."""
        opened = {name: bind(terms) for name, bind in self.by_name.items()}
        try:
            yield opened
        finally:
            for one in opened.values():
                await one.meter.close()
