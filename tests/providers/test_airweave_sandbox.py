"""The sandbox answers as the document and the recordings say."""

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from tests.contract.suite import NOW, bound
from tests.replay import RECORDINGS, recording

from syncgraph.domain.model import ConnectorStatus, Coverage, RunStatus
from syncgraph.errors import UpstreamRateLimitedError
from syncgraph.ports import ALL, Scope
from syncgraph.providers.airweave import adapter
from syncgraph.providers.airweave.sandbox import EXPIRED_KEY, KEY, app, settings
from syncgraph.providers.airweave.sandbox_data import BY_SYNC_ID, LINKS, ORGANISATION, SLOTTED, slot_id

TODAY, OLD = RECORDINGS / "airweave", RECORDINGS / "airweave-0.9.17"
DOCUMENT = json.loads(Path("tests/fixtures/openapi/airweave.json").read_text(encoding="utf-8"))
TABLE = {"kind": "airweave", "base_url": "https://airweave.test"}
NOBODY = "00000000-0000-4000-8000-000000000000"
BY_NAME = {link.short_name: link for link in LINKS}
GITHUB = BY_NAME["github"]

WRONG_IN_THE_DOCUMENT = {422: "promises {detail: [{loc, msg, type}]}; recorded is {errors: [{place: text}]}"}
"""Recorded: sc_list_limit_0_422, jobs_limit_422."""

SEED_KEYS = {
    *("id", "sync_id", "sync_name", "organization_id", "status", "scheduled"),
    *("entities_inserted", "entities_updated", "entities_deleted", "entities_kept", "entities_skipped"),
    *(
        "entities_encountered",
        "started_at",
        "completed_at",
        "failed_at",
        "error",
        "sync_config",
        "sync_metadata",
    ),
    *("created_at", "modified_at", "created_by_email", "modified_by_email"),
}
"""Of the seed document's example."""


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def client(
    contract: str = "source-connections", *, key: str | None = KEY, clock: Callable = lambda: NOW, **kwargs
):
    transport = httpx2.ASGITransport(app=app(clock=clock, contract=contract, **kwargs))
    headers = {} if key is None else {"x-api-key": key}
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://airweave.test", headers=headers
    ) as its:
        yield its


def check(body: object, schema: dict[str, Any]) -> None:
    Draft202012Validator({**DOCUMENT, **schema}, format_checker=FormatChecker(["uuid"])).validate(body)


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def many(name: str) -> dict[str, object]:
    return {"type": "array", "items": ref(name)}


async def test_lists_details_and_jobs_are_as_the_document_says():
    async with client() as http:
        check((await http.get("/source-connections")).json(), many("SourceConnectionListItem"))
        for link in LINKS:
            check((await http.get(f"/source-connections/{link.id}")).json(), ref("SourceConnection"))
            if link.sync_id:
                jobs = (await http.get(f"/source-connections/{link.id}/jobs?limit=1000")).json()
                check(jobs, many("SourceConnectionJob"))


async def test_single_jobs_are_as_the_document_says():
    async with client("sync-jobs") as http:
        for link in SLOTTED:
            path = f"/sync/{link.sync_id}/job/{slot_id(link, 1)}"
            check((await http.get(path)).json(), ref("SyncJob"))


async def test_bodies_have_the_keys_of_the_recorded_ones():
    async with client() as http:
        listed = (await http.get("/source-connections")).json()
        detail = (await http.get(f"/source-connections/{GITHUB.id}")).json()
        jobs = (await http.get(f"/source-connections/{GITHUB.id}/jobs")).json()
    async with client("sync-jobs") as http:
        old = (await http.get(f"/sync/{SLOTTED[0].sync_id}/job/{slot_id(SLOTTED[0], 0)}")).json()
        seed = (await http.get(f"/v1/sync/jobs/{slot_id(SLOTTED[0], 0)}")).json()
    recorded = recording(TODAY, "sc_get_completed").body

    assert listed[0].keys() == recording(TODAY, "sc_list").body[0].keys()
    assert detail.keys() == recorded.keys()
    assert all(
        detail[part].keys() == recorded[part].keys() for part in ("auth", "schedule", "sync", "entities")
    )
    assert detail["sync"]["last_job"].keys() == recorded["sync"]["last_job"].keys()
    assert jobs[0].keys() == recording(TODAY, "jobs_list_limit3").body[0].keys()
    assert old.keys() == recording(OLD, "sync_job_running").body.keys()
    assert seed.keys() == SEED_KEYS


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"/source-connections/{NOBODY}", "sc_get_404"),
        (f"/source-connections/{NOBODY}/jobs", "jobs_404"),
        (f"/source-connections/{BY_NAME['hubspot'].id}/jobs", "jobs_no_sync_404"),
        (f"/source-connections/{GITHUB.id}/jobs?limit=0", "jobs_limit_422"),
        ("/source-connections?limit=0", "sc_list_limit_0_422"),
        ("/source-connections?limit=1001", "sc_list_limit_1001_422"),
        ("/source-connections?skip=1000", "sc_list_beyond"),
        ("/source-connections?collection=nope", "sc_list_unknown_collection"),
        ("/v1/source-connections", "v1_prefix_404"),
        (f"/sync/jobs/{NOBODY}", "seed_sync_job_404"),
    ],
)
async def test_refusals_are_the_recorded_ones(path, name):
    async with client() as http:
        answer = await http.get(path)

    assert (answer.status_code, answer.json()) == (recording(TODAY, name).status, recording(TODAY, name).body)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, "no_auth_401"),
        ({"authorization": f"Bearer {KEY}"}, "bearer_api_key_401"),
        ({"x-api-key": "nope"}, "revoked_key_cached"),
        ({"x-api-key": EXPIRED_KEY}, "expired_key_cached"),
        ({"x-api-key": KEY, "x-organization-id": "not-a-uuid"}, "bad_org_header"),
    ],
)
async def test_refused_keys_are_the_recorded_ones(headers, name):
    async with client(key=None) as http:
        answer = await http.get("/source-connections", headers=headers)

    assert (answer.status_code, answer.json()) == (recording(TODAY, name).status, recording(TODAY, name).body)
    assert "ratelimit-limit" not in answer.headers


