"""How a connection field gets its page: arguments checked, cursor decoded, rows remembered, failures reported."""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import strawberry

from syncgraph.accounts import Opened
from syncgraph.domain.merge import START, rows_asked
from syncgraph.domain.model import RunStatus
from syncgraph.domain.page import Page
from syncgraph.errors import InvalidRequestError, UpstreamError, or_error
from syncgraph.graph.context import Info
from syncgraph.graph.filters import AnyFilter, filtered
from syncgraph.graph.limits import DEFAULT_FIRST, MAX_FIRST
from syncgraph.lists import Listing, Request, list_all, list_scope
from syncgraph.loaders import HeadKey, feed_of
from syncgraph.ports import Provider, Scope

T = TypeVar("T")


class OnSourceError(StrEnum):
    """What a connection does when a source fails midway."""

    PARTIAL = "PARTIAL"
    STOP = "STOP"


strawberry.enum(
    OnSourceError,
    description=(
        "What a connection does when a source fails midway. PARTIAL: go on without it and say so in `sources`, with a "
        "`gapCursor`. STOP: end the page at the last row known to be next; nothing is ever skipped."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """The arguments of a connection field, as the client gave them."""

    first: int | None = DEFAULT_FIRST
    after: str | None = None
    filter: AnyFilter | None = None
    on_source_error: OnSourceError | None = None

    @property
    def cursor(self) -> str | None:
        return None if self.after is strawberry.UNSET else self.after


async def page_of_all(info: Info, kind: str, paging: Paging) -> Listing[Any]:
    """One page of ``connectors``, ``syncs`` or ``runs`` over all providers."""
    request = _request(info, kind, "", paging, within=info.context.opened)
    return _remembered(info, await list_all(request, info.context.opened.values()))


async def page_of_provider(info: Info, opened: Opened, kind: str, paging: Paging) -> Listing[Any]:
    """One page of everything of one kind at one provider."""
    request = _request(info, kind, "", paging, within=(opened.provider.name,))
    return _remembered(info, await list_all(request, [opened]))


def page_of_scope(
    info: Info, provider: str, scope: Scope, kind: str, paging: Paging
) -> Awaitable[Listing[Any]] | None:
    """One page of one connector's or one sync's list; None where the provider has no such list."""
    opened = info.context.opened[provider]
    if feed_of(opened.provider, kind) is None:
        return None
    of_what = f"{provider}/{scope.connector_id or ''}/{scope.sync_id or ''}"
    request = _request(info, kind, of_what, paging, within=(provider,))
    return _page_of_scope(info, opened, scope, kind, request)


async def head_of(info: Info, provider: str, scope: Scope, kind: str, *, first: int) -> Page[Any]:
    """The newest rows of one list, batched with the other heads of this operation."""
    page: Page[Any] = await info.context.loaders.head.load(HeadKey(provider, kind, scope, first))  # type: ignore[assignment]
    return page


async def _page_of_scope(
    info: Info, opened: Opened, scope: Scope, kind: str, request: Request[Any]
) -> Listing[Any]:
    def head() -> Awaitable[Page[Any] | UpstreamError]:
        return or_error(
            head_of(info, opened.provider.name, scope, kind, first=rows_asked(request.first, None))
        )

    return _remembered(info, await list_scope(request, opened, scope, head))


def _narrowed(provider: Provider, scope: Scope, statuses: frozenset[RunStatus] | None) -> Sequence[Scope]:
    narrow = provider.run_narrowing
    return [scope] if statuses is None or narrow is None else narrow(scope, statuses)


def page_size(first: int | None) -> int:
    """Raises :class:`InvalidRequestError` when it is out of range."""
    size = DEFAULT_FIRST if first is None else first
    if not 1 <= size <= MAX_FIRST:
        raise InvalidRequestError(f"first: write a number from 1 to {MAX_FIRST}.")
    return size


def _request(info: Info, kind: str, of_what: str, paging: Paging, *, within: Iterable[str]) -> Request[Any]:
    after = paging.cursor
    size = page_size(paging.first)
    left = filtered(paging.filter, info.context.standings)

    def list_id(providers: Iterable[str]) -> str:
        named = [name for name in providers if left.providers is None or name in left.providers]
        return "|".join((kind, of_what, left.text, *named))

    own_id = list_id(within)
    return Request(
        list_id=list_id,
        first=size,
        place=info.context.cursors.decode(after, own_id) if after is not None else START,
        is_continued=after is not None,
        now=info.context.now,
        feed_of=lambda provider: feed_of(provider, kind),
        selection=left.selection,
        providers=left.providers,
        scopes=left.scopes,
        prepare=left.prepare,
        narrow=lambda provider, given: _narrowed(provider, given, left.statuses),
        stops=paging.on_source_error is OnSourceError.STOP,
    )


def _remembered(info: Info, listing: Listing[Any]) -> Listing[Any]:
    info.context.loaders.prime([row for row, _ in listing.rows])
    for source in listing.sources:
        if source.trouble is not None:
            info.context.report(source.trouble, info.path)
    return listing
