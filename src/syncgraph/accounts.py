"""The one door to providers: who asks, until when, how urgently, and how fresh it has to be."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from syncgraph.errors import UpstreamError
from syncgraph.ports import Provider


class Priority(Enum):
    """INTERACTIVE: somebody waits for the answer. BACKGROUND: it may have to wait where a provider's quota is scarce."""

    INTERACTIVE = auto()
    BACKGROUND = auto()


@dataclass(slots=True)
class Used:
    """What one request took from one provider, all answers together.

    ``fetched_at``: of the oldest, None: nothing was taken; ``age_s``: its age. ``fresh_s``: until the first of them is no
    longer fresh. ``is_stale``: one was older than it should be, and ``error`` says why, where it is known. ``left_out``:
    rows that were not what the contract promises.
    """

    fetched_at: datetime | None = None
    age_s: float = 0.0
    fresh_s: float = float("inf")
    is_stale: bool = False
    error: UpstreamError | None = None
    left_out: int = 0


def taken(used: Iterable[Used]) -> Used:
    """All that one request took, from all providers together."""
    some = [one for one in used if one.fetched_at is not None]
    return Used(
        fetched_at=min((one.fetched_at for one in some if one.fetched_at), default=None),
        age_s=max((one.age_s for one in some), default=0.0),
        fresh_s=min((one.fresh_s for one in some), default=0.0),
        is_stale=any(one.is_stale for one in some),
    )


class Meter(Protocol):
    """One request's exchanges with one provider."""

    calls: int
    used: Used

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
    """What an account is opened on.

    ``began``, ``deadline``: on the event loop's clock. ``max_age_s``: how old an answer may be; None: as old as its kind
    may get.
    """

    began: float
    deadline: float
    now: datetime
    budget: Budget
    priority: Priority = Priority.INTERACTIVE
    max_age_s: float | None = None


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
            # Who is cancelled here leaves; all that it had under way ends nevertheless.
            await asyncio.shield(asyncio.gather(*(one.meter.close() for one in opened.values())))
