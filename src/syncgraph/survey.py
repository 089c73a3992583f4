"""The one screen, read: one pass over each provider's lists, and what could not be seen of them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from syncgraph.accounts import Opened
from syncgraph.domain.merge import rank
from syncgraph.domain.metrics import in_window, last_ended
from syncgraph.domain.model import CountRelation, Coverage, Sync, SyncKey, SyncRun
from syncgraph.domain.overview import Overview, Seen, SyncStanding, overview
from syncgraph.domain.page import Page
from syncgraph.errors import BudgetExceededError, UpstreamError, or_error
from syncgraph.lists import LEAST_FIRST, SourceOutcome, SourceStatus
from syncgraph.loaders import Loaders
from syncgraph.ports import Feed, Scope
from syncgraph.standing import ROWS, Newest, Standings, reaches, read_on

MAX_LISTS = 50
"""Lists of one kind read at one provider; what is in the others is not seen."""

MAX_HEADS = 20
"""Syncs of one provider whose runs are asked for one by one, since no list tells how they ended."""


@dataclass(frozen=True, slots=True)
class Survey:
    """An overview, and what every provider contributed to it."""

    overview: Overview
    sources: Sequence[SourceOutcome]


@dataclass(slots=True)
class _Read:
    """All lists of one kind at one provider, as far as they were read.

    ``is_enough``: all that was asked for was seen. ``is_whole``: all there is, or was, was seen.
    """

    rows: list[Any] = field(default_factory=list)
    coverage: Coverage = Coverage.FULL
    is_enough: bool = True
    is_whole: bool = True
    is_cut: bool = False
    error: UpstreamError | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one provider showed. None: it has no such list."""

    opened: Opened
    syncs: _Read | None
    runs: _Read | None
    standings: Sequence[SyncStanding]


Keep = Callable[[Sequence[SyncStanding]], Awaitable[Sequence[SyncStanding]]]
"""Which syncs an overview is about, with their runs."""


async def survey(
    opened: Iterable[Opened],
    loaders: Loaders,
    standings: Standings,
    *,
    window_days: int,
    now: datetime,
    keep: Keep | None = None,
) -> Survey:
    """Never raises for what a provider did. ``keep``: None for all syncs, and for runs that belong to none."""
    in_window((), window_days=window_days, now=now)
    since = now - timedelta(days=window_days)
    seen = await asyncio.gather(*(_provider(one, loaders, standings, since) for one in opened))
    runs = [run for one in seen if one.runs for run in one.runs.rows]
    standing: Sequence[SyncStanding] = [its for one in seen for its in one.standings]
    if keep is not None:
        standing = await keep(standing)
        kept = {one.sync.key for one in standing}
        runs = [run for run in runs if run.sync in kept]
    screen = overview(
        standing,
        sorted(runs, key=rank),
        window_days=window_days,
        seen=Seen(_relation(one.syncs for one in seen), _relation(one.runs for one in seen)),
        now=now,
    )
    return Survey(screen, [_source(one, now) for one in seen])


async def standings_at(
    opened: Opened, loaders: Loaders, standings: Standings, since: datetime
) -> Sequence[SyncStanding]:
    """How the syncs of one provider do, from its lists, by runs since ``since`` where the syncs do not tell."""
    return (await _provider(opened, loaders, standings, since)).standings


async def _provider(opened: Opened, loaders: Loaders, standings: Standings, since: datetime) -> _Seen:
    provider = opened.provider
    syncs, runs = await asyncio.gather(
        _read(provider.sync_feed, since=None), _read(provider.run_feed, since=since)
    )
    for read in (syncs, runs):
        loaders.prime(read.rows if read else ())
    its: Sequence[Sync] = syncs.rows if syncs else ()
    for key, newest in _newest(its, runs).items():
        standings.remember(key, newest)
    return _Seen(opened, syncs, runs, await asyncio.gather(*map(standings.of, its)))


