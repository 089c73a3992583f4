"""One page out of many feeds: asks them side by side, awaits, and says what each contributed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from syncgraph.accounts import Opened, Used
from syncgraph.domain.merge import (
    Merge,
    Merged,
    Place,
    Row,
    Selection,
    covers,
    gap_of,
    rows_asked,
    still_detached,
)
from syncgraph.domain.model import Count, CountRelation, Coverage
from syncgraph.domain.page import Page
from syncgraph.errors import (
    BudgetExceededError,
    PaginationStalledError,
    UpstreamContractError,
    UpstreamError,
    or_error,
)
from syncgraph.ports import ALL, Feed, Provider, Scope

T = TypeVar("T", bound=Row)
V = TypeVar("V")


class SourceStatus(StrEnum):
    """What one provider did for a list."""

    OK = "OK"
    STALE = "STALE"
    INCOMPLETE = "INCOMPLETE"
    FAILED = "FAILED"
    SCAN_LIMIT = "SCAN_LIMIT"
    UNSUPPORTED = "UNSUPPORTED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOutcome:
    """What one provider contributed to a list.

    ``code``: of the failure; ``error``: only when it is a new one. ``gap``: from where on its rows are missing.
    """

    provider: Provider
    status: SourceStatus
    coverage: Coverage
    horizon: datetime | None = None
    fetched_at: datetime | None = None
    upstream_calls: int = 0
    code: str | None = None
    error: UpstreamError | None = None
    gap: Place | None = None
    gap_list_id: str = ""

    @property
    def trouble(self) -> UpstreamError | None:
        """What cost data; an old copy costs none."""
        return None if self.status is SourceStatus.STALE else self.error

    def qualified(self, used: Used) -> "SourceOutcome":
        """What was answered, but from an old copy or not in full, says so."""
        if self.status is not SourceStatus.OK:
            return self
        if used.left_out:
            error = _left_out(used.left_out, self.provider.name)
            return replace(self, status=SourceStatus.INCOMPLETE, code=error.code, error=error)
        if used.is_stale:
            code = None if used.error is None else used.error.code
            return replace(self, status=SourceStatus.STALE, code=code, error=used.error)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """One page of a list: rows with the place after each, and what every provider contributed."""

    list_id: str
    rows: Sequence[tuple[T, Place]]
    has_next: bool
    has_previous: bool
    end: Place
    total: Count
    sources: Sequence[SourceOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One page wanted.

    ``feed_of``: what a provider is asked, None where it has no such list. ``list_id``: names the list and its
    arguments, narrowed to some providers. ``scopes``: by provider, the only lists of interest; None: all.
    ``stops``: a failure ends the page, instead of leaving its list out. ``prepare``: finds out what ``selection`` has
    to know about the rows of upstream pages, before it is asked. ``narrow``: the lists in which a provider itself
    leaves out what ``selection`` would.
    """

    list_id: Callable[[Iterable[str]], str]
    first: int
    place: Place
    is_continued: bool
    now: datetime
    feed_of: Callable[[Provider], Feed[T] | None]
    selection: Selection[T] | None = None
    providers: frozenset[str] | None = None
    scopes: Mapping[str, Sequence[Scope]] | None = None
    stops: bool = False
    prepare: Callable[[Sequence[T]], Awaitable[None]] | None = None
    narrow: Callable[[Provider, Scope], Sequence[Scope]] = lambda _provider, scope: [scope]

    def wants(self, provider: Provider) -> bool:
        """Whether the filter lets any row of the provider through."""
        is_named = self.providers is None or provider.name in self.providers
        return is_named and (self.scopes is None or provider.name in self.scopes)


@dataclass(frozen=True, slots=True)
class _Source(Generic[T]):
    """One upstream list."""

    opened: Opened
    feed: Feed[T]
    scope: Scope

    @property
    def name(self) -> str:
        return source_name(self.opened.provider.name, self.scope)


