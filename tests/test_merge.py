import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncgraph.domain.merge import MAX_PAGES, START, Merge, Merged, Place, Rank, covers, rank, rows_asked
from syncgraph.domain.model import Coverage, RunKey
from syncgraph.domain.page import Page
from syncgraph.errors import TieOverflowError
from syncgraph.graph.cursors import Cursors

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
CURSORS = Cursors(b"merge tests")
LIST_ID = "runs@"

thorough = settings(max_examples=60, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Item:
    key: RunKey
    ordered_at: datetime | None


class DownError(Exception):
    """An upstream list that does not answer."""


class Table:
    """One upstream list: rows by id with the minute they are sorted by, None for a row without a time."""

    largest = 100

    def __init__(self, name: str, minutes: Iterable[int | None]) -> None:
        self.name = name
        self.minutes = {f"{name}-{n:03d}": minute for n, minute in enumerate(minutes)}
        self.calls = 0
        self.is_down = lambda: False

    def page(self, token: str | None, first: int) -> Page[Item]:
        self.calls += 1
        if self.is_down():
            raise DownError
        return self._page(token, min(first, self.largest))

    def items(self) -> list[Item]:
        """Newest first; equal times by descending row_id, which is not the order of the merged list."""
        return [self._item(row_id) for row_id in sorted(self.minutes, key=self._newest_last, reverse=True)]

    def _page(self, token: str | None, first: int) -> Page[Item]:
        raise NotImplementedError

    def _item(self, row_id: str) -> Item:
        return Item(RunKey(self.name, row_id), at(self.minutes[row_id]))

    def _newest_last(self, row_id: str) -> tuple[bool, int, str]:
        minute = self.minutes[row_id]
        return minute is not None, minute or 0, row_id


class ByCursor(Table):
    """The token is the last id; an id that is gone, or not known, silently starts at the head again."""

    def _page(self, token: str | None, first: int) -> Page[Item]:
        items = self.items()
        ids = [item.key.id for item in items]
        start = ids.index(token) + 1 if token in ids else 0
        shown = items[start : start + first]
        return Page(shown, shown[-1].key.id if start + first < len(items) else None)


class Growing(Table):
    """Shows the newest so many, with no way to leave the first out; the token is how many."""

    most = 1000

    def _page(self, token: str | None, first: int) -> Page[Item]:
        items = self.items()
        asked = min(self.most, int(token or 0) + first)
        if asked >= len(items):
            return Page(items)
        if asked == self.most:
            return Page(items[:asked], coverage=Coverage.WINDOW)
        return Page(items[:asked], str(asked))


class Snapshot(Table):
    """One answer holds all there is to see."""

    window = 1000

    def _page(self, token: str | None, first: int) -> Page[Item]:
        items = self.items()
        hidden = len(items) > self.window
        return Page(items[: self.window], coverage=Coverage.WINDOW if hidden else Coverage.FULL)


Shape = tuple[type[Table], list[int | None]]
some_times: st.SearchStrategy[int | None] = st.one_of(st.none(), st.integers(0, 12))
"""So few that ties are everywhere, within a list and across lists."""
some_shapes = st.lists(
    st.tuples(st.sampled_from([ByCursor, Growing, Snapshot]), st.lists(some_times, max_size=25)),
    min_size=1,
    max_size=4,
)
some_sizes = st.lists(st.integers(1, 7), min_size=1, max_size=4)


def at(minute: int | None) -> datetime | None:
    return None if minute is None else EPOCH + timedelta(minutes=minute)


def tables(shapes: Sequence[Shape]) -> list[Table]:
    return [kind(f"s{n}", minutes) for n, (kind, minutes) in enumerate(shapes)]


def truth(lists: Iterable[Table]) -> list[str]:
    """All ids in the one order: newest first, none last, then by provider, then by id."""
    rows = [
        (minute is None, -(minute or 0), one.name, row_id)
        for one in lists
        for row_id, minute in one.minutes.items()
    ]
    return [row_id for *_, row_id in sorted(rows)]


def read(lists: Iterable[Table], first: int, place: Place = START) -> tuple[Merged[Item], Mapping[str, str]]:
    """One page, and the lists it had to leave out."""
    by_name = {one.name: one for one in lists}
    merge: Merge[Item] = Merge(by_name, first=first, place=place)
    while wanted := merge.wanted():
        for name, token in wanted.items():
            try:
                page = by_name[name].page(token, rows_asked(first, token))
            except DownError:
                merge.fail(name, "UPSTREAM_TIMEOUT")
            else:
                if not merge.add(name, page):
                    merge.fail(name, "PAGINATION_STALLED")
    return merge.page(), merge.detached


def later(place: Place) -> Place:
    """The place as the next request gets it back."""
    return CURSORS.decode(CURSORS.encode(place, LIST_ID), LIST_ID)


def walk(lists: Sequence[Table], sizes: Sequence[int], place: Place = START) -> list[str]:
    """All ids from ``place`` on, page by page."""
    ids: list[str] = []
    for n in range(1000):
        page, _ = read(lists, sizes[n % len(sizes)], place)
        assert len(page.rows) <= sizes[n % len(sizes)]
        ids += ids_of(page)
        if not page.has_next:
            return ids
        assert page.rows, "a page that is not the last brings something"
        place = later(page.end)
    raise AssertionError("the list does not end")


def ids_of(page: Merged[Item]) -> list[str]:
    return [row.key.id for row, _ in page.rows]


@thorough
@given(some_shapes, some_sizes)
def test_a_walk_gives_every_row_once_and_in_order(shapes, sizes):
    lists = tables(shapes)

    assert walk(lists, sizes) == truth(lists)


@thorough
@given(some_shapes, some_sizes)
def test_the_order_is_that_of_ranks(shapes, sizes):
    items = [item for one in tables(shapes) for item in one.items()]

    assert [item.key.id for item in sorted(items, key=rank)] == truth(tables(shapes))


@thorough
@given(st.datetimes(timezones=st.just(UTC)), st.integers(1, 10**6))
def test_ranks_tell_instants_a_microsecond_apart(instant, microseconds):
    try:
        newer = instant + timedelta(microseconds=microseconds)
    except OverflowError:
        return
    older, newer_rank = (rank(Item(RunKey("p", "x"), when)) for when in (instant, newer))

    assert older.age - newer_rank.age == microseconds
    assert older < rank(Item(RunKey("a", "a"), None))


@thorough
@given(some_shapes, st.integers(1, 7), st.data())
def test_resuming_after_any_row_gives_exactly_the_rows_after_it(shapes, first, data):
    lists = tables(shapes)
    page, _ = read(lists, first)
    if not page.rows:
        return
    row, place = data.draw(st.sampled_from(list(page.rows)))
    whole = truth(lists)

    assert walk(lists, [data.draw(st.integers(1, 7))], later(place)) == whole[whole.index(row.key.id) + 1 :]


@thorough
@given(some_shapes, some_sizes, st.sampled_from(["none", "unknown"]))
def test_hints_do_not_matter(shapes, sizes, spoiled):
    lists = tables(shapes)
    by_cursor = {one.name for one in lists if isinstance(one, ByCursor)}
    place, shown = START, []
    for n in range(4):
        page, _ = read(lists, sizes[n % len(sizes)], place)
        shown += ids_of(page)
        hints = {name: "no-such-row" if name in by_cursor else "2" for name in page.end.hints}
        place = replace(page.end, hints=hints if spoiled == "unknown" else {}, ended={})

    assert shown + (walk(lists, sizes, place) if page.has_next else []) == truth(lists)


@thorough
@given(some_shapes, some_sizes, st.randoms(use_true_random=False))
def test_rows_that_stay_put_are_delivered_once_while_others_come_go_and_move_to_the_head(
    shapes, sizes, chance
):
    lists = tables(shapes)
    shown: list[tuple[Item, Place]] = []
    still, place = set(truth(lists)), START
    for n in range(1000):
        page, _ = read(lists, sizes[n % len(sizes)], place)
        shown += page.rows
        if not page.has_next:
            break
        place = later(page.end)
        if n < 12:
            still -= change(chance.choice(lists), 100 + n, chance)

    keys = [rank(row) for row, _ in shown]
    ids = [row.key.id for row, _ in shown]
    assert keys == sorted(set(keys))
    assert len(ids) == len(set(ids))
    assert still <= set(ids)


def change(table: Table, now: int, chance: random.Random) -> set[str]:
    """Something happens upstream; the ids that did not stay where they were."""
    what = chance.choice(["insert", "delete", "move", "nothing"])
    if what == "insert":
        table.minutes[f"{table.name}-new{now}"] = now
    elif what in {"delete", "move"} and table.minutes:
        row_id = chance.choice(sorted(table.minutes))
        del table.minutes[row_id]
        if what == "move":
            table.minutes[row_id] = now
        return {row_id}
    return set()


@thorough
@given(some_shapes, some_sizes, st.randoms(use_true_random=False))
def test_every_row_that_is_missing_belongs_to_a_list_reported_as_detached(shapes, sizes, chance):
    lists = tables(shapes)
    for one in lists:
        one.is_down = lambda: chance.random() < 0.25
    owner = {row_id: one.name for one in lists for row_id in one.minutes}
    whole, shown, place = truth(lists), [], START
    for n in range(1000):
        page, detached = read(lists, sizes[n % len(sizes)], place)
        shown += ids_of(page)
        passed = whole if not page.has_next else whole[: whole.index(shown[-1]) + 1]
        assert {owner[row_id] for row_id in passed if row_id not in shown} <= set(detached)
        assert set(detached.values()) <= {"UPSTREAM_TIMEOUT"}
        if not page.has_next:
            break
        place = later(page.end)

    assert [row_id for row_id in whole if row_id in shown] == shown


@thorough
@given(some_shapes, some_sizes, st.randoms(use_true_random=False))
def test_a_list_that_failed_can_be_read_on_from_where_it_was_left(shapes, sizes, chance):
    lists = tables(shapes)
    broken = chance.choice(lists)
    broken.is_down = lambda: chance.random() < 0.5
    shown, place = [], START
    for n in range(1000):
        page, detached = read(lists, sizes[n % len(sizes)], place)
        shown += ids_of(page)
        place = later(page.end)
        if not page.has_next:
            break
    broken.is_down = lambda: False
    if broken.name in detached:
        shown += walk([broken], sizes, Place(after=page.end.detached[broken.name][0]))

    assert sorted(shown) == sorted(truth(lists))


def test_a_list_that_failed_stays_out_and_reported_once_others_went_past_it():
    good, bad = ByCursor("good", range(20)), ByCursor("bad", range(20))
    bad.is_down = lambda: True
    page, detached = read([good, bad], 5)
    assert detached == {"bad": "UPSTREAM_TIMEOUT"}
    bad.is_down = lambda: False

    while page.has_next:
        page, detached = read([good, bad], 5, later(page.end))

        assert detached == {"bad": "UPSTREAM_TIMEOUT"}
        assert {row.key.provider for row, _ in page.rows} == {"good"}
        assert not page.is_whole


def test_a_list_that_failed_comes_back_when_nothing_was_emitted_past_it():
    one, other = ByCursor("one", [9, 8, 1]), ByCursor("other", [7, 6, 5, 4, 3])
    page, _ = read([one, other], 2)
    assert ids_of(page) == ["one-000", "one-001"]
    one.is_down = other.is_down = lambda: True
    page, detached = read([one, other], 2, later(page.end))
    assert (ids_of(page), set(detached)) == ([], {"one", "other"})
    one.is_down = other.is_down = lambda: False

    page, detached = read([one, other], 9, later(page.end))

    assert detached == {}
    assert ids_of(page) == ["other-000", "other-001", "other-002", "other-003", "other-004", "one-002"]


def test_rows_before_a_failure_are_not_lost():
    one = ByCursor("one", range(30, 0, -1))
    one.is_down = lambda: one.calls > 1
    merge: Merge[Item] = Merge(["one"], first=10)
    merge.add("one", one.page(None, 4))
    assert merge.wanted() == {"one": "one-003"}

    merge.fail("one", "UPSTREAM_TIMEOUT")

    assert merge.wanted() == {}
    page = merge.page()
    assert ids_of(page) == ["one-000", "one-001", "one-002"]
    assert page.end.detached == {"one": (page.end.after, "UPSTREAM_TIMEOUT")}


def test_places_before_a_failure_know_nothing_of_it():
    good, bad = ByCursor("good", [9, 3, 2, 1]), ByCursor("bad", [8, 7, 6, 5, 4])
    bad.is_down = lambda: bad.calls > 1

    merge: Merge[Item] = Merge(["good", "bad"], first=4)
    merge.add("good", good.page(None, 9))
    merge.add("bad", bad.page(None, 2))
    assert merge.wanted() == {"bad": "bad-001"}
    merge.fail("bad", "UPSTREAM_TIMEOUT")
    assert merge.wanted() == {}

    shown = [(row.key.id, set(place.detached)) for row, place in merge.page().rows]
    assert shown == [
        ("good-000", set()),
        ("bad-000", set()),
        ("good-001", {"bad"}),
        ("good-002", {"bad"}),
    ]


def test_a_detached_provider_stands_for_all_its_lists():
    place = Place(after=Rank(1, "p", "x"), detached={"acme": (None, "UPSTREAM_TIMEOUT")})

    merge: Merge[Item] = Merge(["acme/one", "acme/two", "acme-too", "other"], first=3, place=place)

    assert set(merge.wanted()) == {"acme-too", "other"}
    assert merge.detached == {"acme": "UPSTREAM_TIMEOUT"}


@pytest.mark.parametrize(
    ("names", "source", "is_covered"),
    [
        ((), "a", False),
        (("a",), "a", True),
        (("a",), "a/b", True),
        (("a",), "ab", False),
        (("a/b",), "a", False),
        (("x", "a"), "a/b/c", True),
    ],
)
def test_a_name_covers_itself_and_what_is_below_it(names, source, is_covered):
    assert covers(names, source) is is_covered


def test_a_page_token_that_comes_back_is_refused():
    merge: Merge[Item] = Merge(["loop"], first=5)
    rows = ByCursor("loop", range(9)).items()

    assert merge.add("loop", Page(rows[:2], "again"))
    assert merge.wanted() == {"loop": "again"}
    assert not merge.add("loop", Page(rows[2:4], "again"))
    assert merge.wanted() == {"loop": "again"}


def test_more_rows_of_one_instant_than_are_read_at_once_are_a_failure():
    endless, other = ByCursor("endless", [5] * 500), ByCursor("other", [9, 1])
    endless.largest = 3

    page, detached = read([endless, other], 1)

    assert endless.calls == MAX_PAGES
    assert detached == {"endless": TieOverflowError.code}
    assert ids_of(page) == ["other-000"]
    assert not page.is_whole


def test_a_list_is_not_given_up_when_its_last_page_settles_it():
    ties, other = ByCursor("ties", [5] * (3 * MAX_PAGES - 1) + [4]), ByCursor("other", [9])
    ties.largest = 3

    page, detached = read([ties, other], 2)

    assert (ties.calls, detached) == (MAX_PAGES, {})
    assert ids_of(page) == ["other-000", "ties-000"]


def test_a_small_page_may_follow_a_big_one():
    lists = [ByCursor("one", range(200, 0, -1))]
    big, _ = read(lists, 90)

    page, detached = read(lists, 1, later(big.end))

    assert (ids_of(page), detached) == (["one-090"], {})


def test_a_place_deep_in_a_list_is_found_again_without_its_hint_over_several_pages():
    deep = ByCursor("deep", range(2500, 0, -1))
    page, detached = read([deep], 5, Place(after=rank(deep.items()[2200])))
    assert (ids_of(page), page.has_next, set(page.cut), dict(detached)) == ([], True, {"deep"}, {})

    empty = 0
    while not page.rows:
        page, detached = read([deep], 5, later(page.end))
        empty += 1

    assert ids_of(page) == [f"deep-{n:03d}" for n in range(2201, 2206)]
    assert (empty, detached) == (4, {})


@thorough
@given(some_shapes, some_sizes, st.randoms(use_true_random=False), st.booleans())
def test_totals_are_never_wrong(shapes, sizes, chance, fails):
    lists = tables(shapes)
    for one in lists:
        one.is_down = lambda: fails and chance.random() < 0.2
    exists, shown, place = len(truth(lists)), 0, START
    for n in range(1000):
        page, detached = read(lists, sizes[n % len(sizes)], place)
        shown += len(page.rows)
        assert shown <= page.seen <= exists
        assert [place.count for _, place in page.rows] == list(range(shown - len(page.rows) + 1, shown + 1))
        assert page.end.count == shown
        assert not page.is_whole or page.seen == exists
        if not page.has_next:
            assert page.is_whole is (not detached)
            return
        place = later(page.end)


@thorough
@given(some_shapes, some_sizes)
def test_a_next_page_is_promised_exactly_when_there_is_one(shapes, sizes):
    lists = tables(shapes)
    page, _ = read(lists, sizes[0])

    assert page.has_next is (len(truth(lists)) > sizes[0])


def test_a_window_is_never_counted_as_all_there_is():
    recent = Snapshot("recent", range(30, 0, -1))
    recent.window = 10

    page, _ = read([recent], 20)

    assert (page.seen, page.is_whole, page.has_next) == (10, False, False)
    assert page.coverage == {"recent": Coverage.WINDOW}
    assert page.horizons == {"recent": at(21)}


def test_a_list_that_is_whole_has_no_horizon():
    page, _ = read([Snapshot("all", [3, 2, 1])], 20)

    assert (page.coverage, page.horizons) == ({"all": Coverage.FULL}, {})


def test_a_capped_list_has_its_horizon_only_when_it_was_read_that_far():
    capped = Growing("capped", range(30, 0, -1))
    capped.most = 10

    near, _ = read([capped], 3)
    far, _ = read([capped], 8)

    assert (near.coverage, near.horizons) == ({"capped": Coverage.FULL}, {})
    assert (far.coverage, far.horizons) == ({"capped": Coverage.WINDOW}, {"capped": at(21)})


def test_a_horizon_is_not_told_of_rows_without_a_time():
    recent = Snapshot("recent", [3, None, None])
    recent.window = 2

    page, _ = read([recent], 20)

    assert page.coverage == {"recent": Coverage.WINDOW}
    assert page.horizons == {}


@thorough
@given(st.lists(st.integers(0, 12), min_size=1, max_size=9), st.integers(0, 20), some_sizes)
def test_coverage_survives_cursors(recent_minutes, others, sizes):
    recent = Snapshot("recent", [20, *recent_minutes])
    recent.window = len(recent_minutes)
    lists = [recent, ByCursor("other", range(others))]
    place = START
    for n in range(1000):
        page, _ = read(lists, sizes[n % len(sizes)], place)
        assert page.coverage["recent"] is Coverage.WINDOW
        assert not page.is_whole
        if not page.has_next:
            return
        place = later(page.end)


def test_horizons_survive_cursors():
    recent, other = Snapshot("recent", range(30, 20, -1)), ByCursor("other", range(9, 0, -1))
    recent.window = 2
    first, _ = read([recent, other], 3)
    assert first.horizons == {"recent": at(29)}

    second, _ = read([recent, other], 3, later(first.end))

    assert second.horizons == {"recent": at(29)}


def test_a_list_that_ended_is_not_asked_again():
    short, long = ByCursor("short", [30, 29]), ByCursor("long", range(20, 0, -1))
    page, _ = read([short, long], 4)
    assert page.end.ended == {"short": (Coverage.FULL, rank(short.items()[-1]).age)}

    read([short, long], 4, later(page.end))

    assert short.calls == 1


@thorough
@given(
    st.lists(st.tuples(st.sampled_from([ByCursor, Snapshot]), st.integers(0, 60)), min_size=1, max_size=4),
    st.integers(1, 20),
)
def test_a_first_page_asks_each_list_once_and_a_later_one_at_most_twice(shapes, first):
    lists = [kind(f"s{n}", [10 * row + n for row in range(rows)]) for n, (kind, rows) in enumerate(shapes)]
    place, most = START, 1
    for _ in range(60):
        for one in lists:
            one.calls = 0
        page, _ = read(lists, first, place)

        assert all(one.calls <= most for one in lists)
        if not page.has_next:
            return
        place, most = later(page.end), 2


@thorough
@given(some_shapes, st.integers(1, 5))
def test_the_same_place_read_twice_gives_the_same_page(shapes, first):
    lists = tables(shapes)
    page, _ = read(lists, first)
    once, again = (read(lists, first, later(page.end)) for _ in range(2))

    assert once == again


def test_a_page_that_is_complete_wants_nothing_more():
    merge: Merge[Item] = Merge(["one"], first=1)
    merge.add("one", Page(ByCursor("one", [3, 2, 1]).items(), "more"))

    assert [merge.wanted() for _ in range(2)] == [{}, {}]
    assert (merge.page().has_next, merge.page().seen) == (True, 3)


def test_nothing_to_read_is_a_whole_and_empty_list():
    merge: Merge[Item] = Merge([], first=3)

    assert merge.wanted() == {}
    page = merge.page()
    assert (page.rows, page.has_next, page.seen, page.is_whole) == ([], False, 0, True)


def test_a_list_that_failed_once_deep_in_its_walk_comes_back():
    deep = ByCursor("deep", range(500, 0, -1))
    place = START
    for _ in range(60):
        page, _ = read([deep], 5, place)
        place = later(page.end)
    deep.is_down = lambda: True
    page, detached = read([deep], 5, place)
    assert detached == {"deep": "UPSTREAM_TIMEOUT"}
    deep.is_down = lambda: False

    page, detached = read([deep], 5, later(page.end))

    assert (ids_of(page), detached) == ([f"deep-{n:03d}" for n in range(300, 305)], {})
