"""Quirks of Airweave's lists that a client meets, over a server of made-up rows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import httpx2
import pytest
from tests.contract.suite import NOW, bound

from syncgraph.domain.model import Coverage, RunStatus, StatsSource
from syncgraph.errors import (
    PaginationStalledError,
    UpstreamContractError,
    UpstreamForbiddenError,
    UpstreamNotFoundError,
    UpstreamUnavailableError,
)
from syncgraph.ports import ALL, Scope
from syncgraph.providers.airweave import adapter
from syncgraph.providers.airweave.client import AirweaveConnectors, AirweaveSyncs, SourceConnections
from syncgraph.providers.airweave.sandbox import KEY, app, settings
from syncgraph.providers.airweave.sandbox_data import LINKS, SLOTTED, slot_id

TABLE = {"kind": "airweave", "base_url": "https://airweave.test"}
BEGAN = datetime(2026, 11, 22, 9, 0)  # noqa: DTZ001 - as Airweave writes it
BY_NAME = {link.short_name: link for link in LINKS}


def over(transport, table=TABLE, **kwargs):
    return bound(adapter, transport, table, **kwargs)


def uuid(n: int) -> str:
    return str(UUID(int=n))


CONNECTION = uuid(7)


def job(n: int, **fields: object) -> dict[str, object]:
    """The ``n``-th newest; began one minute before the ``n-1``-th."""
    began = (BEGAN - timedelta(minutes=n)).isoformat()
    return {
        "id": uuid(n),
        "source_connection_id": CONNECTION,
        "status": "completed",
        "started_at": began,
        **fields,
    }


def connection(n: int, **fields: object) -> dict[str, object]:
    made = (BEGAN - timedelta(minutes=n)).isoformat()
    return {"id": uuid(n), "name": f"c{n}", "created_at": made, "status": "active", **fields}


def lists(rows: Mapping[str, Sequence[object]]) -> httpx2.MockTransport:
    """Serves ``rows`` by path, with ``skip`` and ``limit``."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        its = rows.get(request.url.path)
        if its is None:
            return httpx2.Response(404, json={"detail": "SourceConnection not found"})
        skip, limit = int(request.url.params.get("skip", "0")), int(request.url.params["limit"])
        return httpx2.Response(200, json=its[skip : skip + limit])

    return httpx2.MockTransport(handle)


def of_jobs(jobs: Sequence[object]) -> httpx2.MockTransport:
    return lists({f"/source-connections/{CONNECTION}/jobs": jobs})


def sandboxed(contract: str = "source-connections", *, clock: Callable[[], datetime] = lambda: NOW, **kwargs):
    transport = httpx2.ASGITransport(app=app(clock=clock, contract=contract, **kwargs))
    return over(transport, {**TABLE, **settings(contract)}, credential=KEY)


async def walk_runs(provider, *, first: int):
    """Keys of each page."""
    pages, after = [], None
    while True:
        page = await provider.run_feed.page(Scope(connector_id=CONNECTION), first=first, after=after)
        pages.append(page)
        if page.next is None:
            return pages
        after = page.next


async def test_jobs_know_no_skip_so_a_page_is_a_longer_list():
    async with over(of_jobs([job(n) for n in range(450)])) as (provider, calls):
        pages = await walk_runs(provider, first=20)

    assert [call.rpartition("=")[2] for call in calls.sent] == ["100", "200", "400", "800"]
    assert [len(page.items) for page in pages] == [100, 101, 201, 51]
    assert {page.coverage for page in pages} == {Coverage.FULL}


async def test_a_large_page_of_runs_is_asked_for_at_once():
    async with over(of_jobs([job(n) for n in range(450)])) as (provider, calls):
        page = await provider.run_feed.page(Scope(sync_id=CONNECTION), first=300, after=None)

    assert (len(page.items), page.next) == (300, "300")
    assert [call.rpartition("=")[2] for call in calls.sent] == ["300"]