async def test_the_keys_own_organisation_may_be_named_and_no_other():
    async with client() as http:
        own = await http.get("/source-connections", headers={"x-organization-id": ORGANISATION})
        other = await http.get("/source-connections", headers={"x-organization-id": NOBODY})

    assert (own.status_code, other.status_code) == (200, 404)
    assert other.json() == {"detail": f"Organization with ID {NOBODY} not found"}


async def test_an_unknown_route_is_not_found_before_the_key_is_looked_at():
    async with client(key=None) as http:
        assert (await http.get("/nope")).json() == {"detail": "Not Found"}
        assert (await http.put("/source-connections")).json() == {"detail": "Method Not Allowed"}


async def test_values_that_are_no_numbers_or_ids_are_422():
    async with client() as http:
        for path in ("/source-connections?skip=-1", "/source-connections?limit=x", "/source-connections/x"):
            answer = await http.get(path)
            assert answer.status_code in WRONG_IN_THE_DOCUMENT
            assert [len(one) for one in answer.json()["errors"]] == [1]


async def test_jobs_know_no_skip_and_a_slash_at_the_end_is_the_same():
    async with client() as http:
        plain = await http.get(f"/source-connections/{GITHUB.id}/jobs?limit=3")
        skipped = await http.get(f"/source-connections/{GITHUB.id}/jobs/?limit=3&skip=3")

    assert plain.content == skipped.content


