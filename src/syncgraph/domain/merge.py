"""One newest-first list out of several upstream lists; a pure step machine that somebody else asks the lists for.

``docs/pagination.md`` says why each rule is there. The order is total: newest ``ordered_at`` first (none: last), then
provider, then id. The watermark of a place decides what comes after it; page tokens and ended lists only save calls.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, Protocol, TypeVar

from syncgraph.domain.model import Coverage
from syncgraph.domain.page import Page
from syncgraph.errors import TieOverflowError

NO_TIME = 2**62
"""``Rank.age`` of what has no time: after everything that has one."""

LOOK_AHEAD = 2
"""Rows asked for beyond a page: one tells whether more follow, one that the one before has no twin."""

ROWS = 100
"""Rows asked for at least where a list goes on: a page of it may begin far above the place to go on from."""

MAX_PAGES = 5
"""Pages of one list read for one page of the merged one: then that page ends where the list was read to."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Key(Protocol):
    @property
    def provider(self) -> str: ...
    @property
    def id(self) -> str: ...


class Row(Protocol):
    @property
    def key(self) -> Key: ...
    @property
    def ordered_at(self) -> datetime | None: ...


T = TypeVar("T", bound=Row)


class Rank(NamedTuple):
    """A row's place in the total order; smaller is newer. ``age``: microseconds before 1970, so negative as a rule."""

    age: int
    provider: str
    id: str


