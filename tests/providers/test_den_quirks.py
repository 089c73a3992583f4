"""What a client of Den must know, one sentence each."""

import json
from datetime import timedelta
from urllib.parse import parse_qsl

import httpx2
import pytest
from tests.contract.suite import (
    NOW,
    _no_waiting,  # noqa: F401 - autouse
    bound,
)

from syncgraph import errors
from syncgraph.domain.model import Coverage, Provenance, RunStatus, StatsSource, SyncState
from syncgraph.domain.page import Page
from syncgraph.ports import ALL, Scope
from syncgraph.providers.den import adapter, sandbox
from syncgraph.providers.den.paging import HEAD, MAX_WALK_PAGES
from syncgraph.providers.den.sandbox_data import AGENTS, HANDBOOK_MAIN, PROMPTS, TARGETS, type_id

EVENTS = "GET /v1/connector-sync-events"
CIN, CTG = type_id("cin", NOW, "a"), type_id("ctg", NOW, "a")


def over(transport, *, key=sandbox.KEY, **table):
    return bound(adapter, transport, {"kind": "den", **table}, credential=key)


def sandboxed(contract="connector-instances", *, key=sandbox.KEY, limits=False, runs=640, **table):
    app = sandbox.app(clock=lambda: NOW, contract=contract, limits=limits, runs=runs)
    return over(httpx2.ASGITransport(app=app), key=key, contract=contract, **table)


def event(nth, *, target=CTG, **changes):
    """The ``nth`` newest event."""
    at = NOW - timedelta(minutes=nth)
    row = {
        "id": type_id("cse", at, nth),
        "connectorInstanceId": CIN,
        "connectorTargetId": target,
        "eventType": "push",
        "status": "completed",
        "startedAt": at.isoformat(),
    }
    return {**row, **changes}


class Server:
    """A list that changes while it is read: cursors as Den takes them, unknown ones back to the head."""

    def __init__(self, rows):
        self.rows = rows
        self.calls = []

    def transport(self):
        return httpx2.MockTransport(self.answer)

    def answer(self, request):
        query = dict(parse_qsl(request.url.query.decode()))
        self.calls.append(query)
        target = query.get("connectorTargetId")
        rows = [row for row in self.rows if target in {None, row["connectorTargetId"]}]
        ids = [row["id"] for row in rows]
        start = ids.index(query["cursor"]) + 1 if query.get("cursor") in ids else 0
        end = start + int(query["limit"])
        body = {"items": rows[start:end], "nextCursor": ids[end - 1] if end < len(ids) else None}
        return httpx2.Response(200, json=body)


def answering_by(*answers):
    """The answers in turn, the last one for ever."""
    queue = list(answers)

    def handle(_):
        status, body = queue.pop(0) if len(queue) > 1 else queue[0]
        return httpx2.Response(status, json=body)

    return httpx2.MockTransport(handle)


EMPTY: dict[str, object] = {"items": [], "nextCursor": None}


async def test_a_cursor_that_den_forgot_starts_again_at_the_head_and_no_row_is_lost():
    server = Server([event(nth) for nth in range(9)])
    async with over(server.transport()) as (provider, _):
        head = await provider.run_feed.page(ALL, first=3, after=None)
        gone = server.rows.pop(2)["id"]
        rest = [await provider.run_feed.page(ALL, first=4, after=head.next)]
        while rest[-1].next is not None:
            rest.append(await provider.run_feed.page(ALL, first=4, after=rest[-1].next))

    assert head.next == gone
    seen = {run.key.id for page in [head, *rest] for run in page.items}
    assert seen >= {row["id"] for row in server.rows}


async def test_a_list_whose_next_cursor_is_the_one_sent_is_stalled():
    body = {"items": [event(0)], "nextCursor": event(0)["id"]}
    async with over(answering_by((200, body))) as (provider, _):
        page = await provider.run_feed.page(ALL, first=1, after=None)
        with pytest.raises(errors.PaginationStalledError):
            await provider.run_feed.page(ALL, first=1, after=page.next)


