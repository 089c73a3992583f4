"""Figure 5: five hundred identical queries at once ask each provider once for each thing."""

import asyncio
from collections import Counter

from tests.faults.faultd import Exchange, nothing_wrong
from tests.faults.report import Report
from tests.faults.stage import KINDS, PATIENCE_S, staged
from tests.test_cancel import soon

from syncgraph.config import CacheSettings

CLIENTS, LEAVING = 500, 100


async def test_five_hundred_identical_queries_ask_each_provider_once_for_each_thing(report: Report):
    everyone_is_here = asyncio.Event()

    async def holds_its_answer(exchange: Exchange) -> None:
        await everyone_is_here.wait()
        await nothing_wrong(exchange)

    async with staged(KINDS[0], cache=CacheSettings(), attempt_s=PATIENCE_S) as stage:
        for server in stage.servers.values():
            server.fault = holds_its_answer
        leaving = [asyncio.create_task(stage.ask()) for _ in range(LEAVING)]
        staying = [asyncio.create_task(stage.ask()) for _ in range(CLIENTS)]
        await soon(
            lambda: stage.begun == LEAVING + CLIENTS and all(its.asked for its in stage.servers.values()),
            or_say=lambda: stage.begun,
        )
        for task in leaving:  # among them the first, for whom the calls were made
            task.cancel()
        everyone_is_here.set()
        answers = await asyncio.gather(*staying)
        left = await asyncio.gather(*leaving, return_exceptions=True)

        assert not any(answer.codes() for answer in answers)
        for kind in KINDS:
            rows = [answer.part(kind)["connectors"]["nodes"] for answer in answers]
            assert all(one == rows[0] != [] for one in rows)
        assert any(isinstance(one, asyncio.CancelledError) for one in left), "nobody left while it was asked"
        calls = {kind: Counter(server.asked) for kind, server in stage.servers.items()}
        assert all(set(asked.values()) == {1} for asked in calls.values()), calls
        things = sum(map(len, calls.values()))
        report.say(
            f"figure 5: {CLIENTS} identical queries at once, and {LEAVING} more that leave: {things} calls for {things} things"
        )
