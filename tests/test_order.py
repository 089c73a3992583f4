"""``orderBy`` on syncs: all of them read, sorted, paged; or a clear refusal."""

from typing import Any

import httpx2
import pytest
from tests.gateway import Gateway, Upstreams, running

QUERY = """
query ($first: Int, $after: String, $order: SyncOrder, $filter: SyncFilter) {
  syncs(first: $first, after: $after, orderBy: $order, filter: $filter) {
    nodes { id name createdAt health { status } freshness { lagSeconds lastSuccessAt } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
    total { value relation }
    sources { provider { name } status }
  }
}
"""
VALUES: dict[str, Any] = {
    "HEALTH": lambda row: ["HEALTHY", "UNKNOWN", "WARNING", "DEGRADED"].index(row["health"]["status"]),
    "LAG": lambda row: row["freshness"]["lagSeconds"],
    "LAST_SUCCESS_AT": lambda row: row["freshness"]["lastSuccessAt"],
    "NAME": lambda row: row["name"].casefold(),
    "CREATED_AT": lambda row: row["createdAt"],
}


async def walk(gateway: Gateway, first: int, **variables: Any) -> list[Any]:
    rows: list[Any] = []
    after, more = None, True
    while more:
        page = (await gateway.data(QUERY, first=first, after=after, **variables))["syncs"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        rows += page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert page["total"]["relation"] == "EQ"
    assert page["total"]["value"] == len(rows)
    return rows


@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_all_syncs_come_in_the_order_asked_for_and_those_without_a_value_last(
    gateway: Gateway, field: str, direction: str
):
    rows = await walk(gateway, 9, order={"field": field, "direction": direction})
    every = await walk(gateway, 100)
    values = [VALUES[field](row) for row in rows]
    known = [value for value in values if value is not None]

    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in every)
    assert values[: len(known)] == sorted(known, reverse=direction == "DESC")
    assert values[len(known) :] == [None] * (len(values) - len(known))


async def test_the_filter_holds_for_the_sorted_list_too(gateway: Gateway):
    rows = await walk(gateway, 3, order={"field": "LAG"}, filter={"health": ["DEGRADED"]})

    assert {row["health"]["status"] for row in rows} == {"DEGRADED"}


async def test_where_a_provider_cannot_be_read_whole_the_order_is_refused_by_its_name():
    upstreams = Upstreams(broken={"den": lambda _: httpx2.Response(503)})
    async with running(upstreams=upstreams) as gateway:
        body = await gateway.ask(QUERY, order={"field": "NAME"})
    async with running({"den": "sync-events"}) as gateway:
        window = await gateway.ask(QUERY, order={"field": "NAME"})

    for answer in (body, window):
        refusal = next(error for error in answer["errors"] if error["extensions"]["code"] == "BAD_USER_INPUT")
        assert "den" in refusal["message"]
        assert answer["data"] == {"syncs": None}


async def test_a_cursor_of_another_order_is_refused(gateway: Gateway):
    page = (await gateway.data(QUERY, first=2, order={"field": "NAME"}))["syncs"]
    body = await gateway.ask(QUERY, first=2, after=page["pageInfo"]["endCursor"], order={"field": "LAG"})

    assert [error["extensions"]["code"] for error in body["errors"]] == ["CURSOR_MISMATCH"]


async def test_an_overview_of_some_syncs_counts_only_these_and_their_runs(gateway: Gateway):
    query = """
    query ($f: SyncFilter) {
      providers { id name }
      overview(filter: $f) {
        health { status count { value } }
        needsAttention(first: 100) { id providerName health { status } }
        running(first: 100) { providerName }
        sources { provider { name } }
      }
    }"""
    whole = await gateway.data(query)
    timbal = next(one["id"] for one in whole["providers"] if one["name"] == "timbal")
    gateway.upstreams.sent.clear()
    some = (await gateway.data(query, f={"providers": [timbal], "health": ["DEGRADED"]}))["overview"]

    expected = [
        one
        for one in whole["overview"]["needsAttention"]
        if one["providerName"] == "timbal" and one["health"]["status"] == "DEGRADED"
    ]
    counts = {one["status"]: one["count"]["value"] for one in some["health"]}
    assert some["needsAttention"] == expected
    assert counts == {"HEALTHY": 0, "UNKNOWN": 0, "WARNING": 0, "DEGRADED": len(expected)}
    assert {one["providerName"] for one in some["running"]} <= {"timbal"}
    assert [one["provider"]["name"] for one in some["sources"]] == ["timbal"]
    assert {call.split()[0] for call in gateway.upstreams.sent} == {"timbal"}