async def test_a_list_that_leads_in_a_circle_is_stalled():
    pages = [(200, {"items": [event(nth)], "nextCursor": f"c{nth % 3}"}) for nth in range(9)]
    async with over(answering_by(*pages)) as (provider, _):
        second = (await provider.run_feed.page(ALL, first=1, after=None)).next
        third = (await provider.run_feed.page(ALL, first=1, after=second)).next
        last = (await provider.run_feed.page(ALL, first=1, after=third)).next
        with pytest.raises(errors.PaginationStalledError):
            await provider.run_feed.page(ALL, first=1, after=last)


async def test_a_circle_in_a_walk_is_the_answer_for_whoever_is_not_served_yet():
    body = {"items": [event(0)], "nextCursor": "c"}
    async with over(answering_by((200, body))) as (provider, _):
        served, *others = await provider.run_feed.first_pages(
            [Scope(sync_id=CTG), *(Scope(sync_id=type_id("ctg", NOW, one)) for one in "bc")], first=1
        )

    assert isinstance(served, Page)
    assert [type(other) for other in others] == [errors.PaginationStalledError] * 2


async def test_a_walk_that_was_sent_back_to_the_head_gives_each_run_once_and_in_order():
    server = Server([event(nth) for nth in range(150)])
    new, gone = event(-1), event(99)

    def changing(request):
        if len(server.calls) == 1:
            server.rows = [new, *(row for row in server.rows if row["id"] != gone["id"])]
        return server.answer(request)

    scopes = [Scope(sync_id=CTG), Scope(sync_id=type_id("ctg", NOW, "never"))]
    async with over(httpx2.MockTransport(changing)) as (provider, _):
        page, nothing = await provider.run_feed.first_pages(scopes, first=150)

    assert server.calls[1]["cursor"] == gone["id"]
    assert [run.key.id for run in page.items] == [event(nth)["id"] for nth in range(-1, 150)]
    assert list(nothing.items) == []


async def test_every_list_scans_all_so_many_heads_are_one_walk():
    scopes = [Scope(sync_id=target.id) for target in TARGETS if target.instance is AGENTS] * 3
    async with sandboxed() as (provider, calls):
        heads = await provider.run_feed.first_pages(scopes, first=3)

    assert calls.sent == [f"{EVENTS}?limit=100"]
    assert all(len(head.items) >= 3 for head in heads)


async def test_a_single_head_is_one_filtered_call():
    async with sandboxed() as (provider, calls):
        await provider.run_feed.first_pages([Scope(sync_id=HANDBOOK_MAIN.id)], first=3)

    assert calls.sent == [f"{EVENTS}?connectorTargetId={HANDBOOK_MAIN.id}&limit=3"]


async def test_a_walk_ends_after_three_pages_and_says_where_each_list_goes_on():
    never = next(target for target in TARGETS if target.instance is PROMPTS)
    scopes = [Scope(sync_id=HANDBOOK_MAIN.id), Scope(sync_id=never.id)]
    async with sandboxed() as (provider, calls):
        found, nothing = await provider.run_feed.first_pages(scopes, first=70)
        rest = await provider.run_feed.page(scopes[0], first=100, after=found.next)
        head = await provider.run_feed.page(scopes[1], first=5, after=nothing.next)

    assert len([call for call in calls.sent if "Target" not in call]) == MAX_WALK_PAGES
    assert (found.coverage, nothing.coverage) == (Coverage.WINDOW, Coverage.WINDOW)
    assert (found.next, nothing.next) == (found.items[-1].key.id, HEAD)
    assert len(found.items) + len(rest.items) == 80
    assert (list(head.items), head.next) == ([], None)


async def test_a_walk_that_reads_the_list_to_its_end_says_so():
    async with sandboxed(runs=150) as (provider, _):
        heads = await provider.run_feed.first_pages(
            [Scope(sync_id=target.id) for target in TARGETS], first=50
        )

    assert {(head.next, head.coverage) for head in heads} == {(None, Coverage.FULL)}


