"""The invariants of docs/pagination.md on the real engine: feeds of every class, ties everywhere, changes, failures.

``make test-deep`` runs each property with 4,000 examples. The last part breaks the engine by hand: every break must be
seen by one of the same properties, or they would prove nothing.
"""

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.gateway import NOW
from tests.test_merge import ByCursor, DownError, Growing, Item, Snapshot, Table, at, truth

from syncgraph import lists as engine
from syncgraph.accounts import Opened, Used
from syncgraph.domain import merge
from syncgraph.domain.merge import START, Place, rank
from syncgraph.domain.model import ProviderKind
from syncgraph.domain.page import Page
from syncgraph.errors import UpstreamError, UpstreamUnavailableError
from syncgraph.graph.cursors import Cursors
from syncgraph.lists import Listing, Request, list_all
from syncgraph.ports import ALL, Provider, Scope, heads
from syncgraph.providers.airweave import offset
from syncgraph.providers.airweave.offset import OffsetList

CURSORS = Cursors(b"engine tests")
LOOP = asyncio.new_event_loop()
"""One loop for all pages: making one costs more than a page."""
EXAMPLES = int(os.environ.get("SYNCGRAPH_EXAMPLES", "200"))
deep = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 200,
    suppress_health_check=list(HealthCheck),
)


class Offset(Table):
    """skip and limit, ties in an order that changes with every call: read by the real walk of Airweave's lists."""

    def __init__(self, name: str, minutes: Any) -> None:
        super().__init__(name, [0 if minute is None else minute for minute in minutes])
        self._random = random.Random(7)
        self._walk = OffsetList(fetch=self._fetch, time=_time, most=100, provider=name)

    async def read(self, token: str | None, first: int) -> Page[Item]:
        rows, rest = await self._walk.page(token, limit=min(first, self.largest))
        return Page(rows, rest)

    async def _fetch(self, skip: int, limit: int) -> Sequence[Item]:
        self.calls += 1
        if self.is_down():
            raise UpstreamUnavailableError("down", provider=self.name)
        items = self.items()
        self._random.shuffle(items)
        items.sort(key=_time, reverse=True)
        return items[skip : skip + limit]


def _time(item: Item) -> Any:
    return item.ordered_at


class TableFeed:
    """A list as the engine meets it."""

    def __init__(self, table: Table) -> None:
        self.table = table

    async def scopes(self) -> Sequence[Scope]:
        return [ALL]

    async def page(self, scope: Scope, *, first: int, after: str | None) -> Page[Item]:
        if isinstance(self.table, Offset):
            return await self.table.read(after, first)
        try:
            return self.table.page(after, first)
        except DownError:
            raise UpstreamUnavailableError("down", provider=self.table.name) from None

    async def first_pages(
        self, scopes: Sequence[Scope], *, first: int
    ) -> Sequence[Page[Item] | UpstreamError]:
        return await heads(self, scopes, first=first)


class NoMeter:
    calls = 0
    used = Used()

    async def close(self) -> None: ...


def opened(table: Table) -> Opened:
    provider = Provider(
        name=table.name,
        kind=ProviderKind.DEN,
        contract="",
        capabilities=frozenset(),
        probe=None,  # type: ignore[arg-type]  # nobody asks a doctor here
        run_feed=TableFeed(table),  # type: ignore[arg-type]  # rows with a key and a time are all the engine needs
    )
    return Opened(provider, NoMeter())


def read(tables: Sequence[Table], first: int, place: Place = START, *, stops: bool = False) -> Listing[Any]:
    request: Request[Any] = Request(
        list_id=lambda _names: "runs",
        first=first,
        place=place,
        is_continued=place is not START,
        now=NOW,
        feed_of=lambda provider: provider.run_feed,
        stops=stops,
    )
    return LOOP.run_until_complete(list_all(request, [opened(table) for table in tables]))


def later(place: Place) -> Place:
    """The place as the next request gets it back."""
    return CURSORS.decode(CURSORS.encode(place, "runs"), "runs")


def ids_of(listing: Listing[Any]) -> list[str]:
    return [row.key.id for row, _ in listing.rows]


def walk(tables: Sequence[Table], sizes: Sequence[int], place: Place = START) -> list[str]:
    ids: list[str] = []
    for n in range(300):
        page = read(tables, sizes[n % len(sizes)], place)
        ids += ids_of(page)
        if not page.has_next:
            return ids
        place = later(page.end)
    raise AssertionError("the list does not end")