def source_name(provider: str, scope: Scope) -> str:
    """Names one upstream list in cursors."""
    parts = (scope.connector_id, scope.sync_id, scope.status and f"={scope.status}")
    return "/".join((provider, *(part for part in parts if part is not None)))


async def list_all(request: Request[T], providers: Iterable[Opened]) -> Listing[T]:
    """One page over all lists of all ``providers``; never raises for what a provider did."""
    asked = list(providers)
    able = [one for one in asked if request.feed_of(one.provider) is not None and request.wants(one.provider)]
    heads = await asyncio.gather(*(_heads(request, opened) for opened in able))
    return await _merged(request, asked, [head for of_one in heads for head in of_one])


async def list_scope(
    request: Request[T], opened: Opened, scope: Scope, head: Callable[[], Awaitable[Page[T] | UpstreamError]]
) -> Listing[T]:
    """One page of one upstream list; ``head`` brings its first page, which may come in a batch."""
    feed = request.feed_of(opened.provider)
    assert feed is not None
    source = _Source(opened, feed, scope)
    token = request.place.hints.get(source.name)
    if source.name in request.place.ended:
        found: list[_Head[T]] = [(source, None)]
    else:
        found = [(source, await head() if token is None else await _page(source, request.first, token))]
    return await _merged(request, [opened], found)


_Head = tuple[_Source[T], Page[T] | UpstreamError | None]
"""A list with its first page for this request, the failure in its way, or None: nothing unread is left in it."""


async def _heads(request: Request[T], opened: Opened) -> Sequence[_Head[T]]:
    """Find the lists of one provider and read the head of each, batched where nothing was read before."""
    feed = request.feed_of(opened.provider)
    left_out = still_detached(request.place)
    assert feed is not None
    if covers(left_out, opened.provider.name):
        return []
    given = request.scopes.get(opened.provider.name) if request.scopes is not None else None
    scopes = given if given is not None else await or_error(feed.scopes())
    if isinstance(scopes, UpstreamError):
        return [(_Source(opened, feed, ALL), scopes)]
    scopes = [one for scope in scopes for one in request.narrow(opened.provider, scope)]
    sources = [
        one for one in (_Source(opened, feed, scope) for scope in scopes) if not covers(left_out, one.name)
    ]
    hints, ended = request.place.hints, request.place.ended
    fresh = [source for source in sources if source.name not in hints and source.name not in ended]
    known = [source for source in sources if source.name in hints]
    pages, later = await asyncio.gather(
        feed.first_pages([source.scope for source in fresh], first=rows_asked(request.first, None)),
        asyncio.gather(*(_page(source, request.first, hints[source.name]) for source in known)),
    )
    return [
        *zip(fresh, pages, strict=True),
        *zip(known, later, strict=True),
        *((source, None) for source in sources if source.name in ended),
    ]


async def _merged(request: Request[T], asked: Sequence[Opened], heads: Sequence[_Head[T]]) -> Listing[T]:
    sources = {source.name: source for source, _ in heads}
    merge: Merge[T] = Merge(
        sources,
        first=request.first,
        place=request.place,
        selection=request.selection,
        stops=request.stops,
    )
    errors: dict[str, UpstreamError] = {}
    await _prepare(request, [head for _, head in heads])
    for source, head in heads:
        if head is not None:
            _take(merge, source, head, errors)
    while wanted := merge.wanted():
        pages = await asyncio.gather(
            *(_page(sources[name], request.first, token) for name, token in wanted.items())
        )
        await _prepare(request, pages)
        for name, page in zip(wanted, pages, strict=True):
            _take(merge, sources[name], page, errors)
    return _listing(request, asked, merge, errors)


async def _prepare(request: Request[T], pages: Sequence[Page[T] | UpstreamError | None]) -> None:
    rows = [row for page in pages if isinstance(page, Page) for row in page.items]
    if request.prepare is not None and rows:
        await request.prepare(rows)