@pytest.mark.parametrize("header", [{"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}])
async def test_single_jobs_are_shown_to_either_header(header):
    async with client("sync-jobs", key=None) as http:
        path = f"/v1/sync/jobs/{slot_id(SLOTTED[0], 0)}"

        assert (await http.get(path, headers=header)).status_code == 200
        assert (await http.get(path)).status_code == 401


async def test_a_missing_single_job_is_404_by_the_seed_and_500_by_0_9_17():
    async with client("sync-jobs") as http:
        seed = await http.get(f"/v1/sync/jobs/{NOBODY}")
        old = await http.get(f"/sync/{SLOTTED[0].sync_id}/job/{NOBODY}")
        foreign = await http.get(f"/sync/{SLOTTED[1].sync_id}/job/{slot_id(SLOTTED[0], 0)}")

    assert (seed.status_code, seed.json()) == (404, {"detail": "Sync job not found"})
    assert old.json() == foreign.json() == recording(OLD, "sync_job_404").body


async def test_a_frozen_clock_gives_the_same_bytes():
    github = f"/source-connections/{GITHUB.id}"
    async with client() as one, client() as other:
        for path in ("/source-connections", github, f"{github}/jobs"):
            assert (await one.get(path)).content == (await other.get(path)).content


async def test_there_is_one_of_each_interesting_kind():
    async with sandboxed(Clock()) as (provider, _):
        connectors = {
            one.source_type: one
            for one in (await provider.connector_feed.page(ALL, first=20, after=None)).items
        }
        syncs = (await provider.sync_feed.page(ALL, first=20, after=None)).items

    assert connectors["linear"].status is ConnectorStatus.NEEDS_REAUTH
    assert connectors["hubspot"].status is ConnectorStatus.AWAITING_SETUP
    assert connectors["notion"].raw_status == "error"
    assert {one.source_type for one in connectors.values() if one.raw_status == "syncing"} == {
        "slack",
        "google_drive",
    }
    assert len(syncs) == len(BY_SYNC_ID) == 6


def sandboxed(clock, contract="source-connections", **kwargs):
    transport = httpx2.ASGITransport(app=app(clock=clock, contract=contract, **kwargs))
    return bound(adapter, transport, {**TABLE, **settings(contract)}, credential=KEY)


async def newest(clock, name: str) -> list[tuple[str, RunStatus]]:
    async with sandboxed(clock) as (provider, _):
        page = await provider.run_feed.page(Scope(connector_id=BY_NAME[name].id), first=3, after=None)
    return [(run.key.id, run.status) for run in page.items[:3]]


@pytest.mark.parametrize("name", ["slack", "google_drive"])
async def test_running_jobs_end_and_new_ones_begin_with_the_clock(name):
    clock = Clock()
    (running, status), *_ = await newest(clock, name)
    assert status is RunStatus.RUNNING

    clock.now += BY_NAME[name].period
    (following, _), (before, ended), _ = await newest(clock, name)

    assert before == running
    assert ended not in {RunStatus.RUNNING, RunStatus.QUEUED}
    assert following != running


async def test_a_job_waits_before_it_runs():
    clock = Clock(NOW.replace(minute=40, second=1))

    assert (await newest(clock, "google_drive"))[0][1] is RunStatus.QUEUED


async def test_one_connection_has_more_than_a_hundred_jobs():
    async with sandboxed(Clock()) as (provider, _):
        stats = (await provider.stats_lookup.find_stats([GITHUB.id]))[0]

    assert (stats.runs_total, stats.coverage) == (100, Coverage.WINDOW)


async def test_runs_can_reach_the_most_that_the_api_shows():
    async with sandboxed(Clock(), runs=1000) as (provider, _):
        scope = Scope(connector_id=BY_NAME["postgresql"].id)
        page = await provider.run_feed.page(scope, first=1000, after=None)

    assert (len(page.items), page.next, page.coverage) == (1000, None, Coverage.WINDOW)


async def test_a_connection_may_have_no_jobs_yet():
    async with client(runs=0) as http:
        slack = (await http.get(f"/source-connections/{BY_NAME['slack'].id}")).json()

    assert (slack["status"], slack["sync"]) == ("active", None)


async def test_seed_jobs_keep_their_ids_while_the_clock_moves_them():
    clock = Clock()
    async with sandboxed(clock, "sync-jobs") as (provider, _):
        before = (await provider.run_feed.page(ALL, first=50, after=None)).items
    clock.now += timedelta(hours=5)
    async with sandboxed(clock, "sync-jobs") as (provider, _):
        after = (await provider.run_feed.page(ALL, first=50, after=None)).items

    assert {run.key for run in before} == {run.key for run in after}
    assert after[0].ordered_at > before[0].ordered_at
    assert {run.raw_status for run in before} >= {"in_progress", "completed"}


async def test_limits_let_ten_a_minute_through_in_a_sliding_window():
    clock = Clock()
    async with client(clock=clock, limits=True) as http:
        admitted = []
        for _ in range(10):
            admitted.append(await http.get("/source-connections?limit=1"))
            clock.now += timedelta(seconds=1)
        refused = await http.get(f"/source-connections/{NOBODY}")
        again = await http.get("/source-connections?limit=1")
        clock.now += timedelta(seconds=50)
        later = await http.get("/source-connections?limit=1")

    assert [answer.headers["ratelimit-remaining"] for answer in admitted] == [
        str(n) for n in range(9, -1, -1)
    ]
    assert (refused.status_code, again.status_code, later.status_code) == (429, 429, 200)
    assert refused.json() == {
        "detail": "Rate limit exceeded. Please retry after 50.00 seconds. Limit: 10 requests per second."
    }
    assert refused.headers["retry-after"] == "51"
    assert (refused.headers["ratelimit-limit"], refused.headers["ratelimit-remaining"]) == ("10", "0")
    check(refused.json(), ref("RateLimitErrorResponse"))


async def test_a_gateway_that_was_told_the_limit_does_not_run_into_it_and_says_when_to_come_back():
    async with sandboxed(Clock(), limits=True) as (provider, calls):
        pages = [
            await provider.run_feed.first_pages([Scope(connector_id=link.id)], first=1) for link in LINKS * 3
        ]
        await asyncio.gather(*(provider.connector_lookup.find_connectors([link.id]) for link in LINKS))
        with pytest.raises(UpstreamRateLimitedError) as raised:
            await provider.connector_feed.page(ALL, first=1, after=None)

    assert pages
    assert len(calls.sent) == 8
    assert raised.value.http_status is None
    assert raised.value.retry_after is not None
    assert NOW < raised.value.retry_after <= NOW + timedelta(seconds=61)