@pytest.mark.parametrize("there", [1000, 1200])
async def test_jobs_beyond_the_newest_thousand_cannot_be_reached(there):
    async with over(of_jobs([job(n) for n in range(there)])) as (provider, _):
        pages = await walk_runs(provider, first=400)

    assert len({run.key for page in pages for run in page.items}) == 1000
    assert pages[-1].coverage is Coverage.WINDOW


async def test_a_job_without_a_time_at_the_end_of_a_page_waits_for_the_page_that_shows_what_is_older():
    jobs = [job(n, **({"started_at": None} if n in {98, 99} else {})) for n in range(130)]
    async with over(of_jobs(jobs)) as (provider, _):
        first, second = await walk_runs(provider, first=20)

    assert (len(first.items), first.next) == (98, "98")
    assert [run.ordered_at - second.items[3].ordered_at for run in second.items[1:3]] == [
        timedelta(microseconds=2),
        timedelta(microseconds=1),
    ]


async def test_runs_of_every_page_have_the_instants_of_the_whole_list():
    jobs = [job(n * 7 % 40, **({"started_at": None} if n % 9 == 0 else {})) for n in range(310)]
    jobs = [{**one, "id": uuid(n)} for n, one in enumerate(jobs)]
    async with over(of_jobs(jobs)) as (provider, _):
        whole = await provider.run_feed.page(Scope(connector_id=CONNECTION), first=900, after=None)
        pages = await walk_runs(provider, first=20)
    placed = {run.key: run.ordered_at for run in whole.items}

    assert all(run.ordered_at == placed[run.key] for page in pages for run in page.items)


async def test_jobs_that_all_wait_are_read_on_until_one_has_a_time():
    async with over(of_jobs([job(n, started_at=None) for n in range(150)])) as (
        provider,
        calls,
    ):
        page = await provider.run_feed.page(Scope(connector_id=CONNECTION), first=20, after=None)

    assert (len(page.items), page.next) == (150, None)
    assert len(calls.sent) == 2


async def test_a_run_an_its_stats_and_its_list_share_one_call():
    async with over(of_jobs([job(n) for n in range(30)])) as (provider, calls):
        await provider.run_feed.page(Scope(connector_id=CONNECTION), first=20, after=None)
        stats = (await provider.stats_lookup.find_stats([CONNECTION]))[0]
        run = (await provider.run_lookup.find_runs([f"{CONNECTION}/{uuid(4)}"]))[0]

    assert calls.sent == [f"GET /source-connections/{CONNECTION}/jobs?limit=100"]
    assert (stats.runs_total, stats.coverage, run.status) == (30, Coverage.FULL, RunStatus.SUCCEEDED)


async def test_stats_over_a_full_list_of_a_hundred_are_a_window():
    async with over(of_jobs([job(n) for n in range(300)])) as (provider, _):
        stats = (await provider.stats_lookup.find_stats([CONNECTION]))[0]

    assert (stats.runs_total, stats.coverage) == (100, Coverage.WINDOW)
    assert stats.oldest_run_at.minute == 21


async def test_an_old_run_is_looked_for_among_the_newest_thousand():
    async with over(of_jobs([job(n) for n in range(300)])) as (provider, calls):
        found = await provider.run_lookup.find_runs([f"{CONNECTION}/{uuid(n)}" for n in (3, 250, 999)])

    assert [run and run.key.id[-3:] for run in found] == ["003", "0fa", None]
    assert len(calls.sent) == 2


async def test_a_job_that_another_connection_owns_is_not_this_connections_run():
    async with over(of_jobs([job(1, source_connection_id=uuid(8))])) as (provider, _):
        (found,) = await provider.run_lookup.find_runs([f"{CONNECTION}/{uuid(1)}"])

    assert isinstance(found, UpstreamContractError)


async def test_a_connection_without_a_sync_has_an_empty_list_of_runs():
    federated = BY_NAME["confluence"].id
    async with sandboxed() as (provider, calls):
        page = await provider.run_feed.page(Scope(connector_id=federated), first=5, after=None)

        assert (page.items, page.next, page.coverage) == ([], None, Coverage.FULL)
        assert len(calls.sent) == 2
        assert await provider.stats_lookup.find_stats([federated]) == [None]
        assert await provider.run_lookup.find_runs([f"{federated}/{uuid(1)}"]) == [None]


