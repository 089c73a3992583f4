"""What a client of Timbal's meets that its documents do not say, or say wrongly; each with the number it has in our notes."""

import asyncio
from datetime import timedelta

import httpx2
import pytest
from tests.contract.suite import NOW, _no_waiting, bound  # noqa: F401
from tests.providers.test_timbal_mapping import CONNECTOR, JOB, RUN, SYNC

from syncgraph import errors
from syncgraph.config import ConfigError, parse
from syncgraph.domain.model import ConnectorStatus, Coverage, Provenance, RunStatus, RunTrigger, SyncState
from syncgraph.domain.page import Page
from syncgraph.ports import ALL, Scope
from syncgraph.providers.timbal import adapter
from syncgraph.providers.timbal.sandbox import KEY, app, settings

ROOT = "/orgs/184/connectors"
STATS = {"runs_total": 1, "runs_completed": 1, "runs_failed": 0, "rows_total": 5}
DETAIL = {"sync": SYNC, "stats": STATS, "recent_runs": [RUN]}


def configured(contract="connectors", **keys):
    return {
        "kind": "timbal",
        "contract": contract,
        "base_url": "https://upstream.test",
        "organisation": "184",
        **keys,
    }


def saying(answers, contract="connectors", **keys):
    """A provider over an upstream that has these answers by path and query, and 404 for everything else."""

    def handle(request):
        path = request.url.raw_path.decode()
        said = answers.get(path, httpx2.Response(404, json={"code": "NOT_FOUND", "message": "no"}))
        return said if isinstance(said, httpx2.Response) else httpx2.Response(200, json=said)

    return bound(adapter, httpx2.MockTransport(handle), configured(contract, **keys))


def over(handle):
    return bound(adapter, httpx2.MockTransport(handle), configured())


def acme(contract="connectors", *, now=NOW):
    its = app(clock=lambda: now, contract=contract)
    table = configured(contract, **settings(contract))
    return bound(adapter, httpx2.ASGITransport(app=its), table, credential=KEY, now=now)


# ---------------------------------------------------------------- T-1: the clash of names in the document


@pytest.mark.parametrize("answer", [{"connectors": [CONNECTOR]}, [CONNECTOR], {"items": [CONNECTOR]}])
async def test_t1_the_connectors_are_read_under_any_key_they_may_come_under(answer):
    async with saying({ROOT: answer}) as (provider, _):
        page = await provider.connector_feed.page(ALL, first=5, after=None)

    assert [(row.key.id, page.next, page.coverage) for row in page.items] == [("c1", None, Coverage.FULL)]


@pytest.mark.parametrize("answer", [{"connectors": []}, [], {"items": []}])
async def test_t1_no_connectors_is_an_empty_list(answer):
    async with saying({ROOT: answer}) as (provider, _):
        assert (await provider.connector_feed.page(ALL, first=5, after=None)).items == []


@pytest.mark.parametrize("answer", [{"connector": CONNECTOR}, CONNECTOR])
async def test_t1_a_connector_is_read_wrapped_or_bare(answer):
    async with saying({f"{ROOT}/c1": answer}) as (provider, calls):
        (found,) = await provider.connector_lookup.find_connectors(["c1"])

    assert (found.key.id, found.status) == ("c1", ConnectorStatus.CONNECTED)
    assert calls.sent == [f"GET {ROOT}/c1"]


async def test_t1_the_enrollment_token_that_the_document_promises_is_not_an_empty_list():
    token = {"token_id": "t", "token": "secret", "expires_at": "2026-11-22T00:00:00Z"}
    async with saying({ROOT: token, f"{ROOT}/c1": token}) as (provider, _):
        with pytest.raises(errors.UpstreamContractError):
            await provider.connector_feed.page(ALL, first=5, after=None)
        (found,) = await provider.connector_lookup.find_connectors(["c1"])

    assert isinstance(found, errors.UpstreamContractError)


# ---------------------------------------------------------------- T-2: contracts that change without a version


async def test_t2_a_server_of_2026_07_03_is_read_without_its_later_fields():
    async with acme("sync-detail") as (provider, _):
        syncs = (await provider.sync_feed.page(ALL, first=50, after=None)).items

    assert len(syncs) == 8
    assert {row.extra.details.key_columns for row in syncs} == {None}
    assert {row.state for row in syncs if not row.enabled} == {SyncState.PAUSED}


