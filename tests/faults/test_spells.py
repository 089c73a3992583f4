"""F39 to F42: trouble that shows over several answers, or over time."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from tests.faults.cells import cell
from tests.faults.faultd import Exchange, Fault, nothing_wrong
from tests.faults.stage import NOW, Stage, healthy, is_unharmed, staged
from tests.faults.test_bodies import rows, says

from syncgraph.graph.ids import encode_provider

SPELL_S = 4.0
CIRCUIT = "{ providers { name health { circuit } } }"


@cell("F39")
async def test_a_provider_that_comes_and_goes_gets_hardly_more_calls_for_it(kind: str):
    began = time.monotonic()

    async def flaps(exchange: Exchange) -> None:
        if (time.monotonic() - began) % 1 < 0.5:
            await exchange.reply(b"{}", 503)
        else:
            await nothing_wrong(exchange)

    async with staged(kind, fault=flaps) as stage:
        asked, turns, was = 0, 0, ""
        while time.monotonic() - began < SPELL_S:
            await stage.ask()
            asked += 1
            now = await standing(stage, kind)
            turns, was = turns + (now != was), now
            await asyncio.sleep(0.05)
        assert len(stage.server.asked) <= 1.2 * asked + 1
        assert turns <= SPELL_S + 1


async def standing(stage: Stage, kind: str) -> str:
    told = (await stage.ask(CIRCUIT)).body["data"]["providers"]
    (its,) = [one["health"]["circuit"] for one in told if one["name"] == kind]
    return str(its)


@cell("F40")
async def test_ten_times_the_latency_below_the_deadline_costs_time_and_nothing_else(kind: str):
    async def is_slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.5)
        await nothing_wrong(exchange)

    asked = await is_unharmed(kind, within_s=1.0, fault=is_slow)
    assert asked.took_s >= 0.4


PAGE = """
query ($p: ID!, $after: String) {
  syncRuns(first: 50, after: $after, filter: {providers: [$p]}) { ...R }
  connectors(first: 100, filter: {providers: [$p]}) { nodes { id externalId } sources { status code } }
}
fragment R on SyncRunConnection {
  nodes { id } pageInfo { hasNextPage endCursor } sources { status code coverage }
}
"""
MOST_PAGES = 30


async def repeats_a_row(exchange: Exchange) -> None:
    """As when a row moves from one page to the next while one reads."""
    answer = (await exchange.healthy()).json
    rows(answer).append(rows(answer)[0])
    await exchange.reply(answer)


async def repeats_its_cursor(exchange: Exchange) -> None:
    answer = (await exchange.healthy()).json
    if isinstance(answer, dict):
        answer |= {"nextCursor": rows(answer)[0].get("id"), "next_page_token": "again"}
    await exchange.reply(answer)


async def starts_again(exchange: Exchange) -> None:
    """Whatever page is asked for, it is the first, and there is another."""
    answer = (await exchange.healthy(exchange.path + "?limit=100")).json
    if isinstance(answer, dict):
        answer |= {"nextCursor": rows(answer)[-1].get("id"), "next_page_token": "again"}
    await exchange.reply(answer)


async def has_an_empty_page(exchange: Exchange) -> None:
    answer = (await exchange.healthy()).json
    if isinstance(answer, dict) and "cursor=" in exchange.target:
        answer["nextCursor"] = rows(answer)[-1].get("id")
        rows(answer).clear()
    await exchange.reply(answer)


@cell("F41")
async def test_pages_that_lead_nowhere_end_and_show_no_row_twice(kind: str):
    for fault in (repeats_a_row, repeats_its_cursor, starts_again, has_an_empty_page):
        async with staged(kind, fault=listed(fault)) as stage:
            runs, connectors, ended = await walk(stage, encode_provider(kind))
            assert ended, fault.__name__
            assert len(runs) == len(set(runs)), fault.__name__
            assert len(connectors) == len(set(connectors)), fault.__name__


def listed(fault: Fault) -> Fault:
    """``fault`` for lists; a detail or an empty list is well."""

    async def only_lists(exchange: Exchange) -> None:
        answer = (await exchange.healthy()).json
        lists = [answer] if isinstance(answer, list) else [v for v in answer.values() if isinstance(v, list)]
        await (fault if lists and lists[0] else nothing_wrong)(exchange)

    return only_lists


async def walk(stage: Stage, id: str) -> tuple[list[str], list[str], bool]:
    """Ids of all runs and of the first page of connectors, and whether it came to an end."""
    runs: list[str] = []
    connectors: list[str] = []
    after: str | None = None
    for _ in range(MOST_PAGES):
        data: Mapping[str, Any] = (await stage.ask(PAGE, p=id, after=after)).body["data"]
        connectors = [row["id"] for row in data["connectors"]["nodes"]]
        runs += [row["id"] for row in data["syncRuns"]["nodes"]]
        page = data["syncRuns"]["pageInfo"]
        if not page["hasNextPage"]:
            return runs, connectors, True
        after = page["endCursor"]
    return runs, connectors, False


@cell("F42")
async def test_a_clock_that_is_an_hour_wrong_on_either_side_changes_nothing(kind: str):
    wait, hour = timedelta(seconds=40), timedelta(hours=1)
    for theirs in (-hour, hour):
        rests = says(
            {},
            429,
            date=format_datetime(NOW + theirs, usegmt=True),
            retry_after=format_datetime(NOW + theirs + wait, usegmt=True),
        )
        async with staged(kind) as stage:
            for ours in (timedelta(), -hour, hour):
                stage.skew = ours
                asked = await stage.ask()
                assert asked.part(kind) == (await healthy()).part(kind)
            stage.server.fault = rests
            assert (await stage.ask()).source(kind)["code"] == "UPSTREAM_RATE_LIMITED"
            stage.skew = -hour
            assert (await stage.ask()).calls[kind] == 0, "the rest was measured by a clock that jumps"