KINDS = [ByCursor, Growing, Snapshot, Offset]
times = st.one_of(st.none(), st.integers(0, 12))
shapes = st.lists(st.tuples(st.sampled_from(KINDS), st.lists(times, max_size=25)), min_size=1, max_size=4)
sizes = st.lists(st.integers(1, 7), min_size=1, max_size=4)
chances = st.randoms(use_true_random=False)


def built(spec: Sequence[tuple[type[Table], Sequence[int | None]]]) -> list[Table]:
    return [kind(f"s{n}", minutes) for n, (kind, minutes) in enumerate(spec)]


def every_row_once_and_in_order(spec: Any, sizes: Sequence[int], _: random.Random) -> None:
    """I1 I2 I3 I9."""
    tables = built(spec)

    assert walk(tables, sizes) == truth(tables)


def resuming_after_any_edge_gives_the_rows_after_it(
    spec: Any, sizes: Sequence[int], chance: random.Random
) -> None:
    """I4 I7: with its hints, and without."""
    tables = built(spec)
    page = read(tables, sizes[0])
    if page.rows:
        row, place = chance.choice(list(page.rows))
        whole = truth(tables)
        rest = whole[whole.index(row.key.id) + 1 :]
        without = Place(after=place.after, count=place.count)

        assert walk(tables, sizes, later(place)) == rest
        assert walk(tables, sizes, later(without)) == rest


def rows_that_stay_put_are_delivered_once_under_change(
    spec: Any, sizes: Sequence[int], chance: random.Random
) -> None:
    """I5: inserts at the head, deletes anywhere, rows that move to the head."""
    tables = built(spec)
    still = {row: one for one in tables for row in one.minutes}
    got: list[str] = []
    place, clock = START, 100
    for n in range(300):
        page = read(tables, sizes[n % len(sizes)], place)
        got += ids_of(page)
        if not page.has_next:
            break
        place = later(page.end)
        if n < 12:
            clock += 1
            table = chance.choice(tables)
            row = chance.choice(sorted(table.minutes)) if table.minutes else None
            what = chance.choice(["insert", "delete", "move", "nothing"])
            if what == "insert":
                table.minutes[f"{table.name}-n{clock}"] = clock
            elif row is not None and what in {"delete", "move"}:
                still.pop(row, None)
                if what == "delete":
                    del table.minutes[row]
                else:
                    table.minutes[row] = clock
    else:
        raise AssertionError("the list does not end")

    assert len(got) == len(set(got)), "a row came twice"
    assert still.keys() <= set(got), f"missing: {sorted(still.keys() - set(got))}"


def no_gap_is_silent_and_its_cursor_reads_it(spec: Any, sizes: Sequence[int], chance: random.Random) -> None:
    """I8: a quarter of the calls fail; what is missing is of a list that says so, and is read from its gap."""
    tables = built(spec)
    for table in tables:
        table.is_down = lambda: chance.random() < 0.25
    got: list[str] = []
    place = START
    for n in range(300):
        page = read(tables, sizes[n % len(sizes)], place)
        got += ids_of(page)
        if not page.has_next:
            break
        place = later(page.end)
    else:
        raise AssertionError("the list does not end")
    missing = set(truth(tables)) - set(got)
    gaps = {source.provider.name: source.gap for source in page.sources if source.gap is not None}
    assert len(got) == len(set(got)), "a row came twice"
    assert {row.partition("-")[0] for row in missing} <= set(gaps), "a silent gap"

    for table in tables:
        table.is_down = lambda: False
    for table in tables:
        gap = gaps.get(table.name)
        if gap is not None:
            back = walk([table], [5], later(gap))
            assert {row for row in missing if row.startswith(f"{table.name}-")} == set(back) - set(got)
            assert not set(back) & set(got), "the gap's cursor gives what was given"


def stopping_misses_nothing(spec: Any, sizes: Sequence[int], chance: random.Random) -> None:
    """I8 with STOP: pages end before a failure, and the client asks again."""
    tables = built(spec)
    for table in tables:
        table.is_down = lambda: chance.random() < 0.25
    got: list[str] = []
    place = START
    for n in range(3000):
        page = read(tables, sizes[n % len(sizes)], place, stops=True)
        got += ids_of(page)
        if not page.has_next:
            break
        place = later(page.end)
    else:
        raise AssertionError("the list does not end")

    assert got == truth(tables)


