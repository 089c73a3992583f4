"""When a job was made, for jobs that do not say so but come in that order; pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

TICK = timedelta(microseconds=1)


def instants(own: Sequence[datetime | None], now: datetime) -> list[datetime]:
    """One instant per row, newest row first: never increasing, so that the list's own order stands.

    A row has its own time; without one, it is just after the next older row that has one. With nothing older it is as old
    as the row before it, and at the head ``now``. A row is never newer than the row before it: one that was made earlier
    and started later is held to its neighbour's time. (Lifting the neighbour instead would let older rows, which a
    longer list brings, change the times of rows that were already shown.)
    """
    placed: list[datetime] = []
    for instant in _own_or_after_older(own):
        newest = placed[-1] if placed else (instant or now)
        placed.append(min(instant or newest, newest))
    return placed


def settled(own: Sequence[datetime | None]) -> int:
    """How many rows from the head have an instant that rows older than these cannot change."""
    return next((n for n in range(len(own), 0, -1) if own[n - 1] is not None), 0)


def _own_or_after_older(own: Sequence[datetime | None]) -> list[datetime | None]:
    found: list[datetime | None] = []
    for time in reversed(own):
        older = found[-1] if found else None
        found.append(time or (older and older + TICK))
    return found[::-1]