@pytest.mark.parametrize("id", [uuid(1), "not-a-uuid"])
async def test_the_lists_of_a_connection_that_is_not_there_are_not_found(id):
    async with sandboxed() as (provider, _):
        for feed in (provider.connector_feed, provider.sync_feed, provider.run_feed):
            with pytest.raises(UpstreamNotFoundError):
                await feed.page(Scope(connector_id=id), first=5, after=None)
            assert [type(head) for head in await feed.first_pages([Scope(sync_id=id)] * 2, first=5)] == [
                UpstreamNotFoundError
            ] * 2


async def test_there_is_no_list_of_all_runs():
    async with sandboxed() as (provider, _):
        with pytest.raises(UpstreamNotFoundError):
            await provider.run_feed.page(ALL, first=5, after=None)


async def test_runs_are_listed_for_the_connections_that_have_a_sync():
    async with sandboxed() as (provider, calls):
        scopes = await provider.run_feed.scopes()

    assert [scope.connector_id for scope in scopes] == [link.id for link in LINKS if link.sync_id]
    assert calls.sent == ["GET /source-connections?skip=0&limit=1000"]


async def test_connectors_syncs_and_the_scopes_of_runs_share_one_call():
    async with sandboxed() as (provider, calls):
        connectors = await provider.connector_feed.page(ALL, first=5, after=None)
        syncs = await provider.sync_feed.page(ALL, first=5, after=None)
        await provider.run_feed.scopes()
        ids = [one.key.id for one in connectors.items]
        found = await provider.connector_lookup.find_connectors(ids)
        await provider.sync_feed.first_pages([Scope(connector_id=one) for one in ids], first=5)

    assert (len(connectors.items), len(syncs.items)) == (8, 6)
    assert found == connectors.items
    assert len(calls.sent) == 1


async def test_one_sync_by_its_id_brings_its_schedule_and_many_do_not():
    ids = [BY_NAME["linear"].id, BY_NAME["notion"].id]
    async with sandboxed() as (provider, calls):
        alone = (await provider.sync_lookup.find_syncs(ids[:1]))[0]
        among = await provider.sync_lookup.find_syncs(ids)
        extras = await provider.sync_extra_lookup.find_extras(ids)

    assert [sync.extra for sync in among] == [None, None]
    assert alone.extra == extras[0]
    assert len(calls.sent) == 3


async def test_a_connection_without_a_sync_has_no_sync_to_find():
    ids = [BY_NAME["confluence"].id, BY_NAME["hubspot"].id]
    async with sandboxed() as (provider, _):
        assert await provider.sync_lookup.find_syncs(ids) == [None, None]
        assert await provider.sync_lookup.find_syncs(ids[:1]) == [None]
        assert await provider.sync_extra_lookup.find_extras(ids) == [None, None]
        pages = await provider.sync_feed.first_pages([Scope(connector_id=one) for one in ids], first=5)
        assert [page.items for page in pages] == [[], []]


