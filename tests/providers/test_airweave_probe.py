"""The doctor, before servers of recorded answers."""

from datetime import datetime, timedelta

import httpx2
import pytest
from tests.contract.suite import NOW, bound
from tests.replay import RECORDINGS, recording

from syncgraph.errors import UpstreamAuthError, UpstreamForbiddenError, UpstreamGoneError
from syncgraph.providers.airweave import adapter
from syncgraph.providers.airweave.sandbox import EXPIRED_KEY, KEY, app, settings

TODAY, OLD = RECORDINGS / "airweave", RECORDINGS / "airweave-0.9.17"
LIST = "/source-connections"
JOB = "6fba0e9e-c81d-5eb5-a77f-f93146c056f4"
SYNC = "6de7f8f2-3533-477c-8cce-4f332aa5fdec"
TABLE = {"kind": "airweave", "base_url": "https://airweave.test"}
SEED_TABLE = {**TABLE, "contract": "sync-jobs", "jobs": [JOB]}
OLD_TABLE = {
    **SEED_TABLE,
    "job_path": "airweave-0.9.17",
    "jobs": [f"{SYNC}/a17f2be0-21f7-5a60-8633-8952b96f79fd"],
}


def over(transport, table=TABLE, **kwargs):
    return bound(adapter, transport, table, **kwargs)


