"""Den's events, of the organisation, of one connector or of one target."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from syncgraph.domain.model import Coverage
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, or_error
from syncgraph.ports import ALL, Found, Scope
from syncgraph.providers.den import typeid, wire
from syncgraph.providers.den.paging import HEAD, Lists, Walked
from syncgraph.upstream.client import Upstream, segment
from syncgraph.upstream.reading import RUNNING_S

PATH = "/v1/connector-sync-events"
FINISHED_S = 120.0
"""How long a finished event counts as fresh: a retry takes it back to the queue."""


class DenEvents:
    """What runs, counts and, under the contract of events only, connectors and syncs are read from.

    Every list call makes the server read all events of the organisation, so many scopes are one walk, grouped here.
    """

    def __init__(self, upstream: Upstream, lists: Lists) -> None:
        self._upstream = upstream
        self._lists = lists

    async def find(self, id: str) -> Found[wire.Event]:
        if typeid.EVENT.fullmatch(id) is None:
            return None
        answer = self._upstream.find(
            f"{PATH}/{segment(id)}", wire.EVENT, lives=_lives_s, is_asked=lambda detail: detail.item.id == id
        )
        detail = await or_error(answer)
        return detail.item if isinstance(detail, wire.Detail) else detail

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[wire.Event]:
        if not _is_askable(scope):
            return Page([])
        page = await self._lists.page(PATH, wire.EVENTS, first=first, after=after, where=_where(scope))
        return Page(page.items, page.next_cursor)

    async def heads(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[wire.Event] | UpstreamError]:
        """The head of each scope: one filtered call for one, one walk for many.

        The walk stops when at most one scope is not filled: a filtered call serves that one for sure, where the next
        page only may.
        """
        if len(scopes) == 1 or any(scope.status is not None for scope in scopes):
            heads = (or_error(self.page(scope, first=first, after=None)) for scope in scopes)
            return await asyncio.gather(*heads)
        askable = [scope for scope in scopes if _is_askable(scope)]
        if not askable:
            return [Page([]) for _ in scopes]
        walked = await self._lists.walk(
            PATH, wire.EVENTS, is_enough=lambda rows: _unfilled(grouped(rows), askable, first) <= 1
        )
        groups = grouped(walked.rows)
        return [_head_in(walked, groups.get(scope, []), first) for scope in scopes]

    async def newest(self, scopes: Sequence[Scope]) -> Sequence[Found[wire.Event]]:
        """The newest event of each scope; None where there is none."""
        heads = await self.heads(scopes, first=1)
        return await asyncio.gather(*map(self._newest, scopes, heads))

    async def walk(self) -> Walked[wire.Event]:
        """The newest events of the organisation, each once, newest first."""
        walked = await self._lists.walk(PATH, wire.EVENTS)
        return Walked(in_order(walked.rows), walked.ended, walked.error)

    async def _newest(self, scope: Scope, head: Page[wire.Event] | UpstreamError) -> Found[wire.Event]:
        if isinstance(head, Page) and not head.items and head.next is not None:
            head = await or_error(self.page(scope, first=1, after=None))
        if isinstance(head, UpstreamError):
            return head
        return head.items[0] if head.items else None


def _lives_s(detail: wire.Detail[wire.Event]) -> float:
    return RUNNING_S if detail.item.completed_at is None else FINISHED_S


def grouped(events: Sequence[wire.Event]) -> Mapping[Scope, Sequence[wire.Event]]:
    """Under every scope that an event is of, in the order of the list and each once."""
    groups: defaultdict[Scope, list[wire.Event]] = defaultdict(list)
    for event in in_order(events):
        groups[ALL].append(event)
        groups[Scope(connector_id=event.connector_instance_id)].append(event)
        if event.connector_target_id is not None:
            groups[Scope(sync_id=event.connector_target_id)].append(event)
    return groups


def in_order(events: Sequence[wire.Event]) -> Sequence[wire.Event]:
    """Each event once, as last read, newest first: a walk that was sent back to the head meets rows again."""
    once = {event.id: event for event in events}
    return sorted(once.values(), key=lambda event: event.started_at, reverse=True)


def _unfilled(groups: Mapping[Scope, Sequence[wire.Event]], scopes: Sequence[Scope], first: int) -> int:
    return sum(len(groups.get(scope, ())) < first for scope in scopes)


def _head_in(
    walked: Walked[wire.Event], rows: Sequence[wire.Event], first: int
) -> Page[wire.Event] | UpstreamError:
    if walked.ended:
        return Page(rows)
    rest = rows[-1].id if rows else HEAD
    if len(rows) >= first:
        return Page(rows, rest)
    return walked.error or Page(rows, rest, Coverage.WINDOW)


def _where(scope: Scope) -> Mapping[str, str]:
    status = {} if scope.status is None else {"status": scope.status}
    if scope.sync_id is not None:
        return {"connectorTargetId": scope.sync_id, **status}
    return status if scope.connector_id is None else {"connectorInstanceId": scope.connector_id, **status}


def _is_askable(scope: Scope) -> bool:
    """An id of another shape is 400 at Den, and belongs to nothing."""
    if scope.sync_id is not None:
        return typeid.TARGET.fullmatch(scope.sync_id) is not None
    return scope.connector_id is None or typeid.INSTANCE.fullmatch(scope.connector_id) is not None