def an_offset_survives_deletes_of_rows_that_were_passed(
    spec: Any, sizes: Sequence[int], chance: random.Random
) -> None:
    """I5, aimed at the witness: everything slips up while the list is walked."""
    minutes = [minute % 7 for _, listed in spec for minute in listed if minute is not None]
    table = Offset("s0", minutes)
    whole = truth([table])
    got: list[str] = []
    place = START
    for _ in range(300):
        page = read([table], min(sizes), place)
        got += ids_of(page)
        if not page.has_next:
            break
        place = later(page.end)
        for row in got:
            if row in table.minutes and chance.random() < 0.25:
                del table.minutes[row]
    else:
        raise AssertionError("the list does not end")

    assert got == whole


PROPERTIES: Mapping[str, Callable[[Any, Sequence[int], random.Random], None]] = {
    check.__name__: check
    for check in (
        every_row_once_and_in_order,
        resuming_after_any_edge_gives_the_rows_after_it,
        rows_that_stay_put_are_delivered_once_under_change,
        no_gap_is_silent_and_its_cursor_reads_it,
        stopping_misses_nothing,
        an_offset_survives_deletes_of_rows_that_were_passed,
    )
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_engine_keeps(name):
    @deep
    @given(shapes, sizes, chances)
    def holds(spec, sizes, chance):
        PROPERTIES[name](spec, sizes, chance)

    holds()


@deep
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=4),
    st.integers(1, 20),
    st.integers(0, 3),
)
def test_a_first_page_asks_each_list_once_and_a_later_one_at_most_twice(lengths, first, hops):
    """I6, for cursors and distinct times."""
    tables = [
        ByCursor(f"s{n}", [minute * 10 + n for minute in range(length)]) for n, length in enumerate(lengths)
    ]
    place = START
    for hop in range(hops + 1):
        for table in tables:
            table.calls = 0
        page = read(tables, first, place)
        assert max(table.calls for table in tables) <= (1 if hop == 0 else 2)
        if not page.has_next:
            break
        place = later(page.end)


def first_violation(check: Callable[[Any, Sequence[int], random.Random], None], examples: int) -> int | None:
    """The first of so many examples, the same every time, that breaks ``check``."""
    for seed in range(examples):
        chance = random.Random(seed)
        spec = [
            (chance.choice(KINDS), [chance.choice([None, *range(13)]) for _ in range(chance.randrange(26))])
            for _ in range(chance.randrange(1, 5))
        ]
        try:
            check(spec, [chance.randrange(1, 8) for _ in range(chance.randrange(1, 5))], chance)
        except (AssertionError, ValueError):
            return seed
    return None


def no_tie_closure(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge._List, "is_ready", lambda self: bool(self.heap))


def always_reattach(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "still_detached", lambda _place: {})
    patch.setattr(engine, "still_detached", lambda _place: {})


def hint_one_page_too_far(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge._List, "hint", lambda self: self.token)


def no_watermark_filter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge.Merge, "_shows", lambda _self, _row, _its: True)


def weak_witness(patch: pytest.MonkeyPatch) -> None:
    async def from_witness(self: Any, place: Any, limit: int) -> Any:
        if place is None:
            return 0, await self.fetch(0, limit)
        skip, step = place.skip - 1, 1
        rows = await self.fetch(skip, limit)
        while skip > 0 and (not rows or self.time(rows[0]) < place.at):
            skip, step = max(0, skip - step), step * 2
            rows = await self.fetch(skip, limit)
        return skip, rows

    patch.setattr(offset.OffsetList, "_from_witness", from_witness)


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_engine_as_it_is_breaks_none_of_the_fixed_examples(name):
    assert first_violation(PROPERTIES[name], 60) is None


@pytest.mark.parametrize(
    ("mutation", "seen_by"),
    [
        (no_tie_closure, every_row_once_and_in_order),
        (always_reattach, no_gap_is_silent_and_its_cursor_reads_it),
        (hint_one_page_too_far, every_row_once_and_in_order),
        (no_watermark_filter, rows_that_stay_put_are_delivered_once_under_change),
        (weak_witness, an_offset_survives_deletes_of_rows_that_were_passed),
    ],
)
def test_breaking_the_engine_by_hand_is_seen(monkeypatch, mutation, seen_by):
    mutation(monkeypatch)

    assert first_violation(seen_by, 400) is not None


def test_the_fakes_are_sorted_as_the_engine_sorts():
    table = ByCursor("s0", [3, None, 3, 1])

    assert [item.key.id for item in sorted(table.items(), key=rank)] == truth([table])
    assert at(None) is None