async def _read(feed: Feed[Any] | None, *, since: datetime | None) -> _Read | None:
    if feed is None:
        return None
    scopes = await or_error(feed.scopes())
    if isinstance(scopes, UpstreamError):
        return _Read(coverage=Coverage.NONE, is_enough=False, is_whole=False, error=scopes)
    within = scopes[:MAX_LISTS]
    heads = await or_error(feed.first_pages(within, first=ROWS))
    pages = [heads] * len(within) if isinstance(heads, UpstreamError) else heads
    lists = await asyncio.gather(
        *(_list(feed, scope, head, since) for scope, head in zip(within, pages, strict=True))
    )
    read = _Read()
    for page, error in lists:
        _add(read, page, error, since)
    if len(within) < len(scopes):
        read.is_cut, read.is_enough, read.is_whole, read.coverage = True, False, False, Coverage.WINDOW
    read.rows = list({row.key: row for row in read.rows}.values())
    return read


async def _list(
    feed: Feed[Any], scope: Scope, head: Page[Any] | UpstreamError, since: datetime | None
) -> tuple[Page[Any], UpstreamError | None]:
    if isinstance(head, UpstreamError):
        return Page((), None, Coverage.NONE), head
    return await read_on(feed, scope, head, since=since)


def _add(read: _Read, page: Page[Any], error: UpstreamError | None, since: datetime | None) -> None:
    is_whole = error is None and page.next is None and page.coverage is Coverage.FULL
    is_enough = is_whole or reaches(page.items, since)
    read.rows += page.items
    read.error = read.error or error
    read.is_whole &= is_whole
    read.is_enough &= is_enough
    read.is_cut |= error is None and page.next is not None and not is_enough
    if not is_enough:
        read.coverage = min(read.coverage, page.coverage, key=LEAST_FIRST.index)


def _newest(syncs: Sequence[Sync], runs: _Read | None) -> Mapping[SyncKey, Newest]:
    """What the pass told of each sync; those it said nothing of may be asked for by themselves, up to a number."""
    if runs is None:
        return {}
    by_sync: defaultdict[SyncKey | None, list[SyncRun]] = defaultdict(list)
    for run in sorted(runs.rows, key=rank):
        by_sync[run.sync].append(run)
    coverage = Coverage.FULL if runs.is_whole else Coverage.WINDOW
    found: dict[SyncKey, Newest] = {}
    silent = 0
    for sync in syncs:
        its = by_sync[sync.key]
        is_told = sync.last_outcome is not None or last_ended(its) is not None or runs.is_whole
        silent += not is_told
        if runs.error is not None and not is_told:
            found[sync.key] = Newest(None, Coverage.NONE, runs.error)
        elif is_told or silent > MAX_HEADS:
            found[sync.key] = Newest(its or (() if runs.is_whole else None), coverage)
    return found


def _relation(reads: Iterable[_Read | None]) -> CountRelation:
    is_exact = all(read is not None and read.is_enough for read in reads)
    return CountRelation.EQ if is_exact else CountRelation.GTE


def _source(seen: _Seen, now: datetime) -> SourceOutcome:
    reads = [read for read in (seen.syncs, seen.runs) if read is not None]
    errors = [read.error for read in reads if read.error is not None]
    error = next(
        (one for one in errors if not isinstance(one, BudgetExceededError)), next(iter(errors), None)
    )
    is_cut = any(read.is_cut for read in reads)
    code = error.code if error else BudgetExceededError.code if is_cut else None
    has_rows = any(read.rows or read.error is None for read in reads)
    return SourceOutcome(
        provider=seen.opened.provider,
        status=_status(seen, error, is_cut=is_cut),
        coverage=min((read.coverage for read in reads), key=LEAST_FIRST.index, default=Coverage.NONE),
        fetched_at=(seen.opened.meter.used.fetched_at or now) if has_rows else None,
        upstream_calls=seen.opened.meter.calls,
        code=code,
        error=error,
    ).qualified(seen.opened.meter.used)


def _status(seen: _Seen, error: UpstreamError | None, *, is_cut: bool) -> SourceStatus:
    if error is not None and not isinstance(error, BudgetExceededError):
        return SourceStatus.FAILED
    if error is not None or is_cut:
        return SourceStatus.SCAN_LIMIT
    return SourceStatus.UNSUPPORTED if seen.syncs is None or seen.runs is None else SourceStatus.OK
