"""Den's lists: a limit of at most 100, and a cursor that says "after this id"."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

import msgspec

from syncgraph.errors import PaginationStalledError, UpstreamError
from syncgraph.providers.den import wire
from syncgraph.upstream.client import Upstream

T = TypeVar("T")

MAX_PAGE = 100
"""Den's largest limit. A list costs the server the same whatever its limit."""
MAX_WALK_PAGES = 3
"""Pages of events that one question may read: each can take the server seconds."""
HEAD = "head"
"""Our own continuation "from the beginning" for a list that was not yet seen in a walk over many."""


@dataclass(frozen=True, slots=True)
class Walked(Generic[T]):
    """The newest rows of a list. ``ended``: there are no more. ``error``: what stopped the walk."""

    rows: Sequence[T]
    ended: bool
    error: UpstreamError | None = None


class Lists:
    """Pages and walks; sees when a list leads in a circle.

    On a cursor that it no longer knows (a row deleted, or gone from the filter) Den silently starts at the head again:
    rows then repeat, which whoever joins pages can stand, but a circle would never end.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._steps: defaultdict[tuple[object, ...], dict[str | None, str | None]] = defaultdict(dict)

    async def page(
        self,
        path: str,
        decoder: msgspec.json.Decoder[wire.Listed[T]],
        *,
        first: int = MAX_PAGE,
        after: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> wire.Listed[T]:
        cursor = None if after == HEAD else after
        params = {**(where or {}), "limit": str(max(1, min(first, MAX_PAGE)))}
        if cursor is not None:
            params["cursor"] = cursor
        page = await self._upstream.get(path, decoder, params)
        steps = self._steps[path, tuple(sorted((where or {}).items()))]
        if _leads_back(steps, cursor, page.next_cursor):
            raise PaginationStalledError(
                "The provider's next page leads back to one that was read.", provider=self._upstream.name
            )
        steps[cursor] = page.next_cursor
        return page

    async def walk(
        self,
        path: str,
        decoder: msgspec.json.Decoder[wire.Listed[T]],
        *,
        is_enough: Callable[[Sequence[T]], bool] = lambda _rows: False,
        most: int | None = MAX_WALK_PAGES,
    ) -> Walked[T]:
        """Rows from the head on, until enough, the end, ``most`` pages or an error. Rows may repeat."""
        rows: list[T] = []
        after = None
        for _ in count() if most is None else range(most):
            try:
                page = await self.page(path, decoder, after=after)
            except UpstreamError as error:
                return Walked(rows, ended=False, error=error)
            rows += page.items
            after = page.next_cursor
            if after is None or is_enough(rows):
                break
        return Walked(rows, ended=after is None)


def _leads_back(steps: Mapping[str | None, str | None], after: str | None, next: str | None) -> bool:
    """Whether a step from ``after`` to ``next`` would close a circle; ``steps`` holds none."""
    at = next
    while at is not None and at != after:
        at = steps.get(at)
    return at is not None
