"""Walking a list that knows only ``skip`` and ``limit``, newest first, while rows come and go; no tie-breaker, no total.

The continuation is the place and the time at which the last group of equal times began. The next read asks for one row
more above it, the *witness*: when that is not strictly newer, rows above were deleted and the group slipped up, so the
read steps back, doubling. Inserts only make rows repeat. Model: ``class Offset`` of the design's pagination model.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from syncgraph.errors import TieOverflowError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on: the row ``skip`` was the first of time ``at``."""

    skip: int
    at: datetime

    def encode(self) -> str:
        return f"{self.skip}@{self.at.isoformat()}"

    @classmethod
    def decode(cls, token: str | None) -> "Place | None":
        """None, which is the head, for what is no such token: starting over loses nothing."""
        skip, _, at = (token or "").partition("@")
        try:
            place = cls(int(skip), datetime.fromisoformat(at))
        except ValueError:
            return None
        return place if place.skip > 0 and place.at.tzinfo is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetList(Generic[T]):
    """One such list. ``fetch(skip, limit)`` reads it; ``time`` is what it is sorted by; ``most`` its largest limit."""

    fetch: Callable[[int, int], Awaitable[Sequence[T]]]
    time: Callable[[T], datetime]
    most: int
    provider: str

    async def page(self, after: str | None, *, limit: int) -> tuple[Sequence[T], str | None]:
        """At least the next rows up to ``limit`` of them, older ones last, and where to go on; rows may repeat."""
        place = Place.decode(after)
        limit = min(limit + (place is not None), self.most)
        skip, rows = await self._from_witness(place, limit)
        while len(rows) == limit:
            rest = self._rest(place, skip, rows)
            if rest is not None:
                return rows, rest.encode()
            limit = self._wider(limit)
            rows = await self.fetch(skip, limit)
        return rows, None

    async def _from_witness(self, place: Place | None, limit: int) -> tuple[int, Sequence[T]]:
        """Rows that begin with one strictly newer than ``place``, or at the head."""
        if place is None:
            return 0, await self.fetch(0, limit)
        skip, step = place.skip - 1, 1
        rows = await self.fetch(skip, limit)
        while skip > 0 and (not rows or self.time(rows[0]) <= place.at):
            skip, step = max(0, skip - step), step * 2
            rows = await self.fetch(skip, limit)
        return skip, rows

    def _rest(self, place: Place | None, skip: int, rows: Sequence[T]) -> Place | None:
        """The beginning of the last group of equal times in ``rows``; None when that is no step forward."""
        last = self.time(rows[-1])
        start = next(n for n, row in enumerate(rows) if self.time(row) == last)
        stands_still = start == 0 or (place is not None and last == place.at)
        return None if stands_still else Place(skip + start, last)

    def _wider(self, limit: int) -> int:
        if limit == self.most:
            raise TieOverflowError(
                "The provider's list has more rows of one instant than one page can hold.",
                provider=self.provider,
            )
        return min(2 * limit, self.most)
