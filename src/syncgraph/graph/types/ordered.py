"""Syncs in another order than their upstream lists': read whole, then sorted, or refused."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import strawberry

from syncgraph.domain.merge import Place, Rank, rank
from syncgraph.domain.metrics import WEIGHT
from syncgraph.domain.model import Count, Coverage
from syncgraph.domain.overview import SyncStanding
from syncgraph.errors import InvalidCursorError, InvalidRequestError
from syncgraph.graph.context import Info
from syncgraph.graph.limits import MAX_FIRST
from syncgraph.graph.types.pages import Paging, page_of_all, page_size
from syncgraph.lists import Listing, SourceOutcome, SourceStatus

MAX_PAGES = 20
"""Of 100 syncs, read to be sorted; more than these are refused."""


class SyncOrderField(StrEnum):
    """By what syncs can be sorted."""

    HEALTH = "HEALTH"
    LAG = "LAG"
    LAST_SUCCESS_AT = "LAST_SUCCESS_AT"
    NAME = "NAME"
    CREATED_AT = "CREATED_AT"


class OrderDirection(StrEnum):
    """Which end comes first."""

    ASC = "ASC"
    DESC = "DESC"


strawberry.enum(SyncOrderField, description="By what syncs can be sorted. HEALTH, DESC: worst first.")
strawberry.enum(OrderDirection, description="Which end comes first. What has no value comes last either way.")


@strawberry.input(
    description="Only where every provider's syncs can be read whole; an error says where they cannot."
)
class SyncOrder:
    field: SyncOrderField
    direction: OrderDirection = OrderDirection.DESC


_VALUES: Mapping[SyncOrderField, Callable[[SyncStanding], Any]] = {
    SyncOrderField.HEALTH: lambda one: WEIGHT[one.health.status],
    SyncOrderField.LAG: lambda one: one.freshness.lag,
    SyncOrderField.LAST_SUCCESS_AT: lambda one: one.freshness.last_success_at,
    SyncOrderField.NAME: lambda one: one.sync.name and one.sync.name.casefold(),
    SyncOrderField.CREATED_AT: lambda one: one.sync.created_at,
}


@dataclass(frozen=True, slots=True)
class _Whole:
    """All syncs that a filter leaves, and what every provider contributed."""

    listing: Listing[Any]
    rows: Sequence[Any]


async def ordered_syncs(info: Info, paging: Paging, order: SyncOrder) -> Listing[Any]:
    """One page; raises :class:`InvalidRequestError` where the order cannot be known."""
    size = page_size(paging.first)
    whole = await _whole(info, replace(paging, first=MAX_FIRST, after=None))
    standings = await asyncio.gather(*map(info.context.standings.of, whole.rows))
    rows = [one.sync for one in _sorted(standings, order)]
    list_id = f"{whole.listing.list_id}|{order.field}|{order.direction}"
    after = paging.cursor
    start = 0 if after is None else _behind(rows, info.context.cursors.decode(after, list_id).after)
    shown = [
        (row, Place(after=rank(row), count=start + n)) for n, row in enumerate(rows[start : start + size], 1)
    ]
    return Listing(
        list_id=list_id,
        rows=shown,
        has_next=start + size < len(rows),
        has_previous=after is not None,
        end=shown[-1][1] if shown else Place(count=start),
        total=Count(value=len(rows)),
        sources=whole.listing.sources,
    )


async def _whole(info: Info, paging: Paging) -> _Whole:
    rows: list[Any] = []
    for _ in range(MAX_PAGES):
        listing = await page_of_all(info, "syncs", paging)
        lacking = [one.provider.name for one in listing.sources if not _is_whole(one)]
        if lacking:
            raise InvalidRequestError(f"orderBy: the syncs of {', '.join(lacking)} cannot be read whole.")
        rows += [row for row, _ in listing.rows]
        if not listing.has_next:
            return _Whole(listing, rows)
        paging = replace(paging, after=info.context.cursors.encode(listing.end, listing.list_id))
    raise InvalidRequestError(f"orderBy: there are more than {MAX_PAGES * MAX_FIRST} syncs; filter them.")


def _is_whole(source: SourceOutcome) -> bool:
    if source.status in {SourceStatus.UNSUPPORTED, SourceStatus.SKIPPED}:
        return True
    is_answered = source.status in {SourceStatus.OK, SourceStatus.STALE}
    return is_answered and source.coverage in {Coverage.FULL, Coverage.CONFIGURED}


def _sorted(standings: Sequence[SyncStanding], order: SyncOrder) -> list[SyncStanding]:
    value = _VALUES[order.field]
    ranked = sorted(standings, key=lambda one: rank(one.sync))
    known = [one for one in ranked if value(one) is not None]
    known.sort(key=value, reverse=order.direction is OrderDirection.DESC)
    return known + [one for one in ranked if value(one) is None]


def _behind(rows: Sequence[Any], after: Rank | None) -> int:
    for n, row in enumerate(rows, 1):
        if rank(row) == after:
            return n
    raise InvalidCursorError("The sync that this cursor stands behind is gone; start again without it.")
