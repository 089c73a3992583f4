"""How a connection field gets its page: arguments checked, cursor decoded, rows remembered, failures reported."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import strawberry

from syncgraph.accounts import Opened
from syncgraph.domain.merge import START, rows_asked
from syncgraph.domain.page import Page
from syncgraph.errors import InvalidRequestError, UpstreamError, or_error
from syncgraph.graph.context import Info
from syncgraph.lists import Listing, Request, list_all, list_scope
from syncgraph.loaders import HeadKey, feed_of
from syncgraph.ports import Scope

T = TypeVar("T")

DEFAULT_FIRST = 20
MAX_FIRST = 100
"""Rows of one page at most."""


async def page_of_all(info: Info, kind: str, *, first: int | None, after: str | None) -> Listing[Any]:
    """One page of ``connectors``, ``syncs`` or ``runs`` over all providers."""
    request = _request(info, kind, f"{kind}@{','.join(info.context.opened)}", first, after)
    return _remembered(info, await list_all(request, info.context.opened.values()))


async def page_of_provider(
    info: Info, opened: Opened, kind: str, *, first: int | None, after: str | None
) -> Listing[Any]:
    """One page of everything of one kind at one provider."""
    request = _request(info, kind, f"{kind}@{opened.provider.name}", first, after)
    return _remembered(info, await list_all(request, [opened]))


def page_of_scope(
    info: Info, provider: str, scope: Scope, kind: str, *, first: int | None, after: str | None
) -> Awaitable[Listing[Any]] | None:
    """One page of one connector's or one sync's list; None where the provider has no such list."""
    opened = info.context.opened[provider]
    if feed_of(opened.provider, kind) is None:
        return None
    list_id = f"{kind}@{provider}/{scope.connector_id or ''}/{scope.sync_id or ''}"
    request = _request(info, kind, list_id, first, after)
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


def _request(info: Info, kind: str, list_id: str, first: int | None, after: str | None) -> Request[Any]:
    after = None if after is strawberry.UNSET else after
    size = DEFAULT_FIRST if first is None else first
    if not 1 <= size <= MAX_FIRST:
        raise InvalidRequestError(f"first: write a number from 1 to {MAX_FIRST}.")
    return Request(
        list_id=list_id,
        first=size,
        place=info.context.cursors.decode(after, list_id) if after is not None else START,
        is_continued=after is not None,
        now=info.context.now,
        feed_of=lambda provider: feed_of(provider, kind),
    )


def _remembered(info: Info, listing: Listing[Any]) -> Listing[Any]:
    info.context.loaders.prime([row for row, _ in listing.rows])
    for source in listing.sources:
        if source.error is not None:
            info.context.report(source.error, info.path)
    return listing
