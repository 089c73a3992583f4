"""Filters, failures midway, and how what was missed is read later, over the whole gateway."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from tests.gateway import Gateway, Upstreams, running

from syncgraph import sandboxes
from syncgraph.config import ServerSettings

ALL_RUNS = """
query ($first: Int, $after: String, $filter: SyncRunFilter, $on: OnSourceError) {
  syncRuns(first: $first, after: $after, filter: $filter, onSourceError: $on) {
    nodes {
      id providerName status trigger orderedAt connector { id } sync { id } error { fingerprint }
    }
    pageInfo { hasNextPage endCursor }
    sources { provider { id name } status code gapCursor }
  }
}
"""


async def walk(gateway: Gateway, *, first: int = 50, after: str | None = None, **variables: Any) -> list[Any]:
    """All runs from ``after`` on; every page must come without an error."""
    rows: list[Any] = []
    for _ in range(400):
        page = (await gateway.data(ALL_RUNS, first=first, after=after, **variables))["syncRuns"]
        rows += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return rows
    raise AssertionError("the walk does not end")


def ids(rows: list[Any]) -> list[str]:
    return [row["id"] for row in rows]


_WHOLE: list[Any] = []


@pytest.fixture
async def whole() -> list[Any]:
    """All runs, read once for all tests: the sandboxes stand still."""
    if not _WHOLE:
        async with running() as gateway:
            _WHOLE.extend(await walk(gateway, first=100))
    return _WHOLE


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({"statuses": ["FAILED"]}, lambda row: row["status"] == "FAILED"),
        ({"statuses": ["RUNNING", "QUEUED"]}, lambda row: row["status"] in {"RUNNING", "QUEUED"}),
        ({"triggers": ["MANUAL"]}, lambda row: row["trigger"] == "MANUAL"),
        (
            {"orderedAt": {"from": "2026-11-22T06:00:00Z", "to": "2026-11-22T09:00:00Z"}},
            lambda row: "2026-11-22T06:00:00Z" <= row["orderedAt"] < "2026-11-22T09:00:00Z",
        ),
        (
            {"statuses": ["FAILED"], "orderedAt": {"from": "2026-11-20T00:00:00Z"}},
            lambda row: row["status"] == "FAILED" and row["orderedAt"] >= "2026-11-20T00:00:00Z",
        ),
    ],
    ids=["a status", "statuses", "a trigger", "a time", "a status in a time"],
)
@pytest.mark.parametrize("first", [7, 100])
async def test_a_filtered_list_is_the_whole_list_s_rows_for_which_it_holds(
    gateway: Gateway, whole: list[Any], given: dict[str, Any], holds: Callable[[Any], bool], first: int
):
    assert ids(await walk(gateway, first=first, filter=given)) == [row["id"] for row in whole if holds(row)]


async def test_a_filter_by_provider_skips_the_others_and_asks_them_nothing(
    gateway: Gateway, whole: list[Any]
):
    page = (await gateway.data(ALL_RUNS, first=1))["syncRuns"]
    den = next(one["provider"]["id"] for one in page["sources"] if one["provider"]["name"] == "den")
    gateway.upstreams.sent.clear()

    rows = await walk(gateway, filter={"providers": [den]})
    shown = (await gateway.data(ALL_RUNS, first=1, filter={"providers": [den]}))["syncRuns"]["sources"]

    assert ids(rows) == [row["id"] for row in whole if row["providerName"] == "den"]
    assert {call.split()[0] for call in gateway.upstreams.sent} == {"den"}
    assert {one["provider"]["name"]: one["status"] for one in shown} == {
        "den": "OK",
        "timbal": "SKIPPED",
        "outlit": "UNSUPPORTED",
        "airweave": "SKIPPED",
    }


@pytest.mark.parametrize("kind", ["sync", "connector"])
@pytest.mark.parametrize("provider", ["den", "timbal", "airweave"])
async def test_a_filter_by_sync_or_connector_asks_only_its_own_list(
    gateway: Gateway, whole: list[Any], provider: str, kind: str
):
    wanted = next(row[kind]["id"] for row in whole if row["providerName"] == provider and row[kind])
    gateway.upstreams.sent.clear()

    rows = await walk(gateway, first=100, filter={f"{kind}s": [wanted]})

    listed = {row["id"] for row in whole if row[kind] and row[kind]["id"] == wanted}
    assert {row[kind]["id"] for row in rows} == {wanted}
    assert set(ids(rows)) >= listed or provider == "timbal"
    assert {call.split()[0] for call in gateway.upstreams.sent} == {provider}


async def test_a_filter_by_fingerprint_finds_equal_errors_of_all_providers(
    gateway: Gateway, whole: list[Any]
):
    failed = [row for row in whole if row["error"]]
    wanted = failed[0]["error"]["fingerprint"]

    rows = await walk(gateway, filter={"errorFingerprint": wanted})

    assert ids(rows) == [row["id"] for row in failed if row["error"]["fingerprint"] == wanted]


async def test_a_filter_that_holds_for_nothing_ends_after_the_scan_and_says_where_it_stands(gateway: Gateway):
    given = {"errorFingerprint": "0000000000000000"}
    first = (await gateway.data(ALL_RUNS, first=5, filter=given))["syncRuns"]

    assert (first["nodes"], first["pageInfo"]["hasNextPage"]) == ([], True)
    assert {one["provider"]["name"]: one["status"] for one in first["sources"]}["den"] == "SCAN_LIMIT"
    assert await walk(gateway, first=5, filter=given) == []


async def test_connectors_and_syncs_are_filtered_too(gateway: Gateway):
    query = """
    query ($c: ConnectorFilter, $s: SyncFilter) {
      connectors(first: 100, filter: $c) { nodes { name status sourceType } }
      syncs(first: 100, filter: $s) { nodes { name stream state enabled } }
    }"""
    every = await gateway.data(query)
    some = await gateway.data(
        query,
        c={"statuses": ["CONNECTED"], "search": "ACME"},
        s={"states": ["PAUSED", "DISABLED"], "enabled": False},
    )

    assert some["connectors"]["nodes"] == [
        one
        for one in every["connectors"]["nodes"]
        if one["status"] == "CONNECTED" and "acme" in one["name"].lower()
    ]
    assert some["syncs"]["nodes"] == [
        one
        for one in every["syncs"]["nodes"]
        if one["state"] in {"PAUSED", "DISABLED"} and one["enabled"] is False
    ]
    assert some["connectors"]["nodes"]
    assert some["syncs"]["nodes"]


@pytest.mark.parametrize("first", [4, 100])
async def test_a_filter_by_health_or_freshness_keeps_what_the_fields_say(gateway: Gateway, first: int):
    query = """
    query ($first: Int, $after: String, $s: SyncFilter) {
      syncs(first: $first, after: $after, filter: $s) {
        nodes { id health { status } freshness { status } }
        pageInfo { hasNextPage endCursor }
      }
    }"""

    async def read(given: dict[str, Any] | None) -> list[Any]:
        rows: list[Any] = []
        after, more = None, True
        while more:
            page = (await gateway.data(query, first=first, after=after, s=given))["syncs"]
            rows += page["nodes"]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        return rows

    every = await read(None)
    for status in ("DEGRADED", "HEALTHY"):
        assert await read({"health": [status]}) == [one for one in every if one["health"]["status"] == status]
    failing = await read({"freshness": ["FAILING"]})
    assert failing == [one for one in every if one["freshness"]["status"] == "FAILING"]
    assert failing


async def test_connectors_are_filtered_by_health_too(gateway: Gateway):
    query = "query ($c: ConnectorFilter) { connectors(first: 100, filter: $c) { nodes { id health { status } } } }"
    every = (await gateway.data(query))["connectors"]["nodes"]
    some = (await gateway.data(query, c={"health": ["DEGRADED"]}))["connectors"]["nodes"]

    assert some == [one for one in every if one["health"]["status"] == "DEGRADED"]
    assert some


@pytest.mark.parametrize("given", [{"providers": ["nonsense"]}, {"syncs": ["UHJvdmlkZXI6ZGVu"]}])
async def test_an_id_of_another_type_in_a_filter_is_refused(gateway: Gateway, given: dict[str, Any]):
    body = await gateway.ask(ALL_RUNS, filter=given)

    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_ID"]


async def test_a_cursor_of_another_filter_is_refused(gateway: Gateway):
    end = (await gateway.data(ALL_RUNS, first=2))["syncRuns"]["pageInfo"]["endCursor"]
    body = await gateway.ask(ALL_RUNS, after=end, filter={"statuses": ["FAILED"]})

    assert [error["extensions"]["code"] for error in body["errors"]] == ["CURSOR_MISMATCH"]


def down(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(503)


@pytest.mark.parametrize("broken", ["den", "timbal", "airweave"])
async def test_with_one_provider_failing_from_page_3_on_a_client_that_follows_gap_cursor_reads_every_run_once(
    whole: list[Any], broken: str
):
    upstreams = Upstreams()
    async with running(upstreams=upstreams) as gateway:
        rows: list[Any] = []
        gaps: dict[str, tuple[str, str]] = {}
        after, more, pages = None, True, 0
        while more:
            pages += 1
            if pages == 3:
                upstreams.broken[broken] = down
            page = (await gateway.ask(ALL_RUNS, first=40, after=after))["data"]["syncRuns"]
            rows += page["nodes"]
            gaps |= {
                one["provider"]["name"]: (one["provider"]["id"], one["gapCursor"])
                for one in page["sources"]
                if one["gapCursor"]
            }
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert set(gaps) == {broken}
        assert len(rows) < len(whole)

        upstreams.broken.clear()
        provider, gap = gaps[broken]
        rows += await walk(gateway, after=gap, filter={"providers": [provider]})

    assert sorted(ids(rows)) == sorted(ids(whole))


@pytest.mark.parametrize("broken", ["den", "timbal", "airweave"])
async def test_with_stop_nothing_is_ever_missing(whole: list[Any], broken: str):
    upstreams = Upstreams()
    async with running(upstreams=upstreams) as gateway:
        rows: list[Any] = []
        after, more, pages = None, True, 0
        while more:
            pages += 1
            upstreams.broken = {broken: down} if pages % 4 == 1 else {}
            page = (await gateway.ask(ALL_RUNS, first=60, after=after, on="STOP"))["data"]["syncRuns"]
            rows += page["nodes"]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
            assert pages < 100
            assert {one["gapCursor"] for one in page["sources"]} == {None}

    assert ids(rows) == ids(whole)


async def test_an_operation_makes_no_more_upstream_calls_than_its_ceiling_and_says_what_it_left_unread():
    settings = sandboxes.settings(server=ServerSettings(max_upstream_calls=5))
    async with running(settings=settings) as gateway:
        body = await gateway.ask(ALL_RUNS, first=10)

    assert len(gateway.upstreams.sent) == 5
    sources = {
        one["provider"]["name"]: (one["status"], one["code"]) for one in body["data"]["syncRuns"]["sources"]
    }
    assert sources["airweave"] == ("SCAN_LIMIT", "BUDGET_EXCEEDED")
    assert sources["den"] == ("OK", None)
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BUDGET_EXCEEDED"]


async def test_lists_within_lists_that_could_be_endless_are_refused_before_anything_is_asked(
    gateway: Gateway,
):
    deep = (
        "{ providers {" + " connectors(first: 100) { nodes { provider {" * 5 + " id " + "} } }" * 5 + " } }"
    )
    body = await gateway.ask(deep)

    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_USER_INPUT"]
    assert body["errors"][0]["message"].startswith("providers: ")
    assert gateway.upstreams.sent == []


async def test_how_many_rows_an_operation_asks_for_is_told_with_its_variables_own_defaults(gateway: Gateway):
    # 20 rows of each list are 8,420 in all; 100 of each are a million.
    deep = "query ($n: Int%s) { connectors(first: $n) { nodes { syncs(first: $n) { nodes { runs(first: $n) { nodes { id } } } } } } }"
    body = await gateway.ask(deep % " = 100")

    assert body["errors"][0]["message"].startswith("connectors: ")
    assert gateway.upstreams.sent == []
    assert "data" in await gateway.ask(deep % "")


async def test_a_status_that_den_can_filter_by_is_left_to_den(gateway: Gateway, whole: list[Any]):
    page = (await gateway.data(ALL_RUNS, first=1))["syncRuns"]
    den = next(one["provider"]["id"] for one in page["sources"] if one["provider"]["name"] == "den")
    gateway.upstreams.sent.clear()

    rows = await walk(gateway, first=100, filter={"providers": [den], "statuses": ["FAILED"]})
    none = await walk(gateway, first=100, filter={"providers": [den], "statuses": ["CANCELLED"]})

    failed = [row["id"] for row in whole if row["providerName"] == "den" and row["status"] == "FAILED"]
    assert (ids(rows), none) == (failed, [])
    assert gateway.upstreams.sent
    assert {call.partition("&")[0] for call in gateway.upstreams.sent} == {
        "den GET /v1/connector-sync-events?status=failed"
    }
