import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncgraph.errors import TieOverflowError
from syncgraph.providers.airweave.offset import OffsetList, Place

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
times = st.lists(st.integers(0, 9), max_size=30)
limits = st.lists(st.integers(1, 7), min_size=1, max_size=4)


class Rows:
    """A table sorted by time only: equal times come in another order with every call."""

    def __init__(self, times: Sequence[int]) -> None:
        self.times = {f"row-{n}": time for n, time in enumerate(times)}
        self.shuffle = random.Random(7).shuffle
        self.calls: list[tuple[int, int]] = []

    async def fetch(self, skip: int, limit: int) -> list[str]:
        self.calls.append((skip, limit))
        rows = list(self.times)
        self.shuffle(rows)
        rows.sort(key=self.times.__getitem__, reverse=True)
        return rows[skip : skip + limit]

    def at(self, row: str) -> datetime:
        return EPOCH + timedelta(days=self.times[row])

    def list(self, most: int = 100) -> OffsetList[str]:
        return OffsetList(fetch=self.fetch, time=self.at, most=most, provider="acme")


async def walk(table: Rows, limits: Sequence[int], between=lambda _shown: None, most: int = 100) -> list[str]:
    """All rows shown, each once; checks what each page promises on the way."""
    shown: dict[str, None] = {}
    after = None
    for n in range(500):
        rows, after = await table.list(most).page(after, limit=limits[n % len(limits)])
        shown.update(dict.fromkeys(rows))
        instants = [table.at(row) for row in rows]
        assert instants == sorted(instants, reverse=True)
        if after is None:
            return list(shown)
        assert {row for row in table.times if table.at(row) > instants[-1]} <= shown.keys()
        between(list(shown))
    raise AssertionError("the walk does not end")


@given(times, limits)
async def test_a_walk_shows_every_row_whatever_the_ties_and_the_page_sizes(times, limits):
    table = Rows(times)

    assert sorted(await walk(table, limits)) == sorted(table.times)


@given(times, limits, st.randoms(use_true_random=False))
async def test_rows_deleted_between_pages_take_no_other_row_with_them(times, limits, rng):
    table = Rows(times)

    def delete(shown):
        for row in [row for row in shown if row in table.times and rng.random() < 0.4]:
            del table.times[row]

    shown = await walk(table, limits, delete)

    assert set(table.times) <= set(shown)


@given(times, limits, st.randoms(use_true_random=False))
@settings(max_examples=200)
async def test_rows_that_come_and_go_leave_every_row_that_stayed(times, limits, rng):
    table = Rows(times)
    stayed, now = set(table.times), [100]

    def change(shown):
        now[0] += 1
        if rng.random() < 0.5 and now[0] < 130:
            table.times[f"new-{now[0]}"] = now[0]
        for row in [row for row in list(table.times) if rng.random() < 0.1]:
            del table.times[row]
            stayed.discard(row)

    shown = await walk_past_inserts(table, limits, change)

    assert stayed <= set(shown)


async def walk_past_inserts(table: Rows, limits: Sequence[int], change) -> list[str]:
    """As ``walk``; rows inserted at the head meanwhile are not promised."""
    shown: dict[str, None] = {}
    after = None
    for n in range(500):
        rows, after = await table.list().page(after, limit=limits[n % len(limits)])
        shown.update(dict.fromkeys(rows))
        if after is None:
            return list(shown)
        change(list(shown))
    raise AssertionError("the walk does not end")


async def test_a_page_asks_for_one_row_above_its_place_and_begins_with_the_last_tie_group():
    table = Rows([9, 8, 7, 7, 6, 5])
    _, after = await table.list().page(None, limit=4)
    await table.list().page(after, limit=4)

    assert table.calls == [(0, 4), (1, 5)]


async def test_a_page_that_one_tie_group_fills_is_widened():
    table = Rows([9, 5, 5, 5, 5, 5, 1])
    _, after = await table.list().page(None, limit=2)
    rows, _ = await table.list().page(after, limit=2)

    assert len([row for row in rows if table.times[row] == 5]) == 5


async def test_more_rows_of_one_instant_than_a_page_can_hold_cannot_be_told_apart():
    table = Rows([5] * 12)

    with pytest.raises(TieOverflowError):
        await table.list(most=8).page(None, limit=2)


async def test_a_read_steps_back_until_a_strictly_newer_row_when_rows_above_were_deleted():
    table = Rows(range(20, 0, -1))
    _, after = await table.list().page(None, limit=10)
    for row in [row for row, time in table.times.items() if time > 13]:
        del table.times[row]
    rows, _ = await table.list().page(after, limit=10)

    assert [skip for skip, _ in table.calls] == [0, 8, 7, 5, 1]
    assert table.times[rows[0]] > 11


@pytest.mark.parametrize("token", ["", "x", "5", "5@", "@2026-11-01T00:00:00+00:00", "-1@2026-11-01T00:00:00+00:00", "3@2026-11-01T00:00:00", "3@nope"])  # fmt: skip
async def test_a_token_that_is_none_starts_over(token):
    table = Rows([3, 2, 1])

    assert await table.list().page(token, limit=9) == (["row-0", "row-1", "row-2"], None)


def test_a_place_survives_its_token():
    place = Place(17, EPOCH + timedelta(microseconds=3))

    assert Place.decode(place.encode()) == place
