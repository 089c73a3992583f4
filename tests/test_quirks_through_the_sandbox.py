"""What each provider's way of paging does to our lists, by name: the whole gateway over the sandboxes, which page so."""

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from tests.gateway import Gateway, Upstreams, running

from syncgraph.graph import ids
from syncgraph.providers.airweave.sandbox_data import LINKS, spare
from syncgraph.providers.den import sandbox as den

FILTERS = {"connectors": "ConnectorFilter", "syncRuns": "SyncRunFilter"}
MOST_PAGES = 200


def page_query(field: str) -> str:
    return f"""
    query ($first: Int, $after: String, $filter: {FILTERS[field]}) {{
      {field}(first: $first, after: $after, filter: $filter) {{
        nodes {{ id externalId orderedAt: {"orderedAt" if field == "syncRuns" else "createdAt"} }}
        pageInfo {{ hasNextPage endCursor }}
        total {{ value relation }}
        sources {{ provider {{ name }} status coverage horizon code gapCursor }}
      }}
    }}
    """


async def pages(
    gateway: Gateway, field: str, provider: str, *, first: int, **more: Any
) -> AsyncIterator[dict[str, Any]]:
    """Page after page, to the end, which must come; none may have an error."""
    query, after = page_query(field), None
    only = {"providers": [ids.encode_provider(provider)], **more}
    for _ in range(MOST_PAGES):
        page = (await gateway.data(query, first=first, after=after, filter=only))[field]
        yield page
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
    pytest.fail("the walk does not end")


async def walk(gateway: Gateway, field: str, provider: str, **more: Any) -> list[dict[str, Any]]:
    return [row async for page in pages(gateway, field, provider, **more) for row in page["nodes"]]


def named(rows: list[dict[str, Any]]) -> list[str]:
    return [row["externalId"] for row in rows]


def source(page: dict[str, Any], provider: str) -> tuple[Any, ...]:
    [its] = [one for one in page["sources"] if one["provider"]["name"] == provider]
    return its["status"], its["coverage"], its["horizon"], its["code"], its["gapCursor"]


def asked(gateway: Gateway, pattern: str) -> list[str]:
    """What matched in each upstream call that was made, in order."""
    return [found[1] for call in gateway.upstreams.sent if (found := re.search(pattern, call))]


async def retry_at_den(gateway: Gateway, run: str) -> None:
    """As somebody at Den would: the run waits again, as the newest of all."""
    transport = gateway.upstreams.sandboxes["den"]
    async with httpx2.AsyncClient(transport=transport, base_url="https://den.test") as client:
        answer = await client.post(f"/v1/connector-sync-events/{run}/retry", headers={"x-api-key": den.KEY})
    assert answer.status_code == 202


async def test_where_den_forgot_the_cursor_and_starts_again_every_run_that_stayed_comes_once_and_in_order():
    """Its cursor is a row; a row that has left the filter is unknown, and the page is then the first one."""
    async with running() as gateway:
        before = named(await walk(gateway, "syncRuns", "den", first=100, statuses=["SUCCEEDED"]))
        gateway.upstreams.sent.clear()
        rows, left = [], []
        async for page in pages(gateway, "syncRuns", "den", first=40, statuses=["SUCCEEDED"]):
            rows += named(page["nodes"])
            for cursor in asked(gateway, "cursor=(cse_[^&]+)")[-1:]:
                if cursor not in left:
                    await retry_at_den(gateway, cursor)
                    left.append(cursor)
        after = named(await walk(gateway, "syncRuns", "den", first=100, statuses=["SUCCEEDED"]))

    forgotten = [cursor for cursor in left if asked(gateway, f"cursor=({cursor})")[1:]]
    assert len(forgotten) > 3
    assert set(before) - set(after) == set(left)
    assert [run for run in rows if run in after] == after
    assert len(set(rows)) == len(rows)


async def test_a_run_that_den_moves_to_the_head_comes_at_most_once_and_costs_no_other_its_place():
    """Its order is by when a run was queued, and a retry queues the same run again."""
    async with running() as gateway:
        before = named(await walk(gateway, "syncRuns", "den", first=100))
        moved, rows = [before[3], before[400]], []
        async for page in pages(gateway, "syncRuns", "den", first=50):
            rows += named(page["nodes"])
            if len(rows) == 150:
                for run in moved:
                    await retry_at_den(gateway, run)
        gateway.upstreams.sent.clear()
        again = await walk(gateway, "syncRuns", "den", first=100)
        [newest] = (await gateway.data("{ syncRuns(first: 1) { nodes { externalId status rawStatus } } }"))[
            "syncRuns"
        ]["nodes"]

    assert rows == [run for run in before if run != before[400]]
    assert sorted(named(again)[:2]) == sorted(moved)
    assert named(again)[2:] == [run for run in before if run not in moved]
    assert newest in [{"externalId": run, "status": "QUEUED", "rawStatus": "queued"} for run in moved]