async def test_an_error_midway_spoils_only_the_heads_that_were_not_full():
    first = {"items": [event(nth) for nth in range(3)], "nextCursor": event(2)["id"]}
    scopes = [Scope(sync_id=CTG), *(Scope(sync_id=type_id("ctg", NOW, one)) for one in "bc")]
    async with over(answering_by((200, first), (503, {}))) as (provider, _):
        full, *others = await provider.run_feed.first_pages(scopes, first=2)

    assert [run.key.id for run in full.items] == [event(nth)["id"] for nth in range(3)]
    assert [type(other) for other in others] == [errors.UpstreamUnavailableError] * 2


async def test_a_walk_stops_when_one_filtered_call_serves_what_is_left():
    first = {"items": [event(nth) for nth in range(3)], "nextCursor": event(2)["id"]}
    scopes = [Scope(sync_id=CTG), Scope(sync_id=type_id("ctg", NOW, "b"))]
    async with over(answering_by((200, first))) as (provider, calls):
        full, other = await provider.run_feed.first_pages(scopes, first=2)

    assert calls.sent == [f"{EVENTS}?limit=100"]
    assert (len(full.items), list(other.items), other.next) == (3, [], HEAD)


async def test_an_error_of_a_single_head_is_its_value():
    async with over(answering_by((503, {}))) as (provider, _):
        [head] = await provider.run_feed.first_pages([Scope(sync_id=CTG)], first=2)

    assert isinstance(head, errors.UpstreamUnavailableError)


async def test_no_instances_no_lists_of_targets():
    async with over(answering_by((503, {}))) as (provider, _):
        with pytest.raises(errors.UpstreamUnavailableError):
            await provider.sync_feed.scopes()


async def test_stats_of_no_sync_cost_no_call():
    async with over(answering_by((503, {}))) as (provider, calls):
        assert list(await provider.stats_lookup.find_stats(["nope"])) == [None]

    assert calls.sent == []


async def test_stats_of_many_and_grouped_heads_share_one_call():
    ids = [target.id for target in TARGETS]
    async with sandboxed() as (provider, calls):
        stats = await provider.stats_lookup.find_stats(ids)
        scopes = [Scope(sync_id=one) for one in ids if "prompts" not in one]
        await provider.run_feed.first_pages([one for one in scopes if one.sync_id != ids[1]][2:4], first=1)

    assert calls.sent == [f"{EVENTS}?limit=100"]
    assert {one.source for one in stats} == {StatsSource.OBSERVED}
    assert {one.coverage for one in stats} == {Coverage.WINDOW}
    assert sum(one.runs_total for one in stats) <= 100


async def test_stats_of_one_sync_count_its_own_newest_runs():
    async with sandboxed() as (provider, calls):
        [its, none] = await provider.stats_lookup.find_stats([HANDBOOK_MAIN.id, "nope"])
        runs = (await provider.run_feed.page(Scope(sync_id=HANDBOOK_MAIN.id), first=100, after=None)).items

    assert len(calls.sent) == 1
    assert none is None
    assert (its.runs_total, its.coverage) == (80, Coverage.FULL)
    assert its.runs_succeeded == sum(run.status is RunStatus.SUCCEEDED for run in runs)
    assert its.runs_failed == sum(run.status is RunStatus.FAILED for run in runs)
    assert its.oldest_run_at == runs[-1].ordered_at
    assert its.records_total is None  # failed runs tell none


async def test_records_are_totalled_only_when_every_run_tells_them():
    counted = {"createdCount": 1, "updatedCount": 0, "deletedCount": 0, "skippedCount": 0, "failedCount": 0}
    body = {"items": [event(n, summaryJson=counted) for n in range(4)], "nextCursor": None}
    async with over(answering_by((200, body))) as (provider, _):
        [its] = await provider.stats_lookup.find_stats([CTG])

    assert its.records_total == 4


