"""Timbal's lists come whole: how one is sorted into a page, and how things are found in one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from syncgraph.domain.model import Coverage, Key
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, or_error
from syncgraph.ports import Found

T = TypeVar("T")
_OLDEST = datetime.min.replace(tzinfo=UTC)


class Row(Protocol):
    """A connector, a sync or a run."""

    @property
    def key(self) -> Key: ...
    @property
    def ordered_at(self) -> datetime | None: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A whole list; not ``whole`` when there was more of it than we go on reading."""

    rows: Sequence[T]
    whole: bool

    @property
    def coverage(self) -> Coverage:
        return Coverage.FULL if self.whole else Coverage.WINDOW


def snapshot(rows: Iterable[R], coverage: Coverage) -> Page[R]:
    """The one page of a list: each row once, newest first, since Timbal promises no order."""
    once = {row.key: row for row in rows}.values()
    ordered = sorted(once, key=lambda row: (row.ordered_at or _OLDEST, row.key.id), reverse=True)
    return Page(ordered, None, coverage)


async def find_each(
    wanted: Sequence[str],
    one: Callable[[str], Awaitable[R | None]],
    listed: Callable[[], Awaitable[Listed[R]]],
) -> Mapping[str, Found[R]]:
    """``wanted`` for the least calls: one alone by itself, several out of their list."""
    if len(wanted) > 1:
        return await _in_list(wanted, one, listed)
    return {its: await or_error(one(its)) for its in wanted}


async def _in_list(
    wanted: Sequence[str],
    one: Callable[[str], Awaitable[R | None]],
    listed: Callable[[], Awaitable[Listed[R]]],
) -> Mapping[str, Found[R]]:
    """What the list was too long to show is asked for one by one."""
    try:
        answer = await listed()
    except UpstreamError as error:
        return dict.fromkeys(wanted, error)
    found: dict[str, Found[R]] = {row.key.id: row for row in answer.rows}
    missing = [] if answer.whole else [its for its in wanted if its not in found]
    rest = await asyncio.gather(*(or_error(one(its)) for its in missing))
    return {**found, **dict(zip(missing, rest, strict=True))}