async def test_t2_lists_that_are_not_there_are_a_contract_gone_with_a_hint():
    async with saying({}) as (provider, _):
        for feed in (provider.connector_feed, provider.sync_feed, provider.run_feed):
            with pytest.raises(errors.UpstreamGoneError, match="sync-detail") as caught:
                await feed.page(ALL, first=5, after=None)

            assert caught.value.http_status == 404


async def test_t2_a_404_of_one_thing_is_that_it_is_not_there():
    async with saying({f"{ROOT}/jobs?connector_id=c1": {"jobs": []}}) as (provider, _):
        assert await provider.connector_lookup.find_connectors(["c1"]) == [None]
        assert await provider.sync_lookup.find_syncs(["c1/s1"]) == [None]
        assert await provider.stats_lookup.find_stats(["c1/s1", "nope"]) == [None, None]
        assert await provider.run_lookup.find_runs(["c1/s1/j1"]) == [None]


async def test_t2_a_detail_route_that_is_gone_says_which_contract_to_try():
    async with saying({f"{ROOT}/c1/syncs/s1": httpx2.Response(405)}, "sync-detail", syncs=["c1/s1"]) as (
        provider,
        _,
    ):
        with pytest.raises(errors.UpstreamGoneError, match='contract = "connectors"'):
            await provider.sync_feed.page(ALL, first=5, after=None)


# ---------------------------------------------------------------- T-4, T-5: what a status hides


async def test_t4_a_paused_sync_and_one_that_timbal_disabled_are_told_apart():
    async with acme() as (provider, _):
        syncs = {row.name: row for row in (await provider.sync_feed.page(ALL, first=50, after=None)).items}

    assert (syncs["Shipments"].state, syncs["Shipments"].last_outcome) == (
        SyncState.PAUSED,
        RunStatus.SUCCEEDED,
    )
    assert (syncs["Invoices"].state, syncs["Invoices"].last_outcome) == (SyncState.DISABLED, RunStatus.FAILED)
    assert syncs["Invoices"].extra.details.consecutive_failures == 10
    assert syncs["Invoices"].last_error.message.startswith("disabled after 10 consecutive failures")
    assert syncs["Shipments"].last_error is None


async def test_t5_a_sync_of_a_lost_connector_stays_enabled_and_only_its_last_success_tells():
    async with acme() as (provider, _):
        syncs = {row.name: row for row in (await provider.sync_feed.page(ALL, first=50, after=None)).items}
        late = syncs["Lisbon tills"]
        (box,) = await provider.connector_lookup.find_connectors([late.connector.id])

    assert (late.enabled, late.state, late.last_outcome) == (True, SyncState.IDLE, RunStatus.SUCCEEDED)
    assert NOW - late.last_success_at > 3 * late.expected_interval
    assert (box.status, box.name) == (ConnectorStatus.NOT_CONNECTED, "POS-LIS-02")
    assert (syncs["Lisbon returns"].state, syncs["Lisbon returns"].last_outcome) == (
        SyncState.NEVER_RUN,
        None,
    )


# ---------------------------------------------------------------- lists: no order, no pages, no cap published


async def test_a_list_in_any_order_is_shown_newest_first_and_each_row_once():
    jobs = [{**JOB, "id": f"j{n}", "created_at": f"2026-11-22T09:0{n}:00Z"} for n in (2, 5, 1, 5, 3)]
    async with saying({f"{ROOT}/jobs": {"jobs": jobs}}) as (provider, _):
        page = await provider.run_feed.page(ALL, first=2, after=None)

    assert [row.key.id for row in page.items] == ["c1/-/j5", "c1/-/j3", "c1/-/j2", "c1/-/j1"]
    assert page.next is None


async def test_how_many_runs_a_list_shows_is_not_published_so_older_ones_may_exist():
    async with acme() as (provider, _):
        (scope,) = await provider.run_feed.scopes()
        jobs = await provider.run_feed.page(scope, first=5, after=None)
        recent = await provider.run_feed.page(Scope(sync_id=jobs.items[0].sync.id), first=5, after=None)

    assert (len(jobs.items), jobs.coverage) == (60, Coverage.WINDOW)
    assert (len(recent.items), recent.coverage) == (10, Coverage.WINDOW)


