"""A really running Den, replayed: every recorded answer decodes, maps, or is refused by the right name."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
from tests.contract.suite import (
    _no_waiting,  # noqa: F401 - autouse
    bound,
)
from tests.replay import DEN_UNRECORDED, RECORDINGS, recording, recordings, replay, serving

from syncgraph import errors
from syncgraph.domain.model import ConnectorStatus, Coverage, RunStatus
from syncgraph.ports import ALL, Scope
from syncgraph.providers.den import adapter, mapping, wire
from syncgraph.providers.den.settings import Settings
from syncgraph.upstream.transport import connect

FOLDER = RECORDINGS / "den"
ROUTES = (
    ("/connector-sync-events", wire.EVENTS),
    ("/connector-instances", wire.INSTANCES),
    ("/targets", wire.TARGETS),
)
MAPPED: dict[Any, Callable[[Any], Any]] = {
    wire.Event: lambda row: mapping.run("den", row),
    wire.Instance: lambda row: mapping.connector("den", row),
    wire.Target: lambda row: mapping.sync("den", row, None),
}
DETAILS = (
    ("/connector-sync-events/", wire.EVENT),
    ("/connector-instances/", wire.INSTANCE),
    ("/connector-targets/", wire.TARGET),
)
REFUSALS = {
    "no_auth_401": errors.UpstreamAuthError,
    "bad_key_401": errors.UpstreamAuthError,
    "apikey_as_bearer": errors.UpstreamAuthError,
    "auth_before_validation": errors.UpstreamAuthError,
    "me_orgs_401": errors.UpstreamAuthError,
    "ratelimited_key_list_401": errors.UpstreamAuthError,
    "ratelimited_key_after_20s": errors.UpstreamAuthError,
    "member_get_403": errors.UpstreamForbiddenError,
    "member_instance_403": errors.UpstreamForbiddenError,
    "other_org_header": errors.UpstreamForbiddenError,
    "event_404": errors.UpstreamNotFoundError,
    "account_404": errors.UpstreamNotFoundError,
    "targets_404": errors.UpstreamNotFoundError,
    "trailing_slash": errors.UpstreamGoneError,
    "method_post_404": errors.UpstreamGoneError,
    "db_error_500": errors.UpstreamUnavailableError,
    "events_bad_400": errors.UpstreamContractError,
    "events_bad_instance_400": errors.UpstreamContractError,
    "events_upper_id_400": errors.UpstreamContractError,
    "events_limit0_400": errors.UpstreamContractError,
    "events_multi_status": errors.UpstreamContractError,
    "events_cursor_empty_400": errors.UpstreamContractError,
    "events_cursor_too_long_400": errors.UpstreamContractError,
    "event_bad_id_400": errors.UpstreamContractError,
    "event_overflow_id": errors.UpstreamContractError,
    "malformed_json_400": errors.UpstreamContractError,
}
AS_RECORDED = (
    *("events_limit3", "events_limit3_page2", "events_bogus_cursor", "events_default", "events_q"),
    *("events_offset_ignored", "events_instance", "events_instance_unknown", "events_status_partial"),
    *("instances", "instance", "event_completed", "events_bad_400", "targets_404", "health"),
)


def decoder_of(its):
    for end, decoder in ROUTES:
        if its.path.endswith(end):
            return decoder
    return next(decoder for start, decoder in DETAILS if start in its.path)


def read():
    known = [end for end, _ in ROUTES] + [start for start, _ in DETAILS]
    return [
        its
        for its in recordings(FOLDER)
        if its.method == "GET" and its.status == 200 and any(part in its.path for part in known)
        if not its.path.endswith(("/configuration", "/mappings"))
    ]


@asynccontextmanager
async def gateway(base_url, **table):
    """Den as the gateway reaches it: over its own transport and a socket."""
    table = {"kind": "den", "base_url": base_url, **table}
    async with (
        connect(Settings.model_construct(concurrency=32, ca_bundle=None, proxy=None)) as transport,
        bound(adapter, transport, table, credential="den_lab_key") as its,
    ):
        yield its


@pytest.mark.parametrize("its", read(), ids=lambda its: its.name)
def test_every_recorded_answer_decodes_and_maps(its):
    answer = decoder_of(its).decode(msgspec.json.encode(its.body))
    rows = answer.items if isinstance(answer, wire.Listed) else [answer.item]

    things = [MAPPED[type(row)](row) for row in rows]

    assert [thing.key.id for thing in things] == [row.id for row in rows]
    for thing in things:
        assert getattr(thing, "status", None) not in {RunStatus.UNKNOWN, ConnectorStatus.UNKNOWN}


def test_recordings_hold_all_shapes_of_a_summary():
    shapes = [
        {"createdCount", "failures"},
        {"createdConfigObjectCount", "outcome"},
        {"queuedBy"},
        {"lastError", "error", "outcome"},
    ]
    rows = [row for its in read() for row in its.rows or [its.body.get("item", {})]]
    seen = [set(row.get("summaryJson") or {}) for row in rows]

    assert all(any(shape <= summary for summary in seen) for shape in shapes)


@pytest.mark.parametrize(("name", "expected"), REFUSALS.items())
async def test_every_recorded_refusal_has_its_name(name, expected):
    its = recording(FOLDER, name)
    answer = httpx2.Response(
        its.status, headers=dict(its.headers), content=msgspec.json.encode(its.body) if its.body else b"no"
    )
    transport = httpx2.MockTransport(lambda _: answer)
    async with bound(adapter, transport, {"kind": "den"}, credential="den_lab_key") as (provider, _):
        assert provider.run_feed is not None
        with pytest.raises(expected) as raised:
            await provider.run_feed.page(ALL, first=5, after=None)

    assert type(raised.value) is expected
    assert raised.value.request_id == its.headers["x-request-id"]
    assert raised.value.http_status == its.status


def test_no_recorded_refusal_of_a_read_is_left_out():
    refused = {its.name for its in recordings(FOLDER) if its.status >= 400 and its.method == "GET"}

    assert refused - set(REFUSALS) == {"me_401"}  # a route that is never asked


@pytest.mark.parametrize("contract", ["connector-instances", "sync-events"])
@pytest.mark.parametrize("first", [1, 7, 100])
async def test_walking_a_replayed_den_over_a_socket_gives_every_event_once(first, contract):
    recorded = recording(FOLDER, "events_limit100").rows
    async with serving(replay(FOLDER)) as base_url, gateway(base_url, contract=contract) as (provider, _):
        seen, after = [], None
        while True:
            page = await provider.run_feed.page(ALL, first=first, after=after)
            seen += [run.key.id for run in page.items]
            after = page.next
            if after is None:
                break

    assert seen == [row["id"] for row in recorded or ()]


async def test_the_whole_of_a_replayed_den_can_be_read_over_a_socket():
    app = replay(FOLDER, unrecorded=DEN_UNRECORDED)
    async with serving(app) as base_url, gateway(base_url) as (provider, _):
        connectors = (await provider.connector_feed.page(ALL, first=20, after=None)).items
        scopes = await provider.sync_feed.scopes()
        syncs = [
            sync for page in await provider.sync_feed.first_pages(scopes, first=20) for sync in page.items
        ]
        its = [Scope(sync_id=sync.key.id) for sync in syncs]
        runs = await provider.run_feed.first_pages(its, first=5)
        stats = await provider.stats_lookup.find_stats([sync.key.id for sync in syncs])
        found = await provider.run_lookup.find_runs(
            [runs[0].items[0].key.id, "cse_01m7vzgc00e9mv59tdwh9edd1r"]
        )
        diagnosis = await provider.probe.diagnose()

    assert {one.name for one in connectors} == {"acme/agents", "acme/skills"}
    assert {sync.connector for sync in syncs} == {one.key for one in connectors}
    assert sum(len(page.items) for page in runs) == 76
    assert sum(one.runs_total for one in stats) == 76
    assert {one.coverage for one in stats} == {
        Coverage.FULL
    }  # the replayed list ends where the recording does
    assert [run.status for run in found] == [RunStatus.SKIPPED, RunStatus.SUCCEEDED]
    assert (diagnosis.authorised, diagnosis.error) == (True, None)
    assert diagnosis.served == ("connector-instances", "sync-events")
    assert diagnosis.server == "den-api dev, organisation Gateway Lab"


async def test_a_replayed_den_answers_as_recorded():
    async with serving(replay(FOLDER)) as base_url, httpx2.AsyncClient(base_url=base_url) as client:
        key = {"x-api-key": "any"}
        for name in AS_RECORDED:
            its = recording(FOLDER, name)
            answer = await client.get(its.path, params=its.query, headers=key)

            assert answer.json() == its.body, name
        stranger = await client.get("/v1/connector-sync-events")
        elsewhere = await client.get("/v1/nowhere", headers=key)

    assert (stranger.status_code, stranger.json()) == (401, {"error": "unauthorized"})
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (404, "not_recorded")


async def test_airweave_lists_are_sliced_by_skip_and_limit_but_its_jobs_by_limit_alone():
    folder, key = RECORDINGS / "airweave", {"x-api-key": "any"}
    names = ("sc_list_skip2_limit2", "sc_list_limit2", "jobs_list_limit3", "jobs_list_skip_ignored")
    async with (
        serving(replay(folder, default_limit=100)) as base_url,
        httpx2.AsyncClient(base_url=base_url) as client,
    ):
        for name in names:
            its = recording(folder, name)
            answer = await client.get(its.path, params=its.query, headers=key)

            assert [row["id"] for row in answer.json()] == [row["id"] for row in its.rows or ()], name
        newest = await client.get(its.path, params={"limit": "1"}, headers=key)

    assert [row["id"] for row in newest.json()] == [(its.rows or ())[0]["id"]]
