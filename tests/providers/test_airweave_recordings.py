"""Recorded answers of Airweave v0.9.66 and v0.9.17: each decodes and maps, each refusal has its code."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from tests.contract.suite import NOW, answering, bound
from tests.replay import RECORDINGS, Recording, recording

from syncgraph.domain.details import AirweaveSyncDetails
from syncgraph.domain.model import (
    ConnectorStatus,
    ErrorCategory,
    RunStatus,
    RunTrigger,
    Schedule,
    ScheduleKind,
    SyncState,
    TypedCount,
)
from syncgraph.errors import (
    UpstreamAuthError,
    UpstreamContractError,
    UpstreamForbiddenError,
    UpstreamGoneError,
    UpstreamNotFoundError,
    UpstreamRateLimitedError,
    UpstreamUnavailableError,
)
from syncgraph.ports import ALL, Scope
from syncgraph.providers.airweave import adapter, mapping, wire
from syncgraph.providers.airweave.dialect import refused, refused_by_0_9_17
from syncgraph.upstream.answer import Answer, Dialect, failure_of

TODAY, OLD = RECORDINGS / "airweave", RECORDINGS / "airweave-0.9.17"
SYNC = "6de7f8f2-3533-477c-8cce-4f332aa5fdec"
TABLE = {"kind": "airweave", "base_url": "https://airweave.test"}

REFUSALS = {
    "bad_bearer_jwt": UpstreamAuthError,
    "bad_org_header": UpstreamUnavailableError,
    "bearer_api_key_401": UpstreamAuthError,
    "cancel_404": UpstreamNotFoundError,
    "cancel_cancelled_400": UpstreamContractError,
    "cancel_completed_400": UpstreamContractError,
    "create_bad_422": UpstreamContractError,
    "create_unknown_source_404": UpstreamNotFoundError,
    "db_error_jobs_500": UpstreamUnavailableError,
    "db_error_list": UpstreamUnavailableError,
    "entity_counts_404": UpstreamNotFoundError,
    "expired_key_cached": UpstreamAuthError,
    "head": UpstreamGoneError,
    "jobs_404": UpstreamNotFoundError,
    "jobs_limit_422": UpstreamContractError,
    "jobs_no_sync_404": UpstreamNotFoundError,
    "method_405": UpstreamGoneError,
    "no_auth_401": UpstreamAuthError,
    "options_no_origin": UpstreamGoneError,
    "organizations_apikey": UpstreamAuthError,
    "ratelimit_429_404path": UpstreamRateLimitedError,
    "revoked_key_cached": UpstreamAuthError,
    "run_404": UpstreamNotFoundError,
    "run_again_400": UpstreamContractError,
    "run_no_sync_404": UpstreamNotFoundError,
    "run_paused": UpstreamContractError,
    "run_while_cancelling": UpstreamContractError,
    "run_while_running_400": UpstreamContractError,
    "sc_get_404": UpstreamNotFoundError,
    "sc_list_limit_0_422": UpstreamContractError,
    "sc_list_limit_1001_422": UpstreamContractError,
    "seed_sync_job_404": UpstreamGoneError,
    "seed_v1_sync_job_404": UpstreamGoneError,
    "unknown_route": UpstreamGoneError,
    "users_me_apikey": UpstreamAuthError,
    "v1_prefix_404": UpstreamGoneError,
    "webhooks_subscriptions_svix_down": UpstreamUnavailableError,
}
OLD_REFUSALS = {
    "seed_sync_jobs_id": UpstreamGoneError,
    "seed_v1": UpstreamGoneError,
    "sync_get": UpstreamUnavailableError,
    "sync_job_404": UpstreamNotFoundError,
    "sync_jobs_all": UpstreamUnavailableError,
    "sync_jobs_status": UpstreamUnavailableError,
}
NOT_HTTP = {"sse_job_subscribe"}


def over(transport, table=TABLE, **kwargs):
    return bound(adapter, transport, table, **kwargs)


def all_of(folder) -> dict[str, Recording]:
    names = {file.stem for file in folder.glob("*.json")} - NOT_HTTP
    return {name: recording(folder, name) for name in sorted(names)}


def as_answer(its: Recording) -> Answer:
    return Answer(its.status, dict(its.headers), bytes(its.response().body))


def replayed(its: Recording) -> httpx2.MockTransport:
    told = its.response()
    return answering(httpx2.Response(told.status_code, headers=dict(told.headers), content=bytes(told.body)))


def served(pattern: str, *, folder=TODAY) -> list[str]:
    """Names of the good answers of one route."""
    return [
        name
        for name, its in all_of(folder).items()
        if its.status == 200 and its.method == "GET" and its.path.rstrip("/").endswith(pattern)
    ]


def old_table(*jobs: str) -> dict[str, object]:
    return {**TABLE, "contract": "sync-jobs", "job_path": "airweave-0.9.17", "jobs": list(jobs)}


@pytest.mark.parametrize(
    ("folder", "refusal", "expected"),
    [(TODAY, refused, REFUSALS), (OLD, refused_by_0_9_17, OLD_REFUSALS)],
    ids=["0.9.66", "0.9.17"],
)
def test_every_recorded_refusal_is_its_error(folder, refusal, expected):
    dialect = Dialect(headers={}, gone_hint="", refusal=refusal)
    found = {name: failure_of(as_answer(its), dialect, worked=True) for name, its in all_of(folder).items()}

    assert {name: kind for name, kind in found.items() if kind is not None} == expected


@pytest.mark.parametrize("name", served("/source-connections"))
async def test_every_recorded_list_of_connections_maps(name):
    its = recording(TODAY, name)
    async with over(replayed(its)) as (provider, _):
        connectors = (await provider.connector_feed.page(ALL, first=9, after=None)).items
        syncs = (await provider.sync_feed.page(ALL, first=9, after=None)).items

    assert [one.key.id for one in connectors] == [row["id"] for row in its.body]
    assert [one.key.id for one in syncs] == [
        row["id"] for row in its.body if row["status"] != "pending_auth" and not row["federated_search"]
    ]
    assert all(one.status is not ConnectorStatus.UNKNOWN for one in connectors)


@pytest.mark.parametrize("name", [n for n in all_of(TODAY) if n.startswith("sc_get_") and n != "sc_get_404"])
async def test_every_recorded_detail_maps(name):
    its = recording(TODAY, name)
    wanted = its.body["id"]
    async with over(replayed(its)) as (provider, calls):
        connector = (await provider.connector_lookup.find_connectors([wanted]))[0]
        sync = (await provider.sync_lookup.find_syncs([wanted]))[0]
        extra = (await provider.sync_extra_lookup.find_extras([wanted]))[0]

    assert connector.raw_status == its.body["status"]
    assert (sync is None) == (extra is None) == (its.body["sync_id"] is None)
    assert sync is None or sync.extra == extra
    assert calls.sent == [f"GET /source-connections/{wanted}"]


@pytest.mark.parametrize("name", served("/jobs"))
async def test_every_recorded_list_of_jobs_maps(name):
    its = recording(TODAY, name)
    connection = its.path.split("/")[2]
    async with over(replayed(its)) as (provider, _):
        page = await provider.run_feed.page(Scope(connector_id=connection), first=9, after=None)

    assert [run.key.id for run in page.items] == [f"{connection}/{row['id']}" for row in its.body]
    assert [run.raw_status for run in page.items] == [row["status"] for row in its.body]
    assert all(run.status is not RunStatus.UNKNOWN for run in page.items)


@pytest.mark.parametrize(
    "name", [n for n in all_of(OLD) if n.startswith("sync_job_") and n != "sync_job_404"]
)
async def test_every_recorded_job_of_0_9_17_maps(name):
    its = recording(OLD, name)
    wanted = f"{SYNC}/{its.body['id']}"
    async with over(replayed(its), old_table(wanted)) as (provider, calls):
        run = (await provider.run_lookup.find_runs([wanted]))[0]
        listed = await provider.run_feed.page(ALL, first=9, after=None)

    assert (run.key.id, run.sync.id, run.connector) == (wanted, SYNC, None)
    assert (
        run.status
        is {
            "sync_job_cancelled": RunStatus.CANCELLED,
            "sync_job_failed": RunStatus.FAILED,
            "sync_job_pending": RunStatus.QUEUED,
            "sync_job_running": RunStatus.RUNNING,
        }[name]
    )
    assert listed.items == [run]
    assert calls.sent == [f"GET /sync/{SYNC}/job/{its.body['id']}"]


def test_the_good_recordings_that_are_not_replayed_here_are_of_routes_we_do_not_read():
    used = {
        *served("/source-connections"),
        *served("/jobs"),
        *(n for n in all_of(TODAY) if n[:7] == "sc_get_"),
    }
    good = {name: its for name, its in all_of(TODAY).items() if its.status == 200 and its.method == "GET"}

    assert {its.path.split("/")[1] for name, its in good.items() if name not in used} == {
        *("", "collections", "entity-counts", "health", "sources", "users", "source-connections")
    }
    assert [n for n in good if n not in used and good[n].path.startswith("/source-conn")] == [
        "sync_id_hidden"
    ]


async def test_the_fields_of_a_recorded_detail():
    its = recording(TODAY, "sc_get_needs_reauth")
    async with over(replayed(its)) as (provider, _):
        sync = (await provider.sync_lookup.find_syncs([its.body["id"]]))[0]
        connector = (await provider.connector_lookup.find_connectors([its.body["id"]]))[0]

    assert sync.name == "Stub 4"
    assert sync.stream == "gateway-lab-3n4ps5"
    assert (sync.state, sync.raw_status, sync.last_outcome) == (
        SyncState.UNKNOWN,
        "needs_reauth",
        RunStatus.FAILED,
    )
    assert sync.ordered_at == datetime(2026, 11, 22, 5, 36, 1, 754545, tzinfo=UTC)
    assert sync.extra.schedule == Schedule(
        kind=ScheduleKind.CRON, cron="36 5 * * *", next_run_at=datetime(2026, 11, 23, 5, 36, tzinfo=UTC)
    )
    assert sync.extra.details == AirweaveSyncDetails(
        collection="gateway-lab-3n4ps5", sync_id="4816c275-cf30-4b8e-ae54-b72f393b4386"
    )
    assert (connector.status, connector.source_type) == (ConnectorStatus.NEEDS_REAUTH, "stub")


async def test_a_failed_job_has_no_end_and_its_error_says_what_kind():
    its = recording(TODAY, "jobs_after_run")
    async with over(replayed(its)) as (provider, _):
        page = await provider.run_feed.page(Scope(sync_id=its.path.split("/")[2]), first=9, after=None)
    waiting, failed = page.items

    assert (failed.status, failed.finished_at, failed.duration) == (RunStatus.FAILED, None, None)
    assert failed.error.message == "Source authentication failed: 401 Unauthorized"
    assert (failed.error.category, failed.error.code) == (ErrorCategory.AUTHENTICATION, "api_key_invalid")
    assert (failed.records.skipped, failed.records.failed) == (3, None)
    assert (waiting.status, waiting.started_at, waiting.created_at) == (RunStatus.QUEUED, None, None)
    assert waiting.ordered_at == failed.ordered_at + timedelta(microseconds=1)


def test_times_of_0_and_of_6_digits_are_both_utc():
    runs = mapping.runs("acme", wire.JOBS.decode(as_answer(recording(TODAY, "jobs_list_limit3")).body), NOW)

    assert runs[1].started_at == datetime(2026, 11, 18, 8, 11, 2, 123456, tzinfo=UTC)
    assert runs[2].started_at == datetime(2026, 11, 18, 7, 58, 2, tzinfo=UTC)
    assert runs[2].finished_at == datetime(2026, 11, 18, 7, 59, 3, 500000, tzinfo=UTC)


async def test_a_job_of_0_9_17_tells_more_than_one_of_today():
    its = recording(OLD, "sync_job_failed")
    wanted = f"{SYNC}/{its.body['id']}"
    async with over(replayed(its), old_table(wanted)) as (provider, _):
        run = (await provider.run_lookup.find_runs([wanted]))[0]
        sync = (await provider.sync_lookup.find_syncs([SYNC]))[0]

    assert run.created_at == run.ordered_at == datetime(2026, 11, 20, 1, 59, 45, tzinfo=UTC)
    assert run.finished_at == run.error.occurred_at == datetime(2026, 11, 20, 11, 0, 10, tzinfo=UTC)
    assert run.trigger is RunTrigger.MANUAL
    assert (run.records.unchanged, run.records.skipped) == (120, 0)
    assert run.records.by_type == (TypedCount(type="GitHubRepositoryEntity", count=180),)
    assert run.details.entities_encountered == {"GitHubRepositoryEntity": 180}
    assert sync.name == "Sync for Stub one"


async def test_the_odd_order_of_the_jobs_of_0_9_17_is_kept():
    its = recording(OLD, "sc_jobs")
    async with over(replayed(its)) as (provider, _):
        page = await provider.run_feed.page(Scope(connector_id=its.path.split("/")[2]), first=9, after=None)
    instants = [run.ordered_at for run in page.items]

    assert [run.key.id.partition("/")[2] for run in page.items] == [row["id"] for row in its.body]
    assert instants == sorted(instants, reverse=True)


async def test_a_missing_job_of_0_9_17_is_a_500_that_means_no_such_run():
    wanted = f"{SYNC}/00000000-0000-4000-8000-000000000000"
    async with over(replayed(recording(OLD, "sync_job_404")), old_table(wanted)) as (provider, calls):
        assert await provider.run_lookup.find_runs([wanted]) == [None]
        assert (await provider.run_feed.page(ALL, first=9, after=None)).items == []
        assert len(calls.sent) == 1


async def test_that_500_is_an_outage_by_every_other_contract():
    wanted = "00000000-0000-4000-8000-000000000000"
    table = {**TABLE, "contract": "sync-jobs", "jobs": [wanted]}
    async with over(replayed(recording(OLD, "sync_job_404")), table) as (provider, _):
        found = await provider.run_lookup.find_runs([wanted])

    assert isinstance(found[0], UpstreamUnavailableError)


def test_a_job_of_0_9_17_that_cannot_be_printed_is_not_a_missing_one():
    said = b"""{"detail": "Internal Server Error: ResponseValidationError: {'loc': ('response', 'status'), 'input': 'odd'}"}"""

    assert refused_by_0_9_17(Answer(500, {}, said), False) is None


@pytest.mark.parametrize("name", ["db_error_jobs_500", "db_error_list"])
async def test_sql_in_a_500_goes_no_further(name):
    async with over(replayed(recording(TODAY, name))) as (provider, _):
        with pytest.raises(UpstreamUnavailableError) as raised:
            await provider.connector_feed.page(ALL, first=9, after=None)

    assert str(raised.value) == "The provider is not available."
    assert "sync_job" not in repr(vars(raised.value))


def test_an_organisation_that_is_not_the_keys_is_forbidden():
    said = b'{"detail": "Organization with ID 6eb6d2d1-5f91-4797-8903-96f0dfd8a264 not found"}'

    assert refused(Answer(404, {}, said), False) is UpstreamForbiddenError


def test_a_403_that_is_not_about_the_key_is_left_to_its_status():
    assert refused(Answer(403, {}, b'{"detail": "Not enough permissions"}'), False) is None


async def test_the_recorded_429_says_when_to_come_back():
    its = recording(TODAY, "ratelimit_429_404path")
    async with over(replayed(its)) as (provider, _):
        with pytest.raises(UpstreamRateLimitedError) as raised:
            await provider.connector_feed.page(ALL, first=9, after=None)

    assert raised.value.retry_after == NOW + timedelta(seconds=60)