async def test_a_failed_count_is_the_answer_for_every_sync_asked_for():
    async with over(answering_by((403, {"error": "forbidden"}))) as (provider, _):
        first, foreign, second = await provider.stats_lookup.find_stats(
            [CTG, "nope", type_id("ctg", NOW, "b")]
        )

    assert isinstance(first, errors.UpstreamForbiddenError)
    assert isinstance(second, errors.UpstreamForbiddenError)
    assert foreign is None


async def test_a_401_on_a_key_that_worked_a_moment_ago_is_throttling():
    async with over(answering_by((200, EMPTY), (401, {"error": "unauthorized"}))) as (provider, _):
        await provider.run_feed.page(ALL, first=1, after=None)
        with pytest.raises(errors.UpstreamRateLimitedError):
            await provider.run_feed.page(ALL, first=2, after=None)


async def test_a_401_on_a_session_that_worked_is_no_throttling_as_sessions_have_no_counter():
    answers = answering_by((200, EMPTY), (401, {"error": "unauthorized"}))
    async with over(answers, auth="bearer") as (provider, _):
        await provider.run_feed.page(ALL, first=1, after=None)
        with pytest.raises(errors.UpstreamAuthError):
            await provider.run_feed.page(ALL, first=2, after=None)


async def test_a_missing_organisation_is_forbidden_and_not_an_event_that_is_not_there():
    one = event(0)["id"]
    async with over(answering_by((404, {"error": "organization_not_found"}))) as (provider, _):
        [found] = await provider.run_lookup.find_runs([one])
    async with over(answering_by((404, {"error": "connector_sync_event_not_found"}))) as (provider, _):
        missing = await provider.run_lookup.find_runs([one])

    assert isinstance(found, errors.UpstreamForbiddenError)
    assert list(missing) == [None]


async def test_a_missing_route_says_which_contract_to_configure():
    async with over(answering_by((404, {"error": "not_found"}))) as (provider, _):
        with pytest.raises(errors.UpstreamGoneError, match='contract = "sync-events"'):
            await provider.connector_feed.page(ALL, first=1, after=None)


async def test_ids_of_another_shape_are_400_at_den_and_so_never_sent():
    upper, overflow, short = CIN.upper(), "cse_z" + "0" * 25, "cse_zzz"
    async with over(answering_by((500, {}))) as (provider, calls):
        runs = await provider.run_lookup.find_runs([upper, overflow, short, CTG])
        page = await provider.run_feed.page(Scope(connector_id="x" * 30), first=5, after=None)
        heads = await provider.run_feed.first_pages([Scope(sync_id="a"), Scope(sync_id="b")], first=5)
        targets = await provider.sync_feed.page(Scope(connector_id="../me"), first=5, after=None)

    assert list(runs) == [None] * 4
    assert [list(one.items) for one in (page, targets, *heads)] == [[]] * 4
    assert calls.sent == []


async def test_targets_of_a_disabled_instance_are_disabled_where_the_instance_is_known():
    async with sandboxed() as (provider, _):
        page = await provider.sync_feed.page(Scope(connector_id=PROMPTS.id), first=5, after=None)
        [alone] = await provider.sync_lookup.find_syncs([page.items[0].key.id])

    assert [sync.state for sync in page.items] == [SyncState.DISABLED]
    assert alone.state is SyncState.UNKNOWN


async def test_with_events_only_connectors_and_syncs_are_derived_from_one_walk():
    async with sandboxed("sync-events") as (provider, calls):
        connectors = await provider.connector_feed.page(ALL, first=5, after=None)
        syncs = await provider.sync_feed.page(ALL, first=5, after=None)

    assert len(calls.sent) == MAX_WALK_PAGES
    assert {one.provenance for one in [*connectors.items, *syncs.items]} == {Provenance.DERIVED}
    assert (connectors.coverage, syncs.coverage) == (Coverage.WINDOW, Coverage.WINDOW)
    assert PROMPTS.id not in {one.key.id for one in connectors.items}  # no event, so not to be seen
    assert "acme/handbook" in {one.name for one in connectors.items}


