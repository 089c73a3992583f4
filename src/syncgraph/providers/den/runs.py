"""Den's events as runs, and what is counted over them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from syncgraph.domain.model import CountRelation, Coverage, RunStatus, SyncRun, SyncStats
from syncgraph.domain.page import Page
from syncgraph.domain.stats import observed
from syncgraph.errors import UpstreamError, or_error
from syncgraph.ports import ALL, Found, Scope
from syncgraph.providers.den import mapping, typeid, wire
from syncgraph.providers.den.events import DenEvents, grouped
from syncgraph.providers.den.paging import MAX_PAGE

MAX_WORDS = 2


class DenRuns:
    """``RunLookup`` and ``Feed[SyncRun]``."""

    def __init__(self, name: str, events: DenEvents) -> None:
        self._name = name
        self._events = events

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[SyncRun]:
        return self._mapped(await self._events.page(scope, first=first, after=after))

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[SyncRun] | UpstreamError]:
        heads = await self._events.heads(scopes, first=first)
        return [self._mapped(head) if isinstance(head, Page) else head for head in heads]

    async def find_runs(self, ids: Sequence[str]) -> Sequence[Found[SyncRun]]:
        return await asyncio.gather(*map(self._find, ids))

    async def _find(self, id: str) -> Found[SyncRun]:
        event = await self._events.find(id)
        return mapping.run(self._name, event) if isinstance(event, wire.Event) else event

    def _mapped(self, page: Page[wire.Event]) -> Page[SyncRun]:
        runs = [mapping.run(self._name, event) for event in page.items]
        return Page(runs, page.next, page.coverage)


def narrowed(scope: Scope, statuses: frozenset[RunStatus]) -> Sequence[Scope]:
    """Den's filter takes one word, and each list costs it the same: more than two are left to the gateway."""
    words = [word for word, status in mapping.STATUS.items() if status in statuses]
    if RunStatus.UNKNOWN in statuses or len(words) > MAX_WORDS:
        return [scope]
    return [replace(scope, status=word) for word in words]


class DenStats:
    """``StatsLookup``, counted over one list call: the newest 100 events of the one sync, or of the organisation."""

    def __init__(self, name: str, events: DenEvents) -> None:
        self._name = name
        self._events = events

    async def find_stats(self, ids: Sequence[str]) -> Sequence[Found[SyncStats]]:
        asked = {one for one in ids if typeid.TARGET.fullmatch(one)}
        counted = await self._counted(asked) if asked else {}
        if isinstance(counted, UpstreamError):
            return [counted if one in asked else None for one in ids]
        return [counted.get(one) for one in ids]

    async def _counted(self, ids: set[str]) -> dict[str, SyncStats] | UpstreamError:
        scope = Scope(sync_id=next(iter(ids))) if len(ids) == 1 else ALL
        page = await or_error(self._events.page(scope, first=MAX_PAGE, after=None))
        if isinstance(page, UpstreamError):
            return page
        coverage = Coverage.FULL if page.next is None else Coverage.WINDOW
        groups = grouped(page.items)
        return {one: self._stats(groups.get(Scope(sync_id=one), ()), coverage) for one in ids}

    def _stats(self, events: Sequence[wire.Event], coverage: Coverage) -> SyncStats:
        runs = [mapping.run(self._name, event) for event in events]
        return observed(runs, coverage, records_total=_records_total(runs))


def _records_total(runs: Sequence[SyncRun]) -> int | None:
    """None unless every run tells all of its records: a sum over some would look like the whole."""
    counts = [run.records.processed if run.records else None for run in runs]
    whole = [count.value for count in counts if count is not None and count.relation is CountRelation.EQ]
    return sum(whole) if runs and len(whole) == len(runs) else None