async def test_where_airweave_shuffles_what_was_made_at_one_instant_every_connection_comes_once_and_in_order():
    """Its offset counts rows, and seven of an instant stand across the thousandth, each time in another order."""
    upstreams = Upstreams(sizes={"airweave": {"links": (*LINKS, *spare(1190))}})
    async with running(upstreams=upstreams) as gateway:
        rows = await walk(gateway, "connectors", "airweave", first=100)

    order = [(row["orderedAt"], row["externalId"]) for row in rows]
    assert set(asked(gateway, "skip=([0-9]+)")) > {"0"}
    assert len(rows) == len(set(named(rows))) == 1198
    assert [at for at, _ in order] == sorted((at for at, _ in order), reverse=True)
    for earlier, later in pairwise(order):
        assert earlier[0] > later[0] or earlier[1] < later[1]


@pytest.mark.parametrize(("runs", "shown", "coverage"), [(999, 999, "FULL"), (1500, 1000, "WINDOW")])
async def test_airweave_s_jobs_are_a_list_that_grows_to_a_thousand_and_says_how_far_it_shows(
    runs: int, shown: int, coverage: str
):
    """There is no second page: only a longer first one."""
    upstreams = Upstreams(sizes={"airweave": {"runs": runs}})
    async with running(upstreams=upstreams) as gateway:
        [one, *_] = (await gateway.data('{ syncs(filter: {search: "Company drive"}) { nodes { id } } }'))[
            "syncs"
        ]["nodes"]
        gateway.upstreams.sent.clear()
        found = [page async for page in pages(gateway, "syncRuns", "airweave", first=90, syncs=[one["id"]])]

    rows = [row for page in found for row in page["nodes"]]
    limits = [int(limit) for limit in asked(gateway, "/jobs.limit=([0-9]+)")]
    horizon = rows[-1]["orderedAt"] if coverage == "WINDOW" else None
    assert len(rows) == len(set(named(rows))) == shown
    assert [row["orderedAt"] for row in rows] == sorted((row["orderedAt"] for row in rows), reverse=True)
    assert limits == sorted(limits)
    assert (limits[0], limits[-1]) == (100, 1000)
    assert source(found[-1], "airweave") == ("OK", coverage, horizon, None, None)
    assert found[-1]["total"] == {"value": shown, "relation": "EQ" if coverage == "FULL" else "GTE"}


async def test_timbal_s_list_without_pages_is_paged_here_and_is_a_window():
    async with running() as gateway:
        found = [page async for page in pages(gateway, "syncRuns", "timbal", first=7)]

    rows = [row for page in found for row in page["nodes"]]
    assert [len(page["nodes"]) for page in found[:-1]] == [7] * (len(found) - 1)
    assert len(rows) == len(set(named(rows))) == 60
    assert [row["orderedAt"] for row in rows] == sorted((row["orderedAt"] for row in rows), reverse=True)
    assert {call.partition("?")[2] for call in gateway.upstreams.sent} == {""}
    for page in found:
        assert source(page, "timbal") == ("OK", "WINDOW", rows[-1]["orderedAt"], None, None)
        assert page["total"] == {"value": 60, "relation": "GTE"}


async def test_outlit_s_lack_of_runs_is_unsupported_and_null_and_never_a_list_without_rows():
    async with running() as gateway:
        [page] = [page async for page in pages(gateway, "syncRuns", "outlit", first=5)]
        calls_for_runs = list(gateway.upstreams.sent)
        nested = await gateway.data(
            """
            query ($only: [ID!]) {
              connectors(first: 100, filter: {providers: $only}) { nodes { runs { nodes { id } } } }
              syncs(first: 100, filter: {providers: $only}) { nodes { runs { nodes { id } } latestRun { id } } }
              providers { name capabilities }
            }
            """,
            only=[ids.encode_provider("outlit")],
        )

    assert source(page, "outlit") == ("UNSUPPORTED", "NONE", None, None, None)
    assert page["total"] == {"value": 0, "relation": "GTE"}
    assert calls_for_runs == []
    assert len(nested["syncs"]["nodes"]) > 1
    assert all(row == {"runs": None, "latestRun": None} for row in nested["syncs"]["nodes"])
    assert all(row == {"runs": None} for row in nested["connectors"]["nodes"])
    [told] = [one["capabilities"] for one in nested["providers"] if one["name"] == "outlit"]
    assert "LIST_RUNS" not in told
