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


Open = Callable[[float, datetime], Opened]
"""Binds one account; arguments: the deadline on the event loop's clock, and the request's ``now``."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The configured accounts. Every caller may use all of them with the gateway's own credentials."""

    by_name: Mapping[str, Open]

    @asynccontextmanager
    async def open(self, *, deadline: float, now: datetime) -> AsyncIterator[Mapping[str, Opened]]:
        """Providers for one request, by name in the configuration's order; on exit nothing of it goes on."""
        opened = {name: bind(deadline, now) for name, bind in self.by_name.items()}
        try:
            yield opened
        finally:
            for one in opened.values():
                await one.meter.close()
