"""F39 to F42: trouble that shows over several answers, or over time."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.faults.cells import cell
from tests.faults.faultd import Exchange, Fault, nothing_wrong
from tests.faults.stage import Stage, is_unharmed
from tests.faults.test_bodies import rows

SPELL_S = 4.0
CIRCUIT = "{ providers { name health { status } } }"


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