async def test_should_the_lists_begin_to_page_the_pages_are_followed():
    answers = {
        f"{ROOT}/syncs": {"syncs": [SYNC], "next_page_token": "p+2"},
        f"{ROOT}/syncs?page_token=p%2B2": {"syncs": [{**SYNC, "id": "s2"}], "next_page_token": None},
    }
    async with saying(answers) as (provider, _):
        page = await provider.sync_feed.page(ALL, first=1, after=None)

    assert sorted(row.key.id for row in page.items) == ["c1/s1", "c1/s2"]
    assert page.coverage is Coverage.FULL


async def test_a_page_token_that_comes_back_is_a_stalled_list():
    answers = {
        f"{ROOT}/jobs": {"jobs": [], "next_page_token": "again"},
        f"{ROOT}/jobs?page_token=again": {"jobs": [], "next_page_token": "again"},
    }
    async with saying(answers) as (provider, _):
        with pytest.raises(errors.PaginationStalledError):
            await provider.run_feed.page(ALL, first=1, after=None)


def endless(request):
    """Connectors and syncs without an end; each of them can be read alone."""
    path = request.url.path
    if path.endswith(("/c99", "/syncs/s99")):
        its = {**SYNC, "id": "s99"}
        return httpx2.Response(
            200,
            json={"connector": {**CONNECTOR, "id": "c99"}}
            if path.endswith("/c99")
            else {**DETAIL, "sync": its},
        )
    page = int(request.url.params.get("page_token", 0))
    token = str(page + 1)
    rows = {"syncs": [{**SYNC, "id": f"s{page}"}], "connectors": [{**CONNECTOR, "id": f"c{page}"}]}
    return httpx2.Response(200, json={**rows, "next_page_token": token})


async def test_a_list_that_is_too_long_is_a_window_and_the_rest_is_asked_for_one_by_one():
    async with over(endless) as (provider, calls):
        page = await provider.sync_feed.page(ALL, first=1, after=None)
        syncs = await provider.sync_lookup.find_syncs(["c1/s3", "c1/s99"])
        connectors = await provider.connector_lookup.find_connectors(["c99", "c3"])

    assert (len(page.items), page.coverage) == (20, Coverage.WINDOW)
    assert [found.key.id for found in syncs] == ["c1/s3", "c1/s99"]
    assert [found.key.id for found in connectors] == ["c99", "c3"]
    assert len(calls.sent) == 42


async def test_a_list_that_fails_is_the_answer_for_each_id_of_the_right_shape():
    async with saying({f"{ROOT}/syncs": httpx2.Response(403)}) as (provider, calls):
        found = await provider.sync_lookup.find_syncs(["c1/s1", "foreign", "c1/s2"])

    assert [type(one) for one in found] == [
        errors.UpstreamForbiddenError,
        type(None),
        errors.UpstreamForbiddenError,
    ]
    assert calls.sent == [f"GET {ROOT}/syncs"]


async def test_a_server_that_ignores_the_connector_filter_shows_no_foreign_rows():
    others = [SYNC, {**SYNC, "connector_id": "c2"}]
    answers = {
        f"{ROOT}/syncs?connector_id=c2": {"syncs": others},
        f"{ROOT}/jobs?connector_id=c2": {"jobs": [JOB, {**JOB, "connector_id": "c2"}]},
    }
    async with saying(answers) as (provider, _):
        syncs = await provider.sync_feed.page(Scope(connector_id="c2"), first=5, after=None)
        runs = await provider.run_feed.page(Scope(connector_id="c2"), first=5, after=None)

    assert [row.connector.id for row in (*syncs.items, *runs.items)] == ["c2", "c2"]


# ---------------------------------------------------------------- calls