def rank(row: Row) -> Rank:
    at = row.ordered_at
    return Rank(NO_TIME if at is None else -_microseconds(at), row.key.provider, row.key.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a merged list goes on.

    ``after``: the last row before it; None at the head. ``count``: rows before it.
    ``hints``: per list, the token of its earliest page that may still hold an unseen row. ``ended``: lists that have
    none, with what they could show and the age of their oldest row. ``detached``: lists left out since a failure, with the last row before that and
    the failure's code; a provider's name stands for all its lists.
    """

    after: Rank | None = None
    count: int = 0
    hints: Mapping[str, str] = field(default_factory=dict)
    ended: Mapping[str, tuple[Coverage, int | None]] = field(default_factory=dict)
    detached: Mapping[str, tuple[Rank | None, str]] = field(default_factory=dict)


START = Place()
_UNKNOWN_END = (Coverage.FULL, None)


def compacted(place: Place) -> Place:
    """The same place for fewer bytes: more calls to go on from it, and a provider is left out as a whole."""
    by_provider: dict[str, tuple[Rank | None, str]] = {}
    for source, (at, code) in place.detached.items():
        provider = source.partition("/")[0]
        others = [by_provider[provider][0]] if provider in by_provider else []
        by_provider[provider] = (_newest([at, *others]), code)
    return Place(after=place.after, count=place.count, detached=by_provider)


def gap_of(place: Place, provider: str) -> Place | None:
    """From where on rows of ``provider`` are missing, its other lists left out; None when none are."""
    missing = {source: at for source, (at, _) in place.detached.items() if covers((provider,), source)}
    if not missing:
        return None
    others = {*place.hints, *place.ended}
    healthy = [one for one in others if covers((provider,), one) and not covers(missing, one)]
    return Place(after=_newest(missing.values()), ended=dict.fromkeys(healthy, _UNKNOWN_END))


def _newest(frontiers: Iterable[Rank | None]) -> Rank | None:
    """The one before which nothing is missing anywhere; None is the head."""
    known = list(frontiers)
    return None if None in known else min(at for at in known if at is not None)


def still_detached(place: Place) -> Mapping[str, tuple[Rank | None, str]]:
    """The lists that stay out: something was emitted after they failed, so taking them back would hide a gap."""
    return {source: (at, code) for source, (at, code) in place.detached.items() if at != place.after}


def covers(names: Iterable[str], source: str) -> bool:
    """Whether one of ``names`` is the list, or stands for all lists of its provider."""
    return any(source == name or source.startswith(f"{name}/") for name in names)


@dataclass(slots=True)
class _List(Generic[T]):
    """What is known of one upstream list while a page is put together."""

    token: str | None = None
    """Of the next page to ask for."""
    done: bool = False
    last_age: int | None = None
    """Of the oldest row read; a row of the same age may have twins on the next page."""
    heap: list[Rank] = field(default_factory=list)
    rows: dict[Rank, tuple[T, int]] = field(default_factory=dict)
    """Unseen rows, each with the number of the page it came on."""
    tokens: list[str | None] = field(default_factory=list)
    coverage: Coverage = Coverage.FULL

    def is_ready(self) -> bool:
        """Whether nothing unread can come before the head: something strictly older was read, or all was."""
        return bool(self.heap) and (
            self.done or (self.last_age is not None and self.heap[0].age < self.last_age)
        )

    def is_spent(self) -> bool:
        return self.done and not self.heap

    def hint(self) -> str | None:
        pages = [page for _, page in self.rows.values()]
        return self.tokens[min(pages)] if pages else self.token

    def pop(self) -> T:
        return self.rows.pop(heapq.heappop(self.heap))[0]


@dataclass(frozen=True, slots=True)
class Merged(Generic[T]):
    """One page: rows with the place after each, whether more follow, and where the page ends."""

    rows: Sequence[tuple[T, Place]]
    has_next: bool
    end: Place
    seen: int
    """Rows from the list's start that are known to exist."""
    is_whole: bool
    """Nothing exists beyond ``seen``."""
    coverage: Mapping[str, Coverage]
    horizons: Mapping[str, datetime]
    """Of the lists that were read to an end that is not the end of what exists: the oldest instant they show."""
    cut: frozenset[str]
    """The lists whose scan ended this page, before it was full: they go on from ``end``."""


@dataclass(frozen=True, slots=True)
class Selection(Generic[T]):
    """Which rows a merged list shows. ``oldest``: rows before it are shown by nobody, so lists end there."""

    keep: Callable[[T], bool] = lambda _row: True
    oldest: datetime | None = None


class Merge(Generic[T]):
    """Puts one page together: ask ``wanted()`` for lists, ``add`` or ``fail`` each, until none is wanted.

    ``stops``: a failure ends the page at the last row known to be next, where otherwise its list is left out.
    """

    def __init__(
        self,
        sources: Iterable[str],
        *,
        first: int,
        place: Place = START,
        selection: Selection[T] | None = None,
        stops: bool = False,
    ) -> None:
        self._first = first
        self._selection: Selection[T] = selection or Selection()
        self._stops = stops
        self._cut: set[str] = set()
        self._start = place
        self._after = place.after
        self._detached = dict(still_detached(place))
        self._lists: dict[str, _List[T]] = {
            source: _List(
                token=place.hints.get(source),
                done=source in place.ended,
                coverage=place.ended.get(source, _UNKNOWN_END)[0],
                last_age=place.ended.get(source, _UNKNOWN_END)[1],
            )
            for source in sources
            if not covers(self._detached, source)
        }
        self._hints: dict[str, str | None] = {
            source: hint for source, hint in place.hints.items() if covers(self._detached, source)
        }
        """Where to go on with lists that were left out, should they come back."""
        self._rows: list[tuple[T, Place]] = []
        self._has_next = False

    def wanted(self) -> Mapping[str, str | None]:
        """The lists whose next page is needed now, each with the token to ask for; empty: the page is complete."""
        while not self._has_next:
            blocked = {s: one for s, one in self._lists.items() if not one.done and not one.is_ready()}
            readable = {source: one.token for source, one in blocked.items() if source not in self._cut}
            if readable:
                return readable
            frontier = _frontier(blocked.values())
            heads = [(one.heap[0], source) for source, one in self._lists.items() if one.heap]
            ready = [head for head in heads if frontier is None or head[0] < frontier]
            if ready and len(self._rows) < self._first:
                self._emit(*min(ready))
                continue
            self._has_next = bool(ready) or frontier is not None
            if not ready and frontier is not None:
                # Nothing before the frontier is left: the next page need not look there again.
                self._after = frontier if self._after is None else max(self._after, frontier)
            break
        return {}

    def add(self, source: str, page: Page[T]) -> bool:
        """Take a page that was wanted. False when its list does not move on: its own token came back."""
        one = self._lists[source]
        if page.next is not None and page.next == one.token:
            return False
        one.tokens.append(one.token)
        for row in page.items:
            its = rank(row)
            if self._shows(row, its) and its not in one.rows:
                one.rows[its] = (row, len(one.tokens) - 1)
                heapq.heappush(one.heap, its)
        if page.items:
            one.last_age = rank(page.items[-1]).age
        is_past = bool(page.items) and self._is_too_old(page.items[-1])
        one.token, one.done, one.coverage = page.next, page.next is None or is_past, page.coverage
        if not one.done and len(one.tokens) >= MAX_PAGES and not one.is_ready():
            if one.heap:
                # All that was read is of one instant, so none of it can be shown before the rest of it is known.
                self.fail(source, TieOverflowError.code)
            else:
                self._cut.add(source)
        return True

    def _shows(self, row: T, its: Rank) -> bool:
        is_new = self._after is None or its > self._after
        return is_new and not self._is_too_old(row) and self._selection.keep(row)

    def _is_too_old(self, row: T) -> bool:
        oldest = self._selection.oldest
        return oldest is not None and row.ordered_at is not None and row.ordered_at < oldest

    def fail(self, source: str, code: str) -> None:
        """Leave a list out from here on: its rows after the watermark are missing. Or end the page before them."""
        if self._stops:
            self._has_next = True
            return
        one = self._lists.pop(source, None)
        hint = one.hint() if one is not None else None
        if hint is not None:
            self._hints[source] = hint
        self._detached[source] = (self._after, code)

    def page(self) -> Merged[T]:
        buffered = sum(len(one.rows) for one in self._lists.values())
        whole = not self._detached and all(one.done for one in self._lists.values())
        return Merged(
            rows=self._rows,
            has_next=self._has_next,
            end=self._place(),
            seen=self._start.count + len(self._rows) + buffered,
            is_whole=whole and all(one.coverage is Coverage.FULL for one in self._lists.values()),
            coverage={source: one.coverage for source, one in self._lists.items()},
            horizons={
                source: _instant(one.last_age)
                for source, one in self._lists.items()
                if one.done and one.coverage is not Coverage.FULL and one.last_age not in {None, NO_TIME}
            },
            cut=frozenset(self._cut) if self._has_next and len(self._rows) < self._first else frozenset(),
        )

    @property
    def detached(self) -> Mapping[str, str]:
        """The lists left out, each with the code of the failure."""
        return {source: code for source, (_, code) in self._detached.items()}

    def _emit(self, at: Rank, source: str) -> None:
        row = self._lists[source].pop()
        self._after = at
        self._rows.append((row, self._place(emitted=len(self._rows) + 1)))

    def _place(self, emitted: int | None = None) -> Place:
        live = {source: one for source, one in self._lists.items() if not one.is_spent()}
        hints = self._hints | {source: one.hint() for source, one in live.items()}
        return Place(
            after=self._after,
            count=self._start.count + (len(self._rows) if emitted is None else emitted),
            hints={source: hint for source, hint in hints.items() if hint is not None},
            ended={s: (one.coverage, one.last_age) for s, one in self._lists.items() if one.is_spent()},
            detached=dict(self._detached),
        )


def _frontier(lists: Iterable[_List[T]]) -> Rank | None:
    """Before it, nothing unread is left in ``lists``; None when there are none."""
    ages = [-NO_TIME if one.last_age is None else one.last_age for one in lists]
    return Rank(min(ages), "", "") if ages else None


def rows_asked(first: int, token: str | None) -> int:
    """How many rows to ask a list for, to fill a page of ``first``."""
    return first + LOOK_AHEAD if token is None else max(first + LOOK_AHEAD, ROWS)


def _instant(age: int | None) -> datetime:
    assert age is not None
    return _EPOCH - timedelta(microseconds=age)


def _microseconds(at: datetime) -> int:
    """Exact, unlike ``timestamp()``: two instants a microsecond apart stay apart."""
    seconds = int(at.replace(microsecond=0).timestamp())
    return seconds * 1_000_000 + at.microsecond