def _take(
    merge: Merge[T], source: _Source[T], page: Page[T] | UpstreamError, errors: dict[str, UpstreamError]
) -> None:
    if not isinstance(page, UpstreamError) and merge.add(source.name, page):
        return
    error = page if isinstance(page, UpstreamError) else _stalled(source)
    errors[source.name] = error
    merge.fail(source.name, error.code)


def _stalled(source: _Source[T]) -> UpstreamError:
    return PaginationStalledError(
        "The provider's next page is the page it follows.", provider=source.opened.provider.name
    )


async def _page(source: _Source[T], first: int, token: str | None) -> Page[T] | UpstreamError:
    return await or_error(source.feed.page(source.scope, first=rows_asked(first, token), after=token))


def _listing(
    request: Request[T], asked: Sequence[Opened], merge: Merge[T], errors: Mapping[str, UpstreamError]
) -> Listing[T]:
    page = merge.page()
    wanted = [opened.provider for opened in asked if request.wants(opened.provider)]
    exact = page.is_whole and all(request.feed_of(provider) is not None for provider in wanted)
    return Listing(
        list_id=request.list_id(opened.provider.name for opened in asked),
        rows=page.rows,
        has_next=page.has_next,
        has_previous=request.is_continued,
        end=page.end,
        total=Count(value=page.seen, relation=CountRelation.EQ if exact else CountRelation.GTE),
        sources=[_outcome(request, opened, page, merge.detached, errors) for opened in asked],
    )


def _outcome(
    request: Request[T],
    opened: Opened,
    page: Merged[T],
    detached: Mapping[str, str],
    errors: Mapping[str, UpstreamError],
) -> SourceOutcome:
    provider = opened.provider
    if request.feed_of(provider) is None:
        return SourceOutcome(provider=provider, status=SourceStatus.UNSUPPORTED, coverage=Coverage.NONE)
    if not request.wants(provider):
        return SourceOutcome(provider=provider, status=SourceStatus.SKIPPED, coverage=Coverage.NONE)
    codes = _of(provider, detached) or [error.code for error in _of(provider, errors)]
    seen = _of(provider, page.coverage)
    return SourceOutcome(
        provider=provider,
        status=_status(codes, was_cut=bool(_of(provider, dict.fromkeys(page.cut, True)))),
        coverage=_coverage(seen, failed=bool(codes)),
        horizon=max(_of(provider, page.horizons), default=None),
        fetched_at=(opened.meter.used.fetched_at or request.now) if seen or not codes else None,
        upstream_calls=opened.meter.calls,
        code=next(iter(codes), None),
        error=next(iter(_of(provider, errors)), None),
        gap=gap_of(page.end, provider.name),
        gap_list_id=request.list_id((provider.name,)),
    ).qualified(opened.meter.used)


def _left_out(rows: int, provider: str) -> UpstreamContractError:
    return UpstreamContractError(
        f"{rows} of the provider's rows are not what its contract promises, and are left out.",
        provider=provider,
    )


def _of(provider: Provider, by_source: Mapping[str, V]) -> Sequence[V]:
    return [value for source, value in by_source.items() if covers((provider.name,), source)]


def _status(codes: Sequence[str], *, was_cut: bool) -> SourceStatus:
    if not codes:
        return SourceStatus.SCAN_LIMIT if was_cut else SourceStatus.OK
    only_budget = set(codes) == {BudgetExceededError.code}
    return SourceStatus.SCAN_LIMIT if only_budget else SourceStatus.FAILED


LEAST_FIRST = (Coverage.NONE, Coverage.CONFIGURED, Coverage.WINDOW, Coverage.FULL)


def _coverage(seen: Sequence[Coverage], *, failed: bool) -> Coverage:
    """The least that one of the lists shows; a provider without any list, and without a failure, shows all it has."""
    return min(seen, key=LEAST_FIRST.index, default=Coverage.NONE if failed else Coverage.FULL)