async def test_syncs_and_runs_of_many_connectors_are_one_list_each():
    async with acme() as (provider, calls):
        boxes = (await provider.connector_feed.page(ALL, first=9, after=None)).items
        scopes = [Scope(connector_id=box.key.id) for box in boxes]
        syncs = await provider.sync_feed.first_pages(scopes, first=2)
        runs = await provider.run_feed.first_pages(scopes, first=2)

    assert calls.sent == [f"GET {ROOT}", f"GET {ROOT}/syncs", f"GET {ROOT}/jobs"]
    assert sum(len(page.items) for page in syncs) == 8
    assert sum(len(page.items) for page in runs) == 60


async def test_one_connector_is_asked_for_by_the_filter():
    async with acme() as (provider, calls):
        box = (await provider.connector_feed.page(ALL, first=9, after=None)).items[1].key.id
        await provider.sync_feed.first_pages([Scope(connector_id=box)], first=2)
        await provider.run_feed.first_pages([Scope(connector_id=box)], first=2)

    assert calls.sent[1:] == [f"GET {ROOT}/syncs?connector_id={box}", f"GET {ROOT}/jobs?connector_id={box}"]


async def test_a_syncs_runs_and_its_stats_are_the_same_call():
    async with acme() as (provider, calls):
        syncs = (await provider.sync_feed.page(ALL, first=9, after=None)).items
        ids = [row.key.id for row in syncs]
        await asyncio.gather(
            provider.run_feed.first_pages([Scope(sync_id=its) for its in ids], first=2),
            provider.stats_lookup.find_stats(ids),
        )

    assert len(calls.sent) == 1 + len(ids)


async def test_stats_count_what_the_list_of_runs_no_longer_shows():
    async with acme() as (provider, _):
        syncs = {row.name: row for row in (await provider.sync_feed.page(ALL, first=50, after=None)).items}
        tills, never = await provider.stats_lookup.find_stats(
            [syncs["Customers"].key.id, syncs["Lisbon returns"].key.id]
        )

    assert tills.runs_total > tills.runs_succeeded + tills.runs_failed > 1000
    assert (never.runs_total, never.success_rate) == (0, None)


async def test_a_run_alone_is_looked_for_in_its_sync_before_the_jobs():
    detail, jobs = f"{ROOT}/c1/syncs/s1", f"{ROOT}/jobs?connector_id=c1"
    answers = {detail: DETAIL, jobs: {"jobs": [{**JOB, "id": "j7", "sync_id": "s1"}]}}
    async with saying(answers) as (provider, calls):
        assert (await provider.run_lookup.find_runs(["c1/s1/j1"]))[0].key.id == "c1/s1/j1"
        assert calls.sent == [f"GET {detail}"]
        assert (await provider.run_lookup.find_runs(["c1/s1/j7"]))[0].key.id == "c1/s1/j7"
        assert calls.sent == [f"GET {detail}", f"GET {jobs}"]


async def test_many_runs_are_looked_for_in_all_jobs_then_in_their_syncs_then_in_their_connector_s_jobs():
    """The organisation's list is a window, in which a connector's own shows older jobs, too."""
    detail, jobs, own = f"{ROOT}/c1/syncs/s1", f"{ROOT}/jobs", f"{ROOT}/jobs?connector_id=c1"
    newest, older = ({**JOB, "id": its, "sync_id": "s1"} for its in ("j7", "j3"))
    answers = {detail: DETAIL, jobs: {"jobs": [newest]}, own: {"jobs": [newest, older]}}
    ids = ["c1/s1/j7", "c1/s1/j1", "c1/s1/j3", "c1/s1/gone", "c1/-/gone", "foreign"]
    async with saying(answers) as (provider, calls):
        found = await provider.run_lookup.find_runs(ids)

    assert [run and run.key.id for run in found] == ["c1/s1/j7", "c1/s1/j1", "c1/s1/j3", None, None, None]
    assert calls.sent == [f"GET {jobs}", f"GET {detail}", f"GET {own}"]


async def test_a_one_off_job_belongs_to_no_sync_and_is_found_among_the_jobs():
    async with acme() as (provider, calls):
        runs = (await provider.run_feed.page(ALL, first=50, after=None)).items
        copied = next(run for run in runs if run.sync is None)
        calls.sent.clear()
        (found,) = await provider.run_lookup.find_runs([copied.key.id])

    assert (found, found.trigger) == (copied, RunTrigger.MANUAL)
    assert found.key.id.split("/")[1] == "-"
    assert found.records.by_type[0].type == "files"
    assert calls.sent == [f"GET {ROOT}/jobs?connector_id={copied.connector.id}"]