def serving(folder, *, on_list, elsewhere) -> httpx2.MockTransport:
    """A server that answers its list of connections, and everything else, as recorded."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        its = recording(folder, on_list if request.url.path == LIST else elsewhere)
        return httpx2.Response(its.status, headers=dict(its.headers), content=bytes(its.response().body))

    return httpx2.MockTransport(handle)


RELEASE_0_9_66 = {"folder": TODAY, "on_list": "sc_list", "elsewhere": "unknown_route"}
RELEASE_0_9_17 = {"folder": OLD, "on_list": "sc_list", "elsewhere": "sync_job_404"}


async def diagnosis(transport, table=TABLE, **kwargs):
    async with over(transport, table, **kwargs) as (provider, calls):
        return await provider.probe.diagnose(), calls.sent


async def test_todays_release_serves_source_connections_only():
    found, calls = await diagnosis(serving(**RELEASE_0_9_66))

    assert (found.reachable, found.authorised, found.error, found.advice) == (True, True, None, ())
    assert found.served == ("source-connections",)
    assert found.server == "Airweave, v0.9.18 or later"
    assert len(calls) == 2


async def test_0_9_17_serves_both_and_is_told_by_its_500():
    found, calls = await diagnosis(serving(**RELEASE_0_9_17))

    assert (found.reachable, found.authorised, found.error) == (True, True, None)
    assert found.served == ("source-connections", "sync-jobs")
    assert found.server == "Airweave, v0.9.17 or earlier"
    assert "not newest first" in found.advice[0]
    assert len(calls) == 3, "a 500 is asked again once"


async def test_0_9_17_by_its_own_contract_is_told_to_use_source_connections():
    transport = serving(OLD, on_list="sc_list", elsewhere="sync_job_running")
    found, calls = await diagnosis(transport, OLD_TABLE)

    assert found.served == ("sync-jobs", "source-connections")
    assert (found.authorised, found.error) == (True, None)
    assert found.server == "Airweave, v0.9.17 or earlier"
    assert 'contract = "source-connections"' in found.advice[0]
    assert len(calls) == 2


async def test_the_seeds_path_at_todays_release_is_gone_and_the_other_contract_is_named():
    found, _ = await diagnosis(serving(**RELEASE_0_9_66), SEED_TABLE)

    assert isinstance(found.error, UpstreamGoneError)
    assert found.served == ("source-connections",)
    assert found.server is None, "no release ever had the seed's path, so its absence tells none"
    assert 'contract = "source-connections"' in found.advice[0]


async def test_a_bearer_key_at_todays_release_is_refused_and_its_contract_still_seen():
    transport = serving(TODAY, on_list="bearer_api_key_401", elsewhere="seed_v1_sync_job_404")
    found, _ = await diagnosis(transport, SEED_TABLE)

    assert found.authorised is False
    assert found.served == ("source-connections",)
    assert 'contract = "source-connections"' in found.advice[0]


async def test_a_base_url_with_v1_serves_nothing():
    transport = serving(TODAY, on_list="v1_prefix_404", elsewhere="unknown_route")
    found, _ = await diagnosis(transport)

    assert (found.served, found.authorised) == ((), None)
    assert "without /v1" in found.advice[0]


async def test_a_server_of_single_jobs_only_is_told_to_use_them():
    transport = serving(TODAY, on_list="unknown_route", elsewhere="sc_get_404")
    found, _ = await diagnosis(transport)

    assert found.served == ("sync-jobs",)
    assert 'job_path = "airweave-0.9.17"' in found.advice[0]


@pytest.mark.parametrize("name", ["expired_key_cached", "revoked_key_cached", "no_auth_401"])
async def test_a_refused_key_costs_one_call(name):
    found, calls = await diagnosis(serving(TODAY, on_list=name, elsewhere="unknown_route"))

    assert (found.reachable, found.authorised, type(found.error)) == (True, False, UpstreamAuthError)
    assert "create a new one" in found.advice[0]
    assert len(calls) == 1


async def test_a_bearer_key_that_the_seeds_path_refuses_is_told_where_keys_belong():
    transport = serving(TODAY, on_list="bearer_api_key_401", elsewhere="bearer_api_key_401")
    found, _ = await diagnosis(transport, SEED_TABLE)

    assert found.authorised is False
    assert "X-API-Key" in found.advice[0]


async def test_another_organisation_is_named_as_the_reason():
    transport = httpx2.ASGITransport(app=app(clock=lambda: NOW, contract="source-connections"))
    found, _ = await diagnosis(transport, {**TABLE, "organisation": SYNC}, credential=KEY)

    assert isinstance(found.error, UpstreamForbiddenError)
    assert "organisation" in found.advice[0]


async def test_a_configured_job_that_is_gone_is_advice_and_not_an_error():
    transport = httpx2.ASGITransport(app=app(clock=lambda: NOW, contract="sync-jobs"))
    found, _ = await diagnosis(transport, SEED_TABLE, credential=KEY)

    assert (found.authorised, found.error, found.served) == (True, None, ("sync-jobs",))
    assert "does not exist" in found.advice[0]


async def test_a_refused_connection_is_not_reachable():
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no")

    found, _ = await diagnosis(httpx2.MockTransport(refuse))

    assert (found.reachable, found.authorised) == (False, None)


@pytest.mark.parametrize(
    ("limit", "left", "limits", "advised"),
    [
        ("10", "9", "10 requests a minute for the whole organisation, 9 left", True),
        ("100", "42", "100 requests a minute for the whole organisation, 42 left", False),
        ("9999", "9999", "unlimited", False),
        ("0", "9999", None, False),
    ],
)
async def test_a_limit_of_0_is_unknown_and_9999_none(limit, left, limits, advised):
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path != LIST:
            return httpx2.Response(404, json={"detail": "Not Found"})
        headers = {"ratelimit-limit": limit, "ratelimit-remaining": left}
        return httpx2.Response(200, json=[], headers=headers)

    found, _ = await diagnosis(httpx2.MockTransport(handle))

    assert found.limits == limits
    assert any("requests a minute" in one for one in found.advice) == advised


async def test_the_recorded_clock_is_compared_with_ours():
    found, _ = await diagnosis(serving(**RELEASE_0_9_66))

    assert found.clock_skew == datetime.fromisoformat("2026-11-22T05:39:00Z") - NOW
    assert found.clock_skew < timedelta()


async def test_a_limited_server_is_asked_no_more():
    transport = serving(TODAY, on_list="ratelimit_429_404path", elsewhere="unknown_route")
    found, calls = await diagnosis(transport)

    assert (found.served, found.authorised) == ((), None)
    assert {call.partition("?")[0] for call in calls} == {f"GET {LIST}"}


async def test_an_expired_key_of_the_sandbox_is_refused():
    transport = httpx2.ASGITransport(app=app(clock=lambda: NOW, contract="source-connections"))
    found, _ = await diagnosis(transport, {**TABLE, **settings("source-connections")}, credential=EXPIRED_KEY)

    assert found.authorised is False
