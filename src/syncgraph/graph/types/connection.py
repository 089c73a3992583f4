"""Relay connections over :class:`syncgraph.lists.Listing`, and who contributed what to one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import strawberry

from syncgraph import errors, ports
from syncgraph.domain import model
from syncgraph.domain.merge import Place
from syncgraph.graph.codes import UpstreamErrorCode
from syncgraph.graph.context import Info
from syncgraph.graph.types import links
from syncgraph.graph.types.common import Count
from syncgraph.lists import Listing, SourceStatus
from syncgraph.lists import SourceOutcome as Outcome

N = TypeVar("N")

strawberry.enum(
    SourceStatus,
    description=(
        "OK: answered. STALE: answered from a copy older than it should be: a newer read failed (`error` says why), or is "
        "under way. INCOMPLETE: answered, less some rows that are not what the provider's contract promises. FAILED: `error` says why; its rows after the frontier are missing from this and later pages of "
        "this traversal. SCAN_LIMIT: not read to the end, the scan or call budget ended first; go on with `endCursor`. UNSUPPORTED: the provider's API "
        "has no such list. SKIPPED: left out by the filter."
    ),
)
strawberry.enum(
    UpstreamErrorCode, description="The upstream part of `docs/errors.md`, printed from the error tree."
)


@strawberry.type(description="What a provider did instead of answering.")
class UpstreamError:
    code: UpstreamErrorCode
    message: str = strawberry.field(description="Safe to show: no URL, header, or token.")
    http_status: int | None = strawberry.field(description="Null: no answer came.")
    retryable: bool
    retry_after: datetime | None = strawberry.field(
        description="Null: the provider did not say when to come back."
    )
    request_id: str | None = strawberry.field(
        description="The provider's own id of the exchange; null: it sends none."
    )


def gap_cursor(source: strawberry.Parent[Outcome], info: Info) -> str | None:
    return None if source.gap is None else info.context.cursors.encode(source.gap, source.gap_list_id)


def source_error(source: strawberry.Parent[Outcome]) -> UpstreamError | None:
    return None if source.error is None else shown_error(source.error)


def shown_error(error: errors.UpstreamError) -> UpstreamError:
    """A value of its own: an exception as a value would count as raised."""
    return UpstreamError(
        code=UpstreamErrorCode(error.code),
        message=str(error),
        http_status=error.http_status,
        retryable=error.retryable,
        retry_after=error.retry_after,
        request_id=error.request_id,
    )


def source_provider(source: strawberry.Parent[Outcome]) -> ports.Provider:
    return source.provider


def source_code(source: strawberry.Parent[Outcome]) -> UpstreamErrorCode | None:
    return None if source.code is None else UpstreamErrorCode(source.code)


@strawberry.type(
    description=(
        "What one provider contributed to the value this stands on. A provider whose rows lie in many upstream lists "
        "(Airweave's runs: one per source connection) counts as a whole."
    )
)
class SourceOutcome:
    provider: Any = strawberry.field(
        resolver=source_provider, graphql_type=links.PROVIDER, description="Whose contribution it is."
    )
    status: SourceStatus
    coverage: model.Coverage = strawberry.field(description="How much of what exists was, or can be, seen.")
    horizon: datetime | None = strawberry.field(
        description="The oldest instant it can show, when it was read to an end that is not the end of what exists. Null: it can show all, or was not read so far."
    )
    fetched_at: datetime | None = strawberry.field(
        description=(
            "When the data was read from the provider; the oldest of it, where several answers were used. Null: none was."
        )
    )
    upstream_calls: int = strawberry.field(
        description="Exchanges with this provider in this operation, until this value was complete."
    )
    code: UpstreamErrorCode | None = strawberry.field(
        resolver=source_code,
        description="Of the failure, also of one on an earlier page. Null: nothing failed.",
    )
    error: UpstreamError | None = strawberry.field(
        resolver=source_error, description="What failed on this page. Null: nothing did."
    )
    gap_cursor: str | None = strawberry.field(
        resolver=gap_cursor,
        description=(
            "Pass as `after`, with the same arguments and `filter: { providers: [this] }`, to read what this source did "
            "not give. Null: nothing is missing."
        ),
    )


@strawberry.type(description="Where a page ends.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool = strawberry.field(description="Forward only: true when `after` was given.")
    start_cursor: str | None = strawberry.field(description="Null: the page is empty.")
    end_cursor: str | None = strawberry.field(
        description=(
            "Where to go on. After a short page it can lie beyond the last edge, and it is non-null whenever "
            "`hasNextPage` is true."
        )
    )


@dataclass(frozen=True, slots=True)
class EdgeOf:
    """One row of a listing with its place in it."""

    listing: Listing[Any]
    node: object
    place: Place


def edge_cursor(edge: strawberry.Parent[EdgeOf], info: Info) -> str:
    return info.context.cursors.encode(edge.place, edge.listing.list_id)


@strawberry.type(description="A row and its place in the list.")
class Edge(Generic[N]):
    cursor: str = strawberry.field(resolver=edge_cursor)
    node: N


def edges(listing: strawberry.Parent[Listing[Any]]) -> list[Any]:
    return [EdgeOf(listing, row, place) for row, place in listing.rows]


def nodes(listing: strawberry.Parent[Listing[Any]]) -> list[Any]:
    return [row for row, _ in listing.rows]


def page_info(listing: strawberry.Parent[Listing[Any]], info: Info) -> PageInfo:
    def encode(place: Place) -> str:
        return info.context.cursors.encode(place, listing.list_id)

    return PageInfo(
        has_next_page=listing.has_next,
        has_previous_page=listing.has_previous,
        start_cursor=encode(listing.rows[0][1]) if listing.rows else None,
        end_cursor=encode(listing.end) if listing.rows or listing.has_previous or listing.has_next else None,
    )


@strawberry.type(description="One page, newest first over all providers; rows without a time come last.")
class Connection(Generic[N]):
    edges: list[Edge[N]] = strawberry.field(resolver=edges)
    nodes: list[N] = strawberry.field(resolver=nodes)
    page_info: PageInfo = strawberry.field(resolver=page_info)
    total: Count = strawberry.field(
        description="How many exist, as far as this page's own calls tell. Costs no call of its own."
    )
    sources: list[SourceOutcome] = strawberry.field(description="What every provider contributed.")