async def test_a_job_of_a_sync_is_not_found_as_a_one_off():
    async with saying({f"{ROOT}/jobs?connector_id=c1": {"jobs": [{**JOB, "sync_id": "s1"}]}}) as (
        provider,
        _,
    ):
        assert await provider.run_lookup.find_runs(["c1/-/j1"]) == [None]


# ---------------------------------------------------------------- ids: opaque upstream, safe in a path


@pytest.mark.parametrize(
    "foreign",
    ["c", "c/", "/s", "c/s/j", "c/-", "./s", "c/..", "c/" + "s" * 129, "c/\n", "c/\ud800", "c/s/j/x"],
)
async def test_a_sync_id_of_another_shape_is_none_without_a_call(foreign):
    async with saying({}) as (provider, calls):
        assert await provider.sync_lookup.find_syncs([foreign]) == [None]
        assert await provider.stats_lookup.find_stats([foreign]) == [None]

    assert calls.sent == []


async def test_an_opaque_id_stays_one_segment_of_the_path():
    async with saying({}) as (provider, calls):
        await provider.sync_lookup.find_syncs(["a?b=c#d/ü %2e"])

    assert calls.sent == [f"GET {ROOT}/a%3Fb%3Dc%23d/syncs/%C3%BC%20%252e"]


async def test_the_runs_of_a_sync_that_is_not_there_are_an_error_not_an_empty_list():
    async with saying({}) as (provider, calls):
        gone = Scope(sync_id="c1/s1")
        with pytest.raises(errors.UpstreamNotFoundError):
            await provider.run_feed.page(gone, first=5, after=None)
        with pytest.raises(errors.UpstreamNotFoundError):
            await provider.run_feed.page(Scope(sync_id="foreign"), first=5, after=None)

    assert calls.sent == [f"GET {ROOT}/c1/syncs/s1"]


async def test_one_lost_sync_does_not_take_the_other_heads_along():
    async with saying({f"{ROOT}/c1/syncs/s1": DETAIL}) as (provider, _):
        heads = await provider.run_feed.first_pages([Scope(sync_id="c1/s1"), Scope(sync_id="c1/s2")], first=5)

    assert isinstance(heads[0], Page)
    assert isinstance(heads[1], errors.UpstreamNotFoundError)


# ---------------------------------------------------------------- limits


async def test_a_429_says_when_to_come_back_in_seconds():
    limited = httpx2.Response(
        429,
        headers={"retry-after": "42", "ratelimit-reset": "42"},
        json={"code": "X", "message": "slow down"},
    )
    async with saying({f"{ROOT}/syncs": limited}) as (provider, _):
        with pytest.raises(errors.UpstreamRateLimitedError) as caught:
            await provider.sync_feed.page(ALL, first=5, after=None)

    assert caught.value.retry_after == NOW + timedelta(seconds=42)
    assert "slow down" not in str(caught.value)


# ---------------------------------------------------------------- contract sync-detail


async def test_under_sync_detail_connectors_are_derived_from_the_configured_syncs():
    async with acme("sync-detail") as (provider, calls):
        page = await provider.connector_feed.page(ALL, first=9, after=None)
        assert len(calls.sent) == 8
        syncs = await provider.sync_feed.page(ALL, first=9, after=None)
        assert len(calls.sent) == 8
        (one,) = await provider.connector_lookup.find_connectors([page.items[0].key.id])

    assert (len(page.items), page.coverage, syncs.coverage) == (3, Coverage.CONFIGURED, Coverage.CONFIGURED)
    assert {row.provenance for row in page.items} == {Provenance.DERIVED}
    assert {row.status for row in page.items} == {ConnectorStatus.UNKNOWN}
    assert sorted(str(row.source_type) for row in page.items) == ["None", "mysql", "sql_server"]
    assert one == page.items[0]