@pytest.mark.parametrize("limit", [1, 3, 40])
async def test_more_connections_than_one_page_holds_are_walked_over_ties(limit):
    rows = [{**connection(n), "created_at": connection(n // 3)["created_at"]} for n in range(25)]
    rows[4:19] = [{**row, "federated_search": True} for row in rows[4:19]]
    async with over(lists({"/source-connections": rows})) as (provider, _):
        source = SourceConnections(provider.connector_feed._source._upstream, limit=limit, most=40)
        every = await source.every()
        connectors = await walk_all(AirweaveConnectors(source, "acme"))
        syncs = await walk_all(AirweaveSyncs(source, "acme"))

    assert list(every) == list(connectors) == [row["id"] for row in rows]
    assert list(syncs) == [row["id"] for row in rows if "federated_search" not in row]


async def walk_all(feed) -> dict[str, None]:
    found: dict[str, None] = {}
    after = None
    while True:
        page = await feed.page(ALL, first=5, after=after)
        found.update(dict.fromkeys(one.key.id for one in page.items))
        assert page.items
        if page.next is None:
            return found
        after = page.next


async def test_a_list_that_leads_back_to_where_it_was_is_given_up():
    """Two rows of time 7 are there or not, depending on where one begins to read: the walk goes in a circle."""
    times = {0: [9, 8, 7, 7], 1: [8, 7, 7, 6], 2: [6, 6, 5, 5], 3: [6, 5, 5, 5]}

    def handle(request: httpx2.Request) -> httpx2.Response:
        skip, limit = int(request.url.params["skip"]), int(request.url.params["limit"])
        rows = [connection(100 - at, id=uuid(n)) for n, at in enumerate(times[skip])]
        return httpx2.Response(200, json=rows[:limit])

    async with over(httpx2.MockTransport(handle)) as (provider, _):
        source = SourceConnections(provider.connector_feed._source._upstream, limit=3, most=40)
        with pytest.raises(PaginationStalledError):
            await source.every()


async def test_both_lists_of_one_thing_raise_and_many_heads_tell():
    transport = httpx2.MockTransport(lambda _: httpx2.Response(503))
    async with over(transport) as (provider, _):
        scopes = [Scope(connector_id=CONNECTION)]
        for feed in (provider.connector_feed, provider.sync_feed, provider.run_feed):
            assert [type(head) for head in await feed.first_pages(scopes, first=1)] == [
                UpstreamUnavailableError
            ]
        failed = await provider.sync_extra_lookup.find_extras([CONNECTION])
        uncounted = await provider.stats_lookup.find_stats([CONNECTION, "nope"])

    assert [type(one) for one in failed] == [UpstreamUnavailableError]
    assert [type(one) for one in uncounted] == [UpstreamUnavailableError, type(None)]


async def test_an_organisation_is_asked_for_by_its_header():
    sent = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append(dict(request.headers))
        return httpx2.Response(200, json=[])

    async with over(httpx2.MockTransport(handle), {**TABLE, "organisation": uuid(5)}) as (
        provider,
        _,
    ):
        await provider.connector_feed.page(ALL, first=5, after=None)

    assert sent[0]["x-organization-id"] == uuid(5)
    assert "x-api-key" in sent[0]
    assert "authorization" not in sent[0]


async def test_another_organisation_is_forbidden():
    transport = httpx2.ASGITransport(app=app(clock=lambda: NOW, contract="source-connections"))
    table = {**TABLE, "organisation": uuid(5)}
    async with over(transport, table, credential=KEY) as (provider, _):
        with pytest.raises(UpstreamForbiddenError):
            await provider.connector_feed.page(ALL, first=5, after=None)


async def test_jobs_named_in_the_configuration_are_a_list_of_their_own():
    async with sandboxed("sync-jobs") as (provider, calls):
        runs = await provider.run_feed.page(ALL, first=3, after=None)
        syncs = await provider.sync_feed.page(ALL, first=3, after=None)

    assert (len(runs.items), runs.next, runs.coverage) == (12, None, Coverage.CONFIGURED)
    assert [sync.key.id for sync in syncs.items] == sorted(str(link.sync_id) for link in SLOTTED)
    assert len(calls.sent) == 12
    assert (provider.connector_lookup, provider.connector_feed) == (None, None)


async def test_stats_under_sync_jobs_are_counted_over_the_configured_jobs_only():
    async with sandboxed("sync-jobs") as (provider, _):
        [stats, none] = await provider.stats_lookup.find_stats([str(SLOTTED[0].sync_id), uuid(1)])
        runs = await provider.run_feed.page(Scope(sync_id=str(SLOTTED[0].sync_id)), first=100, after=None)

    assert (stats.source, stats.coverage, stats.runs_total) == (
        StatsSource.OBSERVED,
        Coverage.CONFIGURED,
        len(runs.items),
    )
    assert none is None


async def test_any_sync_job_is_found_by_its_id_whether_configured_or_not():
    wanted = slot_id(SLOTTED[0], 2)
    table = {**settings("sync-jobs"), **TABLE, "jobs": [slot_id(SLOTTED[1], 0)]}
    transport = httpx2.ASGITransport(app=app(clock=lambda: NOW, contract="sync-jobs"))
    async with over(transport, table, credential=KEY) as (provider, calls):
        found = await provider.run_lookup.find_runs([wanted, uuid(1)])

    assert (found[0].key.id, found[1]) == (wanted, None)
    assert len(calls.sent) == 2


async def test_a_configured_job_that_is_gone_leaves_the_others():
    table = {
        **settings("sync-jobs"),
        **TABLE,
        "jobs": [uuid(1), slot_id(SLOTTED[1], 0), slot_id(SLOTTED[1], 0)],
    }
    transport = httpx2.ASGITransport(app=app(clock=lambda: NOW, contract="sync-jobs"))
    async with over(transport, table, credential=KEY) as (provider, _):
        page = await provider.run_feed.page(ALL, first=5, after=None)

    assert [run.key.id for run in page.items] == [slot_id(SLOTTED[1], 0)]


def old_table(*links) -> dict[str, object]:
    jobs = [f"{link.sync_id}/{slot_id(link, n)}" for link in links for n in range(2)]
    return {**TABLE, "contract": "sync-jobs", "job_path": "airweave-0.9.17", "jobs": jobs}


async def test_a_job_of_0_9_17_is_addressed_by_its_sync_as_well():
    github, postgres = SLOTTED[-1], SLOTTED[0]
    transport = httpx2.ASGITransport(app=app(clock=lambda: NOW, contract="sync-jobs"))
    async with over(transport, old_table(github, postgres), credential=KEY) as (provider, calls):
        page = await provider.run_feed.page(Scope(sync_id=github.sync_id), first=5, after=None)

        assert {run.key.id.partition("/")[0] for run in page.items} == {github.sync_id}
        assert len(calls.sent) == 2
        assert await provider.run_lookup.find_runs([f"{postgres.sync_id}/{slot_id(github, 0)}"]) == [None]


async def test_what_another_job_answers_is_not_the_job_that_was_asked_for():
    body = {"id": uuid(9), "sync_id": uuid(5), "status": "completed"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))
    table = {**TABLE, "contract": "sync-jobs", "jobs": [uuid(9)]}
    async with over(transport, table) as (provider, _):
        found = await provider.run_lookup.find_runs([uuid(9), uuid(8)])

    mine, another = found
    assert mine.key.id == uuid(9)
    assert isinstance(another, UpstreamContractError)


async def test_a_job_that_another_sync_owns_is_not_this_syncs_run():
    body = {"id": uuid(9), "sync_id": uuid(5), "status": "completed"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))
    async with over(transport, old_table(SLOTTED[0])) as (provider, _):
        found = await provider.run_lookup.find_runs([f"{uuid(5)}/{uuid(9)}", f"{uuid(6)}/{uuid(9)}"])

    assert [run and run.key.id for run in found] == [f"{uuid(5)}/{uuid(9)}", None]


async def test_a_sync_that_a_failed_job_may_belong_to_cannot_be_said_not_to_be():
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith(uuid(1)):
            return httpx2.Response(503)
        return httpx2.Response(200, json={"id": uuid(2), "sync_id": uuid(20), "status": "completed"})

    table = {**TABLE, "contract": "sync-jobs", "jobs": [uuid(1), uuid(2)]}
    async with over(httpx2.MockTransport(handle), table) as (provider, _):
        known, unknown = await provider.sync_lookup.find_syncs([uuid(20), uuid(10)])

    assert known.key.id == uuid(20)
    assert isinstance(unknown, UpstreamUnavailableError)


async def test_single_jobs_know_no_connectors():
    async with sandboxed("sync-jobs") as (provider, calls):
        for feed in (provider.run_feed, provider.sync_feed):
            page = await feed.page(Scope(connector_id=uuid(1)), first=5, after=None)
            assert (page.items, page.coverage) == ([], Coverage.CONFIGURED)

    assert calls.sent == []