async def test_with_events_only_a_list_that_ends_shows_all_there_is():
    async with sandboxed("sync-events", runs=90) as (provider, _):
        page = await provider.sync_feed.page(ALL, first=5, after=None)

    assert page.coverage is Coverage.FULL


async def test_with_events_only_an_old_connector_is_still_found_by_its_id():
    rows = [event(nth, connectorInstanceId=AGENTS.id) for nth in range(600)]
    old = event(700)

    def handle(request):
        query = dict(parse_qsl(request.url.query.decode()))
        if query.get("connectorInstanceId") == CIN:
            return httpx2.Response(200, json={"items": [old], "nextCursor": None})
        start = next((n + 1 for n, row in enumerate(rows) if row["id"] == query.get("cursor")), 0)
        page = rows[start : start + 100]
        return httpx2.Response(200, json={"items": page, "nextCursor": page[-1]["id"]})

    async with over(httpx2.MockTransport(handle), contract="sync-events") as (provider, _):
        found = await provider.connector_lookup.find_connectors([AGENTS.id, CIN])

    assert [one.key.id for one in found] == [AGENTS.id, CIN]


async def test_a_throttled_sandbox_key_is_rate_limited_after_600_requests():
    app = sandbox.app(clock=lambda: NOW, contract="connector-instances", limits=True)
    transport = httpx2.ASGITransport(app=app)
    async with over(transport) as (provider, _):
        await provider.run_feed.page(ALL, first=1, after=None)
        ids = [type_id("cse", NOW, nth) for nth in range(600)]
        found = await provider.run_lookup.find_runs(ids)

    assert [type(one) for one in found if one is not None] == [errors.UpstreamRateLimitedError]


async def test_the_doctor_never_asks_for_me_as_it_answers_with_the_key():
    async with sandboxed() as (provider, calls):
        found = await provider.probe.diagnose()

    assert sorted(calls.sent) == [
        "GET /health",
        "GET /v1/connector-instances?limit=1",
        "GET /v1/connector-sync-events?limit=1",
        "GET /v1/me/orgs",
    ]
    assert (found.server, found.advice) == ("den-api sandbox, organisation Acme", ())
    assert "600" in found.limits


async def test_the_doctor_warns_a_member_without_grants_whose_lists_are_empty():
    async with sandboxed(key=sandbox.MEMBER_KEY) as (provider, _):
        found = await provider.probe.diagnose()

    assert (found.authorised, found.error) == (True, None)
    assert found.advice == ("The key may see nothing: its member is member and has no grants on connectors.",)


@pytest.mark.parametrize(
    ("served", "configured", "said"),
    [
        ("sync-events", "connector-instances", 'configure contract = "sync-events"'),
        ("connector-instances", "sync-events", 'contract = "connector-instances" shows'),
    ],
)
async def test_the_doctor_says_which_contract_to_configure(served, configured, said):
    app = sandbox.app(clock=lambda: NOW, contract=served)
    async with over(httpx2.ASGITransport(app=app), contract=configured) as (provider, _):
        found = await provider.probe.diagnose()

    assert said in found.advice[0]
    assert served in found.served


async def test_the_doctor_tells_a_refused_key_though_health_answers_to_anyone():
    async with sandboxed(key="den_nobody") as (provider, _):
        found = await provider.probe.diagnose()

    assert (found.reachable, found.authorised) == (True, False)
    assert "refused" in found.advice[0]
    assert isinstance(found.error, errors.UpstreamAuthError)


async def test_the_doctor_reads_their_clock():
    headers = {"date": "Sun, 22 Nov 2026 09:41:37 GMT", "content-type": "application/json"}
    answer = httpx2.Response(200, headers=headers, content=json.dumps(EMPTY))
    async with over(httpx2.MockTransport(lambda _: answer)) as (provider, _):
        found = await provider.probe.diagnose()

    assert found.clock_skew == timedelta(seconds=30)
    assert found.server is None