async def test_under_sync_detail_a_configured_sync_that_is_gone_is_left_out():
    answers = {f"{ROOT}/c1/syncs/s1": DETAIL}
    async with saying(answers, "sync-detail", syncs=["c1/s1", "c2/s2"]) as (provider, _):
        syncs = await provider.sync_feed.page(ALL, first=9, after=None)
        connectors = await provider.connector_feed.page(ALL, first=9, after=None)

        assert [row.key.id for row in syncs.items] == ["c1/s1"]
        assert [row.key.id for row in connectors.items] == ["c1"]
        assert await provider.connector_lookup.find_connectors(["c2"]) == [None]


async def test_under_sync_detail_any_sync_and_its_runs_can_be_looked_up():
    async with saying({f"{ROOT}/c1/syncs/s1": DETAIL}, "sync-detail", syncs=["c9/s9"]) as (provider, calls):
        (sync,) = await provider.sync_lookup.find_syncs(["c1/s1"])
        (run,) = await provider.run_lookup.find_runs(["c1/s1/j1"])
        none = await provider.run_lookup.find_runs(["c1/-/j1", "c1/s1/j2", "foreign"])

    assert (sync.key.id, run.key.id, none) == ("c1/s1", "c1/s1/j1", [None, None, None])
    assert calls.sent == [f"GET {ROOT}/c1/syncs/s1"]


async def test_under_sync_detail_a_connector_shows_its_configured_syncs_and_their_runs():
    answers = {f"{ROOT}/c1/syncs/s1": DETAIL}
    async with saying(answers, "sync-detail", syncs=["c1/s1", "c2/s2"]) as (provider, calls):
        syncs = await provider.sync_feed.page(Scope(connector_id="c1"), first=9, after=None)
        runs = await provider.run_feed.page(Scope(connector_id="c1"), first=9, after=None)

    assert [row.key.id for row in (*syncs.items, *runs.items)] == ["c1/s1", "c1/s1/j1"]
    assert calls.sent == [f"GET {ROOT}/c1/syncs/s1"]


# ---------------------------------------------------------------- configuration


def mistakes(**keys):
    raw = {"kind": "timbal", "credential": "env:TIMBAL_KEY", **keys}
    with pytest.raises(ConfigError) as caught:
        parse({"providers": {"acme": raw}}, {"timbal": adapter.settings})
    return [(its.key, its.hint) for its in caught.value.mistakes]


@pytest.fixture
def timbal_key(monkeypatch):
    monkeypatch.setenv("TIMBAL_KEY", "t2_0123456789abcdef")


@pytest.mark.usefixtures("timbal_key")
@pytest.mark.parametrize(
    ("keys", "place", "hint"),
    [
        ({}, "providers.acme.organisation", "Field required"),
        ({"organisation": "a/b"}, "providers.acme.organisation", "org_id"),
        ({"organisation": True}, "providers.acme.organisation", "string"),
        ({"organisation": "1", "contract": "sync-detail"}, "providers.acme", "connector_id/sync_id"),
        (
            {"organisation": "1", "contract": "sync-detail", "syncs": ["nope"]},
            "providers.acme.syncs.0",
            "connector_id/sync_id",
        ),
        (
            {"organisation": "1", "contract": "sync-detail", "syncs": ["a/b", "a/b"]},
            "providers.acme",
            "twice",
        ),
        ({"organisation": "1", "syncs": ["a/b"]}, "providers.acme", "remove this key"),
        ({"organisation": "1", "contract": "v2"}, "providers.acme.contract", "connectors"),
    ],
)
def test_a_mistake_in_the_configuration_is_named_with_what_to_write(keys, place, hint):
    ((key, said),) = mistakes(**keys)

    assert key == place
    assert hint in said


@pytest.mark.usefixtures("timbal_key")
def test_an_organisations_id_may_be_written_as_the_number_it_also_is():
    raw = {"kind": "timbal", "credential": "env:TIMBAL_KEY", "organisation": 184}
    its = parse({"providers": {"acme": raw}}, {"timbal": adapter.settings}).providers["acme"]

    assert isinstance(its, adapter.settings)
    assert (its.organisation, its.contract, its.base_url) == ("184", "connectors", "https://api.timbal.ai")
    assert "t2_0123456789abcdef" not in repr(adapter.dialect(its))
